"""Lines of the books that are gone without a trace, written again from bronze once tables prove that batches ended.

Ingest takes a batch that is not booked for one that is begun, and does it again against the tables as they were before
it; where upkeep has removed those versions it cannot. Here all batches are done again beside the lake. A batch had
ended if every table has the rows of it that it has there.
"""

from collections.abc import Callable, Iterable
from typing import Any

from jobs.lake.ailments import BY_BATCH, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.digest import digest
from jobs.lake.erasures import erasures
from jobs.lake.errors import WriteError
from jobs.lake.hours import told_since
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import (
    APP,
    BOOKS,
    BRONZE,
    SEQUENCES,
    TOUCHED,
    Progress,
    committed,
    progress,
    uncounted,
)
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.from_bronze import BOOKED, NEWER, OTHERWISE, refuse_unready
from jobs.lake.remaking.hours_again import put_back
from jobs.lake.remaking.plans import Line, Part, part_of, remembered
from jobs.lake.remaking.shadow import Shadow
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

INGEST, RECOUNT = "reelhouse ingest", f"reelhouse repair {SEQUENCES}"
COPY = f"nothing was changed. Put {BOOKS} back from a copy; see docs/runbooks/lake.md"


def rebook(
    settings: Settings, run_id: str, open_spark: Callable[[Settings], Any], *, accept_loss: bool
) -> Mended | None:
    """Write the lines again, under ingest's lease; None where none is gone.

    Of the newest batch only if it had ended; else ingest ends it. Producers' numbers of batches that were killed before
    them are counted, too. WriteError, with nothing changed, where the tables
    have other rows than bronze gives, or, unless accepted, rows that today's rules or keys read otherwise.
    """
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease:
        reached = progress(ledger)
        if not reached.is_unfinished:
            return None
        refuse_unready(ledger, BOOKS)
        shadow = Shadow(settings, BOOKS, run_id, open_spark)
        shadow.clear()  # one that was left by a killed repair may be of before an erasure
        lake = Lake(settings, shadow.lake.spark)
        last = ended(lake, shadow, reached, lambda: Leases(ledger).check(lease))
        note = "" if last == reached.complete or is_read_alike(lake, shadow, last) else OTHERWISE
        if note and not accept_loss:
            raise WriteError(
                f"{BOOKS}: {note}; {COPY}, or take the lines so with `reelhouse repair {BOOKS} --accept-loss`"
            )
        Leases(ledger).check(lease)
        are_numbers_whole = not ailments_of(settings, SEQUENCES)
        if last > reached.complete:
            if are_numbers_whole:
                count(ledger, shadow.ledger, last)
            since = told_since(ledger)
            write(ledger, shadow.ledger, last, reached.complete + 1 if since is None else since)
        is_counted = are_numbers_whole and not uncounted(ledger)
        steps = [*[INGEST] * (last < reached.landed), *[RECOUNT] * (not is_counted)]
        delta = ledger.open(BOOKS)
        return Mended(BOOKS, (), delta.version(), delta.count(), ", then ".join(steps), note)


def ended(lake: Lake, shadow: Shadow, reached: Progress, still_ours: Callable[[], None]) -> int:
    """The newest batch that had ended; WriteError where not even that before the newest in bronze had."""
    memory, last, ledger = remembered(lake), reached.complete, Ledger(lake.settings)
    for number in (reached.landed - 1, reached.landed):
        shadow.do_again(memory, number, still_ours)
        if number > last and not (behind := list(unlike(ledger, shadow.ledger, number))):
            last = number
    if last < reached.landed - 1:
        raise WriteError(
            f"{BOOKS}: {', '.join(behind)} have other rows of batches up to {reached.landed} than {BRONZE} gives, so "
            f"nothing says which of them had ended; {COPY}"
        )
    return last


def unlike(ledger: Ledger, made: Ledger, last: int) -> Iterable[str]:
    """The tables that lack a commit that was made, or have other numbers of rows of a batch, up to the last.

    Of who was erased `ops.touched` has lines that nothing makes again.
    """
    is_any_erased = bool(erasures(ledger))
    for table in (table for table in BY_BATCH if table != BOOKS):
        is_counted = table != TOUCHED or not is_any_erased
        is_behind = committed(ledger, table) < committed(made, table)
        if is_behind or (is_counted and counted(ledger, table, last) != counted(made, table, last)):
            yield table


def counted(ledger: Ledger, table: str, last: int) -> dict[int, int]:
    """Batch → its rows in a table, up to the last batch."""
    told = ledger.read(table, ["ingest_seq"], [[("ingest_seq", "<=", last)]])
    return {line["values"]: line["counts"] for line in told["ingest_seq"].value_counts().to_pylist()}


def is_read_alike(lake: Lake, shadow: Shadow, last: int) -> bool:
    """Whether the rows of silver are the same, value by value."""
    tables = [table for table in BY_BATCH if table.startswith("silver.") and lake.exists(table)]
    until = f"ingest_seq <= {int(last)}"
    return all(
        digest(lake.read(table).where(until), NEWER) == digest(shadow.lake.read(table).where(until), NEWER)
        for table in tables
    )


def count(ledger: Ledger, made: Ledger, last: int) -> None:
    """Put by the producers' numbers of the batches up to the last that wrote none; before the lines, as ingest does.

    Under its name, so that ingest writes them no second time where this is killed before the lines.
    """
    newer = [[("ingest_seq", ">", committed(ledger, SEQUENCES)), ("ingest_seq", "<=", last)]]
    rows = made.read(SEQUENCES, filter=newer).to_pylist()
    if rows:
        ledger.append(SEQUENCES, rows, app=APP, version=last)


def lines_to(made: Ledger, last: int) -> dict[Part, Line]:
    """The lines that the batches write up to the last."""
    lines = made.read(BOOKS, filter=[[("ingest_seq", "<=", last)]]).to_pylist(maps_as_pydicts="strict")
    return {part_of(line): line for line in lines}


def write(ledger: Ledger, again: Ledger, last: int, hours_since: int) -> None:
    """Write those that are not there; and those that an erasure has moved records in, in place of what stands.

    Before them their hours, from the first batch on that has any.
    """
    made = lines_to(again, last)
    lines = ledger.read(BOOKS).to_pylist(maps_as_pydicts="strict")
    there = {part_of(line): line for line in lines}
    moved = {part[0] for part, line in there.items() if part in made and _words(line) != _words(made[part])}
    new = [line for part, line in made.items() if part not in there or part[0] in moved]
    put_back(ledger, again, {line["ingest_seq"] for line in new}, hours_since)
    if moved:
        ledger.replace_batches(BOOKS, new, {line["ingest_seq"] for line in new}, app=APP, version=last)
    else:
        ledger.append(BOOKS, new, app=APP, version=last)


def _words(line: Line) -> dict[str, Any]:
    return {name: value for name, value in line.items() if name not in BOOKED}
