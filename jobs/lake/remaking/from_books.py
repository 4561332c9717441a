"""Plans that were kept (`ops.landings`): the books tell them too, and what is younger stands in bronze's log."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from jobs.lake.ailments import Ailment, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.erasures import erasures
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.ingest.landings import TABLE, in_log, kept, put_by, rows_of
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BOOKS
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import paths, taken_out
from jobs.lake.mending import proven as proven_by_log
from jobs.lake.remaking.plans import booked_plans
from jobs.lake.remaking.wounds import heal, proven, standing, wound_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake


def keep_again(settings: Settings, run_id: str, open_spark: Callable[[Settings], Any]) -> Mended:
    """Put the rows of hurt files back, under ingest's lease; WriteError, and nothing changed, if not all are told."""
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease:
        known, lake, wound = told(ledger), Lake(settings, open_spark(settings)), wound_of(settings, TABLE)
        there = {line["ingest_seq"] for line in standing(lake, TABLE, wound).toArrow().to_pylist()}
        rows = rows_of({number: plan for number, plan in known.items() if number not in there})
        if len(rows) < wound.lost:
            raise WriteError(
                f"{TABLE}: the hurt files held {wound.lost} plans, and {len(rows)} are told elsewhere; nothing was "
                "changed. Put the files back from a copy"
            )
        Leases(ledger).check(lease)
        frame = lake.spark.createDataFrame(rows, lake.contract(TABLE).spark_schema()) if rows else None
        return proven(ledger, TABLE, wound.standing + len(rows), heal(lake, wound, frame, run_id))


def undo_and_keep_again(settings: Settings, found: list[Ailment], run_id: str) -> Mended:
    """Set the torn newest commit aside and put by all that is told and not there."""
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id), taken_out(settings, TABLE, found) as moved:
        proven_by_log(ledger, TABLE)
        there = kept(ledger)
        put_by(ledger, {number: plan for number, plan in told(ledger).items() if number not in there})
        version, rows = proven_by_log(ledger, TABLE)
    return Mended(TABLE, paths(moved), version, rows)


def told(ledger: Ledger) -> dict[int, Plan]:
    """The plans of all booked batches, by the books and bronze's log; UsageError for books that are hurt themselves."""
    if ailments_of(ledger.settings, BOOKS):
        raise UsageError(f"{TABLE}: is made again from {BOOKS}, which is hurt itself; run `reelhouse repair {BOOKS}`")
    of_people = erasures(ledger)
    of_books = booked_plans(ledger.read(BOOKS).to_pylist(maps_as_pydicts="strict"))
    plans = {number: replace(plan, erasure=of_people.get(number)) for number, plan in of_books.items()}
    return plans | {number: plan for number, plan in in_log(ledger).items() if number in plans}
