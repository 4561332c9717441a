"""Hours of the books that are hurt or gone, counted again from bronze beside the lake.

What stands and adds up to its line of the books stays. The rest is what batches done again give; where that is not what
was booked, only the books are right: what they have beyond it goes under no hour, if that is accepted.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from jobs.lake.ailments import Ailment, Kind, ailments_of
from jobs.lake.aside import Mended
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.hours import COUNTS, UNREAD, Line, Part, part_of, problems, summed, told_since
from jobs.lake.ingest.booking import telling
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.progress import APP, BOOKS, HOURS, committed
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import paths, taken_out
from jobs.lake.remaking.from_bronze import refuse_unready
from jobs.lake.remaking.plans import remembered
from jobs.lake.remaking.shadow import Shadow
from jobs.lake.remaking.wounds import standing
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

UNTOLD = (
    "lines of the books whose records bronze gives in other numbers today; what they have beyond it is under no hour"
)
Hours = dict[Part, list[Line]]


def count_again(
    settings: Settings, found: list[Ailment], run_id: str, open_spark: Callable[[Settings], Any], *, accept_loss: bool
) -> Mended | None:
    """Put the hours right, under ingest's lease, in one commit; None where nothing is wrong with them.

    WriteError, with every file back in its place, where bronze gives other numbers than were booked, unless accepted.
    """
    ledger = Ledger(settings)
    with Leases(ledger).held(LEASE, run_id) as lease, taken_out(settings, HOURS, found) as moved:
        refuse_unready(ledger, HOURS)
        if ailments_of(settings, BOOKS):
            raise UsageError(f"{HOURS}: adds up to {BOOKS}, which is hurt itself; run `reelhouse repair {BOOKS}`")
        shadow = Shadow(settings, HOURS, run_id, open_spark)
        lines, there = lines_since(ledger, told_since(ledger) or 0), by_line(whole(settings, shadow, found))
        off = [line for line in lines if differs(line, there)]
        strays = there.keys() - {part_of(line) for line in lines}
        if not (off or found or strays):
            return None
        again = made(settings, shadow, off, lambda: Leases(ledger).check(lease))
        untold = [line for line in off if differs(line, again)]
        if untold and not accept_loss:
            raise WriteError(
                f"{HOURS}: {len(untold)} {UNTOLD}; nothing was changed. Take them so with `reelhouse repair {HOURS} "
                "--accept-loss`; see docs/runbooks/books.md"
            )
        right = {part_of(line): there.get(part_of(line), []) for line in lines}
        right |= {part_of(line): list(telling(completed(line, again.get(part_of(line), [])))) for line in off}
        Leases(ledger).check(lease)
        rows = [hour for hours in right.values() for hour in hours]
        version = write(ledger, rows, committed(ledger, BOOKS))
    note = f"{len(untold)} {UNTOLD}" if untold else ""
    return Mended(HOURS, paths(moved), version, len(rows), note=note)


def lines_since(ledger: Ledger, since: int) -> list[Line]:
    """The lines of the books from a batch on."""
    return list(ledger.read(BOOKS, filter=[[("ingest_seq", ">=", since)]]).to_pylist(maps_as_pydicts="strict"))


def whole(settings: Settings, shadow: Shadow, found: Sequence[Ailment]) -> list[Line]:
    """The hours of the files that are whole."""
    if any(each.kind is Kind.data for each in found):
        rows = standing(Lake(settings, shadow.lake.spark), HOURS).toArrow()
        return list(rows.to_pylist(maps_as_pydicts="strict"))
    return list(Ledger(settings).read(HOURS).to_pylist(maps_as_pydicts="strict"))


def by_line(hours: Iterable[Line]) -> Hours:
    """Hours by the line of the books that they are of."""
    found: Hours = defaultdict(list)
    for hour in hours:
        found[part_of(hour)].append(hour)
    return dict(found)


def differs(line: Line, hours: Hours) -> bool:
    """Whether a line of the books is not what its hours add up to."""
    return bool(wrong_in(line, hours.get(part_of(line), [])))


def wrong_in(line: Line, hours: Iterable[Line]) -> list[str]:
    """What is wrong with the hours of a line of the books."""
    nothing = {**line, **dict.fromkeys(COUNTS, 0), "reason_counts": {}}
    return problems(line, summed([nothing, *hours])[part_of(line)])


def made(settings: Settings, shadow: Shadow, lines: Sequence[Line], still_ours: Callable[[], None]) -> Hours:
    """The hours of these lines as batches done again give them."""
    if not lines:
        return {}
    lake = Lake(settings, shadow.lake.spark)
    shadow.do_again(remembered(lake), committed(Ledger(settings), BOOKS), still_ours)
    return by_line(shadow.ledger.read(HOURS).to_pylist(maps_as_pydicts="strict"))


def completed(line: Line, hours: Sequence[Line]) -> list[Line]:
    """The hours of a line, and under none what it has beyond them."""
    if not wrong_in(line, hours):
        return list(hours)
    place = {name: line[name] for name in ("ingest_seq", "topic", "topic_id", "partition")}
    there = {hour["event_hour"]: hour for hour in hours}
    nothing = {**place, "event_hour": None, **dict.fromkeys(COUNTS, 0), "reason_counts": {}}
    without = there.get(None, nothing)
    counts, reasons = summed([nothing, *hours])[part_of(line)]
    beyond = {name: (line[name] or 0) - counts[name] for name in COUNTS}
    refused = {reason: n for reason, n in line["reason_counts"].items() if reason not in UNREAD}
    told = dict(without["reason_counts"])
    for reason in {*refused, *reasons}:
        told[reason] = told.get(reason, 0) + refused.get(reason, 0) - reasons[reason]
    none = {**without, **{name: (without[name] or 0) + beyond[name] for name in COUNTS}, "reason_counts": told}
    return [none, *(hour for at, hour in there.items() if at is not None)]


def write(ledger: Ledger, rows: Sequence[Line], last: int) -> int:
    """Put the rows in place of all that there are; the version of the table then.

    The commit says which batch is the newest: a table that was lost as a whole knows no more.
    """
    now, is_behind = ledger.open(HOURS).version(), committed(ledger, HOURS) < last
    ledger.replace(HOURS, rows, on_version=now, app=APP if is_behind else None, version=last)
    return ledger.version(HOURS)


def put_back(ledger: Ledger, made_again: Ledger, batches: set[int], since: int) -> None:
    """The hours of batches whose lines are written again, as these say; before the lines, and not before `since`."""
    again = {batch for batch in batches if batch >= since}
    if not again:
        return
    there, theirs = (each.read(HOURS).to_pylist(maps_as_pydicts="strict") for each in (ledger, made_again))
    new = [hour for hour in theirs if hour["ingest_seq"] in again]
    if sorted(map(_words, new)) != sorted(_words(hour) for hour in there if hour["ingest_seq"] in again):
        write(ledger, [*(hour for hour in there if hour["ingest_seq"] not in again), *new], max(again))


def _words(hour: Line) -> str:
    return str(sorted((name, str(value)) for name, value in hour.items()))
