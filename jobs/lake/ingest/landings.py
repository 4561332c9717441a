"""What each batch was to read, kept for longer than bronze's log has its commits (`ops.landings`).

Books that are lost are written again by these plans, and nothing else tells them: rows of bronze do not say where a
batch ended, for offsets may hold no record.
"""

import json
from collections.abc import Collection

from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ledger import Ledger, as_json
from jobs.lake.small_commits import note_of

TABLE, APP = "ops.landings", "landings"


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
    """Put by what bronze's log has and the table has not; of every batch once."""
    done = newest_kept(ledger)
    plans = {number: plan for number, plan in in_log(ledger).items() if number > done}
    if plans:
        ledger.append(TABLE, rows_of(plans), app=APP, version=max(plans))


def newest_kept(ledger: Ledger) -> int:
    """The newest batch whose plan was kept; -1 for none."""
    version = ledger.open(TABLE).transaction_version(APP)
    return -1 if version is None else version


def rows_of(plans: dict[int, Plan]) -> list[dict[str, object]]:
    """Rows of the table."""
    return [{"ingest_seq": number, "plan": as_json(plan.note())} for number, plan in sorted(plans.items())]
