"""What each batch was to read, kept for longer than bronze's log has its commits (`ops.landings`).

Books that are lost are written again by these plans, and nothing else tells them: rows of bronze do not say where a
batch ended, for offsets may hold no record.
"""

import json
from collections.abc import Collection, Mapping

from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BOOKS, BRONZE, committed
from jobs.lake.ledger import Ledger, as_json
from jobs.lake.small_commits import note_of

TABLE = "ops.landings"


def in_log(ledger: Ledger) -> dict[int, Plan]:
    """Batch → its plan, of the commits to bronze that its log still has."""
    commits = ledger.open(BRONZE).history() if ledger.exists(BRONZE) else []
    notes = map(note_of, commits)
    return {note["ingest_seq"]: Plan.from_note(note) for note in notes if "ranges" in note}


def kept(ledger: Ledger, batches: Collection[int] | None = None) -> dict[int, Plan]:
    """Batch → its plan, of those that were kept before the log was cut; of all, or of these."""
    wanted = None if batches is None else [[("ingest_seq", "in", list(batches))]]
    return plans_of(ledger.read(TABLE, filter=wanted).to_pylist())


def plans_of(lines: Collection[dict[str, object]]) -> dict[int, Plan]:
    """Batch → its plan, of rows of the table."""
    notes = [json.loads(str(line["plan"])) for line in lines]
    return {note["ingest_seq"]: Plan.from_note(note) for note in notes}


def keep(ledger: Ledger) -> None:
    """Put by the plans of booked batches that bronze's log has and the table has not."""
    until = committed(ledger, BOOKS)  # one that is begun may still be planned anew, where its commit is lost
    plans = {number: plan for number, plan in in_log(ledger).items() if number <= until}
    if plans:
        there = ledger.read(TABLE, ["ingest_seq"], [[("ingest_seq", ">=", min(plans))]])["ingest_seq"].to_pylist()
        put_by(ledger, {number: plan for number, plan in plans.items() if number not in set(there)})


def put_by(ledger: Ledger, plans: Mapping[int, Plan]) -> None:
    """Add them; who calls holds ingest's lease and has looked which are not there."""
    if plans:
        ledger.append(TABLE, rows_of(plans))


def rows_of(plans: Mapping[int, Plan]) -> list[dict[str, object]]:
    """Rows of the table."""
    return [{"ingest_seq": number, "plan": as_json(plan.note())} for number, plan in sorted(plans.items())]
