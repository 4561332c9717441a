"""Tables that ingest writes: the rows of hurt files are those that bronze gives and the whole files have not.

So are rows that are missing by the books though no file is hurt, and all of a table that is gone (jobs/lake/owing.py).

Proven before anything is touched: every row that stands is one that bronze gives, and what they lack is as many rows
as the hurt files held.
"""

from collections.abc import Callable, Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.definitions.events.numbered import SENDER
from jobs.lake.ailments import ailments_of
from jobs.lake.aside import Mended
from jobs.lake.digest import digest
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import APP, BOOKS, BRONZE, TOUCHED, committed
from jobs.lake.leases import Lease, Leases
from jobs.lake.ledger import Ledger
from jobs.lake.owing import Owed, owed
from jobs.lake.remaking.keys import are_known
from jobs.lake.remaking.plans import remembered
from jobs.lake.remaking.shadow import Shadow, topics_of
from jobs.lake.remaking.wounds import Wound, heal, proven, standing, wound_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

BOOKED = ("run_id", "recorded_at")  # of the run that booked a batch; nothing may be left that tells them
NEWER = (*BOOKED, "event_hour", *SENDER)  # and what rows of quarantine that are older than it do not tell
OTHERWISE = "rows that stand read otherwise by the rules or keys of today (or none stand), so those made again may, too"
REMEDY = "Put the files back from a copy, or take the rows so with `reelhouse repair {} --accept-loss`"


def remake(
    settings: Settings,
    table: str,
    run_id: str,
    open_spark: Callable[[Settings], Any],
    *,
    accept_loss: bool,
    held: Lease | None = None,
) -> Mended:
    """Put the rows of the hurt files back, under ingest's lease; nothing is changed when that cannot be proven.

    `accept_loss`: where the rules of today read what stands otherwise, the rows are what those make of them. `held`:
    the lease, of who has it already.
    """
    ledger = Ledger(settings)
    with nullcontext(held) if held else Leases(ledger).held(LEASE, run_id) as lease:
        refuse_unready(ledger, table)
        ledger.widen(table)
        wound = wound_of(settings, table)
        told = None if wound.files else owed(ledger)  # what ails the table may ail the books, too
        refuse_untold(told, table)
        shadow = Shadow(settings, table, run_id, open_spark)
        lake = Lake(settings, shadow.lake.spark)
        shadow.do_again(remembered(lake), committed(ledger, BOOKS), lambda: Leases(ledger).check(lease))
        if told:  # what is missing was taken out of whole files, or went with them
            wound = replace(wound, lost=lost_by_books(told, shadow, wound))
        rows, note = lacking(lake, wound, shadow.lake.read(table))
        if note and not accept_loss:
            raise WriteError(f"{table}: {note}; nothing was changed. {REMEDY.format(table)}")
        Leases(ledger).check(lease)
        moved = heal(lake, wound, rows, run_id, mark_of(told, shadow) if told else None)
        return proven(ledger, table, wound.standing + wound.lost, moved, note)


def refuse_unready(ledger: Ledger, table: str) -> None:
    """UsageError while bronze is hurt itself, or a batch is half done that the table has already."""
    if ailments_of(ledger.settings, BRONZE):
        raise UsageError(f"{table}: is made again from {BRONZE}, which is hurt itself; run `reelhouse repair {BRONZE}`")
    if table != BOOKS and committed(ledger, table) > (complete := committed(ledger, BOOKS)):
        raise UsageError(
            f"{table}: batch {complete + 1} is half done, and to go on with it the table is read as it was before; run "
            "`reelhouse ingest`, or put the file back from a copy"
        )


def refuse_untold(told: Owed | None, table: str) -> None:
    """WriteError where all of `ops.touched`, or its newest commit, is gone, and somebody was erased.

    The days of who was erased are told by nothing else.
    """
    if told and table == TOUCHED and told.missing(table) & told.erased.keys():
        raise WriteError(f"{table}: somebody was erased, and nothing else tells of whom; put it back from a copy")


def lost_by_books(told: Owed, shadow: Shadow, wound: Wound) -> int:
    """How many rows a table of whole files lacks; WriteError where bronze gives other books than those that stand.

    Of the ledger the books do not say how many rows it has: there it is as many as are made.
    """
    if told.missing(wound.table):
        refuse_other_books(told, shadow)
    if told.rows(wound.table) is not None:
        return told.lacking(wound.table)
    return max(0, shadow.ledger.open(wound.table).count() - wound.standing)


def refuse_other_books(told: Owed, shadow: Shadow) -> None:
    """WriteError unless the batches that were done again have brought as many rows, and refused as many records."""
    again = owed(shadow.ledger)
    for topic in sorted(topics_of(shadow.table)):
        said, made = (
            each.books.filter(pc.field("topic") == topic).select(["accepted", "quarantined"]) for each in (told, again)
        )
        counts = [{name: pc.sum(each[name]).as_py() or 0 for name in each.column_names} for each in (said, made)]
        if counts[0] != counts[1]:
            raise WriteError(
                f"{shadow.table}: of {topic} {BOOKS} says {counts[0]}, and {BRONZE} gives {counts[1]}; nothing was "
                "changed. Put the table back from a copy"
            )


def mark_of(told: Owed, shadow: Shadow) -> tuple[str, int] | None:
    """What the commit of the rows stands for where commits of batches are gone; None where none is."""
    missing = told.missing(shadow.table)
    return (APP, max(committed(shadow.ledger, shadow.table), *missing)) if missing else None


def lacking(lake: Lake, wound: Wound, made: "DataFrame") -> "tuple[DataFrame | None, str]":
    """The rows that are made and do not stand (None when all do), and a note on those that do.

    WriteError when rows stand that are not made, or the others are not as many as are lost.
    """
    there, keys = standing(lake, wound.table, wound), lake.contract(wound.table).grain
    strange, lost = _joined(there, made, keys, "left_anti").count(), _joined(made, there, keys, "left_anti")
    missing = lost.count()
    if strange or missing != wound.lost:
        raise WriteError(
            f"{wound.table}: {'the hurt files held' if wound.files else 'it lacks'} {wound.lost} rows, {BRONZE} gives "
            f"{missing} that are not there, and {strange} are there that it does not give; nothing was changed. Put "
            "the files back from a copy"
        )
    is_same = digest(there, NEWER) == digest(_joined(made, there, keys, "left_semi"), NEWER)
    is_proven = is_same and are_known(lake, wound)
    return lost if missing else None, "" if is_proven else OTHERWISE


def _joined(rows: "DataFrame", others: "DataFrame", keys: Iterable[str], how: str) -> "DataFrame":
    """Rows by whether others have their keys, of which some may be null."""
    theirs = others.select(*(F.col(key).alias(f"_{key}") for key in keys))
    on = reduce(and_, [F.col(key).eqNullSafe(F.col(f"_{key}")) for key in keys])
    return rows.join(theirs, on=on, how=how)
