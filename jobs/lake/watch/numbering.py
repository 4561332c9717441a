"""Producers' numbers of the last day: which were lost, and which came again. History is read where a gap is alone."""

from collections import Counter
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from jobs.lake.ingest.progress import SEQUENCES
from jobs.lake.ledger import Ledger
from jobs.ops.missing import RUN, Numbers, numbers_of

COUNTED = timedelta(hours=24)
LOOKED_BACK = timedelta(days=3)  # of a producer that was silent for longer, what it had reached is not known


def measure_numbers(ledger: Ledger, at: datetime) -> Numbers:
    """What the records of the last day tell of their numbers, beside those of two days more.

    Where something seems lost all older runs of those producers are read too: they may have it, if an old record came
    once more.
    """
    since, recorded, has_number = at - COUNTED, pc.field("recorded_at"), pc.field("producer_id").is_valid()
    runs = ledger.read(SEQUENCES, RUN, has_number & (recorded > at - LOOKED_BACK))
    bare = unnumbered(ledger, since)
    found = numbers_of(runs, since, bare)
    if not found.lost:
        return found
    mine = pc.field("producer_id").isin(list(found.producers))
    older = ledger.read(SEQUENCES, RUN, mine & (recorded <= at - LOOKED_BACK))
    return numbers_of(pa.concat_tables([older, runs]), since, bare)


def unnumbered(ledger: Ledger, since: datetime) -> dict[str, int]:
    """How many records bear no number, by topic."""
    wanted = pc.field("producer_id").is_null() & (pc.field("recorded_at") > since)
    counts = Counter[str]()
    for row in ledger.read(SEQUENCES, ["topic", "record_count"], wanted).to_pylist():
        counts[row["topic"]] += row["record_count"]
    return dict(counts)
