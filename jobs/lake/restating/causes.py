"""Causes: which news changed the cells of a release, family by family."""

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import date
from itertools import product
from typing import TYPE_CHECKING, Any

from pyspark.sql import functions as F

from jobs.definitions.causes import ERASURE, ON_TIME, REVERSAL, SEVERAL
from jobs.lake.erasures import is_any_between
from jobs.lake.families import funnel_causes
from jobs.lake.families.funnel_tables import ATTEMPTS, CONVERSIONS, DAILY, OPENINGS, PATHS, Silver
from jobs.lake.families.funnels import SILVER
from jobs.lake.ingest.progress import TOUCHED
from jobs.lake.ledger import Ledger, as_json
from jobs.lake.restating.cells import Cell, Change, key_of, measures
from jobs.lake.restating.step import Parts, Step
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SEGMENTS, RETENTION = "gold.segment_daily", "gold.retention_weekly"
SIGNS = {funnel_causes.BEFORE: -1, funnel_causes.AFTER: 1}


def of_funnels(lake: Lake, step: Step, changes: Sequence[Change]) -> Parts:
    """By how much each cause's people changed the counts of the changed rows; two jobs at most."""
    from jobs.definitions.funnel.checking import read_definitions

    definitions = read_definitions(lake.settings.schemas_dir)
    news = lake.keep(news_of(lake, step))
    parts = _nothing_yet(lake, changes)
    changed = {change.cell.table for change in changes}
    if DAILY in changed:
        before, after = ledgers(lake, step, step.days(DAILY), "entry_date")
        level = step.after.facts.watermark
        _add(lake, DAILY, funnel_causes.daily_parts(before, after, news, definitions, level), parts)
    if CONVERSIONS in changed:
        before, after = ledgers(lake, step, step.days(CONVERSIONS), "conversion_date")
        _add(lake, CONVERSIONS, funnel_causes.conversion_parts(before, after, news, definitions), parts)
    if PATHS in changed:
        before, after = ledgers(lake, step, step.days(PATHS), "entry_date")
        told = (lake.read(PATHS, release.versions[PATHS]) for release in (step.before, step.after))
        _add(lake, PATHS, funnel_causes.path_parts(before, after, news, *told), parts)
        share_other_names(step, [one for one in changes if one.cell.table == PATHS], parts)
    return parts


def share_other_names(step: Step, changes: Sequence[Change], parts: dict[Cell, dict[str, int]]) -> None:
    """Put down what an act lost or won because others came before it to the news of its group, `several` if of many.

    Nobody whose attempts are counted under another name now needs to have news.
    """
    by_group: dict[str, set[str]] = defaultdict(set)
    for cell, found in parts.items():
        if cell.table == PATHS:
            by_group[_group_of(cell)].update(cause for cause, part in found.items() if part)
    for change in changes:
        causes, found = by_group[_group_of(change.cell)], parts[change.cell]
        if causes and not step.is_built_anew(PATHS) and (left := change.amount - sum(found.values())):
            cause = next(iter(causes)) if len(causes) == 1 else SEVERAL
            found[cause] = found.get(cause, 0) + left


def _group_of(cell: Cell) -> str:
    """The row's grain without the act."""
    return as_json({name: value for name, value in json.loads(cell.key).items() if name != "act"})


def news_of(lake: Lake, step: Step) -> "DataFrame":
    """(user_id, cause) of everybody with news since the release before."""
    silver = Silver(*(lake.read(table) for table in SILVER))
    undone = lake.read("ops.retractions").select(F.col("replay_id").alias("run_id"))
    replayed = lake.read("ops.replays").join(undone, on=["run_id"], how="left_anti")
    level, touched = step.before.facts.watermark, lake.read(TOUCHED)
    return funnel_causes.people(silver, step.since, step.until, level, replayed, touched)


def ledgers(
    lake: Lake, step: Step, days: Sequence[date], column: str
) -> tuple[funnel_causes.Ledgers, funnel_causes.Ledgers]:
    """The attempts and openings of those days (none: of all), as the two releases have them."""

    def chosen(table: str, version: int, by: str) -> "DataFrame":
        rows = lake.read(table, version)
        return rows.where(F.col(by).isin(*days)) if days else rows

    before, after = (
        funnel_causes.Ledgers(
            chosen(ATTEMPTS, release.versions[ATTEMPTS], column),
            chosen(OPENINGS, release.versions[OPENINGS], "entry_date"),
        )
        for release in (step.before, step.after)
    )
    return before, after


def of_scores(lake: Lake, step: Step, changes: Sequence[Change]) -> Parts:
    """A cell whose day or week was not over is of the news of its time; an older week of what news there are else.

    Nothing changes an older day of the segments but that a person was erased.
    """
    going_on = _open_rows(lake, step, {change.cell.table for change in changes})
    weeks = [one for one in changes if one.cell.table == RETENTION and one.cell.key not in going_on[RETENTION]]
    cause = _of_closed_weeks(lake, step) if weeks else None
    open_ones = [one for one in changes if one.cell.key in going_on[one.cell.table]]
    parts = {one.cell: {ON_TIME: one.amount} for one in open_ones}
    parts |= {one.cell: {cause: one.amount} for one in weeks} if cause else {}
    if is_any_between(Ledger(lake.settings), step.since, step.after.facts.ingest_seq):
        days = [one for one in changes if one.cell.table == SEGMENTS and one.cell.key not in going_on[SEGMENTS]]
        parts |= {one.cell: {ERASURE: one.amount} for one in days}
    return parts


def _open_rows(lake: Lake, step: Step, tables: set[str]) -> dict[str, set[str]]:
    """Table → keys of the rows that were not complete in the release before, or are not in this one."""
    found: dict[str, set[str]] = defaultdict(set)
    for table, release in product(tables, (step.before, step.after)):
        rows = lake.read(table, release.versions[table])
        if table == RETENTION:
            rows = rows.where("NOT is_mature")
        elif table == SEGMENTS:
            rows = rows.join(rows.agg(F.max("as_of_day").alias("as_of_day")), on=["as_of_day"], how="left_semi")
        grain = lake.contract(table).grain
        found[table] |= {key_of(row.asDict(), grain) for row in rows.select(*grain).collect()}
    return found


def _of_closed_weeks(lake: Lake, step: Step) -> str | None:
    """The only cause that the news since then have, several, or None: a refund makes nobody come back."""
    causes = {row["cause"] for row in news_of(lake, step).select("cause").distinct().collect()}
    told = sorted(causes - {ON_TIME, REVERSAL})
    return (told[0] if len(told) == 1 else SEVERAL) if told else None


def _nothing_yet(lake: Lake, changes: Sequence[Change]) -> dict[Cell, dict[str, int]]:
    """All sums of the changed rows, those that stayed too: a quantile's causes are those of its row."""
    rows = {(change.cell.table, change.cell.key) for change in changes}
    return {Cell(table, key, name): {} for table, key in rows for name in _sums(lake, table)}


def _sums(lake: Lake, table: str) -> list[str]:
    return [name for name in measures(lake.contract(table)) if Cell(table, "", name).is_additive]


def _add(lake: Lake, table: str, rows: "DataFrame", parts: dict[Cell, dict[str, int]]) -> None:
    """Add what these rows come to, now less then, to the parts of the cells that changed."""
    promised = lake.contract(table)
    names = _sums(lake, table)
    told: list[dict[str, Any]] = rows.select("cause", "side", *promised.grain, *names).toArrow().to_pylist()
    for row in told:
        key = key_of(row, promised.grain)
        for name in names:
            by_cause = parts.get(Cell(table, key, name))
            if by_cause is not None:
                cause = row["cause"]
                by_cause[cause] = by_cause.get(cause, 0) + SIGNS[row["side"]] * int(row[name])
