"""Erasing a person: a batch like any other, but that it reads nothing new and empties what older batches read.

Its commit to bronze comes first and says what it is, so whoever finds it begun ends it (`forgetting`), as with every
batch.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.lake.erasures import FOR_EVER, Erasure, horizons
from jobs.lake.errors import UsageError
from jobs.lake.ingest.counting import landed_plan
from jobs.lake.ingest.erased import emptied
from jobs.lake.ingest.finding import Found, find
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BRONZE, Progress, progress, sound_progress
from jobs.lake.ingest.refusals import IN_BRONZE
from jobs.lake.ingest.steps import Done
from jobs.lake.kill_points import reach
from jobs.lake.ledger import Ledger
from jobs.lake.small_runs import forget_the_killed
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from jobs.lake.ingest.loop import Ingest


@dataclass(frozen=True)
class Asked:
    """Who asks for whom to be erased, and why; `is_later_refused`: nothing of them is to be taken in again either."""

    user: str
    why: str
    asked_by: str
    at: datetime
    is_later_refused: bool = False


def erase(ingest: "Ingest", asked: Asked) -> tuple[Found, Done | None]:
    """Erase a person, after ending what was begun.

    Where nothing of them is left the batch only says until when: what is unread of them, or not sent yet, goes as well.
    None is made where that was said before.
    """
    from jobs.lake.ingest.loop import LEASE

    with ingest.leases.held(LEASE, ingest.run_id) as lease:
        ingest.refuse_gone()  # what it had of the person would not be found
        while True:
            while sound_progress(ingest.ledger).is_unfinished:
                ingest.once(lease)
            lake = ingest.lake()
            forget_the_killed(lake.settings)
            found = find(lake, asked.user)
            refuse_named(asked, found.names)
            if found.is_nothing and is_known(ingest.ledger, found, asked):
                return found, None
            planned = planned_for(progress(ingest.ledger), found, asked)
            reach("erase.before_bronze")
            ingest.leases.check(lease)
            empty(lake, planned, found)
            reach("erase.after_bronze")
            landed = landed_plan(ingest.ledger, planned.ingest_seq)
            done = ingest.finish(landed, lease)
            # Else what lies there under this number is an orphan's: the server went on with what a killed run had
            # begun, and Delta skipped ours. What the orphan landed may be the person's, too.
            if landed.erasure == planned.erasure:
                return found, done


def refuse_named(asked: Asked, names: Collection[str]) -> None:
    """UsageError for a reason that names the person: it is kept."""
    told = "|".join(re.escape(name) for name in (asked.user, *names))
    if re.search(rf"(?<!\w)({told})(?!\w)", asked.why):
        raise UsageError("--reason names the person, and is kept; write the number of the request instead")


def is_known(ledger: Ledger, found: Found, asked: Asked) -> bool:
    """Whether an erasure says of the person what this one would, or more."""
    known, until = horizons(ledger), FOR_EVER if asked.is_later_refused else asked.at
    return all(mark in known and known[mark] >= until for mark in found.marks)


def planned_for(reached: Progress, found: Found, asked: Asked) -> Plan:
    """The batch: where every partition stands, and nothing to read of it."""
    ranges = {topic: {n: (end, end) for n, end in parts.items()} for topic, parts in reached.next_offsets.items()}
    told = (asked.at, asked.is_later_refused, asked.asked_by, asked.why)
    erasure = Erasure(found.marks, *told, dict(found.records), dict(found.rows))
    return Plan(reached.complete + 1, ranges, reached.topic_ids, erasure=erasure)


def empty(lake: Lake, planned: Plan, found: Found) -> None:
    """Take key, value and headers from the person's records, in the commit that says what the batch is.

    What bronze has given up of them has its place there again, as empty.
    """
    note, seq = json.dumps(planned.note(), separators=(",", ":")), planned.ingest_seq
    marked = lake.read(BRONZE).join(found.places.drop("topic"), on=list(IN_BRONZE), how="inner")
    if found.given_up:
        marked = marked.unionByName(lake.spark.createDataFrame(found.given_up, marked.schema))
    rows = marked.transform(emptied, F.lit(seq)).drop("_mark")
    if found.records:
        lake.merge(BRONZE, rows, IN_BRONZE, app=APP, version=seq, metadata=note)
    else:  # a merge of nothing would be no commit
        lake.append_few(BRONZE, rows, app=APP, version=seq, metadata=note)
