"""Splitting: a change by its causes, so that the parts are the change, to the last unit (docs/adr/0018)."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from jobs.definitions.causes import DEFINITION_CHANGE, MATURITY, ROLLBACK, SEVERAL, UNEXPLAINED
from jobs.lake.restating.cells import Cell, Change
from jobs.lake.restating.step import Parts, Step

Row = tuple[str, str]  # table, key


def split(step: Step, changes: Iterable[Change], parts: Parts) -> Iterator[tuple[Change, str, int]]:
    """(change, cause, part), no part of nothing; what nobody's news account for has the cause of `rest`."""
    of_row = causes_of_rows(parts)
    for change in changes:
        if change.cell.is_additive:
            yield from ((change, cause, part) for cause, part in _parts_of(step, change, parts).items() if part)
        else:
            causes = of_row.get((change.cell.table, change.cell.key), {rest(step, change.cell)})
            yield change, next(iter(causes)) if len(causes) == 1 else SEVERAL, change.amount


def causes_of_rows(parts: Parts) -> dict[Row, set[str]]:
    """Row → the causes that moved any of its counts, else those with people in it: a quantile has no parts."""
    moved: dict[Row, set[str]] = defaultdict(set)
    there: dict[Row, set[str]] = defaultdict(set)
    for cell, by_cause in parts.items():
        moved[cell.table, cell.key].update(cause for cause, part in by_cause.items() if part)
        there[cell.table, cell.key].update(by_cause)
    return {row: moved[row] or causes for row, causes in there.items() if causes}


def rest(step: Step, cell: Cell) -> str:
    """The cause of what changed without anybody's news: an older release, time, a new meaning; or we cannot tell."""
    if step.is_rollback:
        return ROLLBACK
    if cell.ripens and step.before.facts.watermark != step.after.facts.watermark:
        return MATURITY
    return DEFINITION_CHANGE if step.is_built_anew(cell.table) else UNEXPLAINED


def _parts_of(step: Step, change: Change, parts: Parts) -> dict[str, int]:
    """The parts of a sum; the rest is what is left."""
    found = dict(parts.get(change.cell, {}))
    left = change.amount - sum(found.values())
    cause = rest(step, change.cell)
    return found | {cause: found.get(cause, 0) + left}
