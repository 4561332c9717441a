"""Producers' numbers counted again from bronze, of the batches of which ops.sequences has other records than the books.

Those are the batches of a lake that is older than the table, and what lay in hurt files.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pyarrow as pa

from jobs.lake.ailments import Ailment, Kind, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.errors import UsageError
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import BOOKS, BRONZE, SEQUENCES, of_batch
from jobs.lake.ingest.sequences import counted
from jobs.lake.leases import Lease, Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import paths, taken_out
from jobs.lake.mending import proven as proven_by_log
from jobs.lake.remaking.wounds import heal, proven, wound_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

APP = "recount"
AT_ONCE = 100  # batches in a commit
ERASED = "records of erased people bear no number any more: theirs may be told as lost"


def recount(
    settings: Settings, hurt: list[Ailment], run_id: str, open_spark: Callable[[Settings], Any]
) -> Mended | None:
    """Set hurt files aside and count what is not counted whole, under ingest's lease; None where nothing is to do."""
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease:
        if ailments_of(settings, BRONZE):
            raise UsageError(
                f"{SEQUENCES}: {BRONZE}, which it is counted from, is hurt; run `reelhouse repair {BRONZE}`"
            )
        if not hurt:
            return _counted_again(ledger, lease, ()) if due(ledger) else None
        if all(each.kind is Kind.data for each in hurt):
            wound = wound_of(settings, SEQUENCES)
            moved = heal(Lake(settings, open_spark(settings)), wound, None, run_id)
            proven(ledger, SEQUENCES, wound.standing, moved)
            return _counted_again(ledger, lease, tuple(moved))
        with taken_out(settings, SEQUENCES, hurt) as files:
            proven_by_log(ledger, SEQUENCES)
            return _counted_again(ledger, lease, paths(files))


def _counted_again(ledger: Ledger, lease: Lease, moved: tuple[str, ...]) -> Mended:
    """Count all that is due, some batches to a commit."""
    batches = due(ledger)
    for start in range(0, len(batches), AT_ONCE):
        some = batches[start : start + AT_ONCE]
        rows = pa.concat_tables([_rows_of(ledger, batch) for batch in some])
        Leases(ledger).check(lease)
        ledger.replace_batches(
            SEQUENCES, rows, [batch for batch, _, _ in some], app=APP, version=ledger.version(SEQUENCES)
        )
    note = ERASED if any(is_any_erased for _, _, is_any_erased in batches) else ""
    delta = ledger.open(SEQUENCES)
    return Mended(SEQUENCES, moved, delta.version(), delta.count(), note=note)


Due = tuple[int, datetime, bool]  # batch, when it was booked, whether records of it are erased


def due(ledger: Ledger) -> list[Due]:
    """The booked batches of which not as many records are counted as were received, canaries apart."""
    columns = ["ingest_seq", "received", "erased", "canary", "recorded_at"]
    received, erased, times = Counter[int](), Counter[int](), dict[int, datetime]()
    for line in ledger.read(BOOKS, columns).to_pylist():
        received[line["ingest_seq"]] += line["received"] - (line["canary"] or 0)
        erased[line["ingest_seq"]] += line["erased"] or 0
        times[line["ingest_seq"]] = line["recorded_at"]
    there = Counter[int]()
    for line in ledger.read(SEQUENCES, ["ingest_seq", "record_count"]).to_pylist():
        there[line["ingest_seq"]] += line["record_count"]
    return [(batch, times[batch], erased[batch] > 0) for batch in sorted(times) if there[batch] != received[batch]]


def _rows_of(ledger: Ledger, batch: Due) -> pa.Table:
    number, at, _ = batch
    lines = ledger.read(BOOKS, ["ingest_seq", "topic", "received"], of_batch(number)).to_pylist()
    topics = {line["topic"] for line in lines if line["received"]}
    return counted(ledger, number, topics, at, is_any_refused=True)
