"""The history of one published number: what each release said, by how much it changed, and why."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import groupby
from typing import TYPE_CHECKING, Any

from jobs.lake.contracts import Column, Contract, contract
from jobs.lake.errors import UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, number_of, releases
from jobs.lake.restating.cells import ALL_NUMBERS, ALL_ROWS, RESTATED, key_of, measures
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.serve.asked import day_of
from jobs.serve.tables import public_tables, published_version

if TYPE_CHECKING:
    from pyarrow.compute import Expression

Row = dict[str, Any]
COLUMNS = ("release", "released_at", "measure", "value", "change", "causes")
SHOWN = 8
# What of a table that is published, and has no restatements, tells what it was and when that changed.
TOLD_ELSEWHERE = {
    "gold.user_profiles": "each state, and since when it was known, is a row of gold.user_profiles_history",
    "gold.user_profiles_history": "it is one, a row per state (known_from says since when), and no row of it changes",
    "gold.user_interests": "the top of a person's is in gold.user_profiles_history (top_interests)",
    "gold.user_scores": "the people of each value tier have one in gold.segment_daily (dimension value_tier)",
    "gold.funnel_attempts": "what is summed up from it has one in gold.funnel_daily, …_conversions and …_paths",
    "gold.funnel_openings": "what is summed up from it has one in gold.funnel_daily",
}


def history(
    settings: Settings, table: str, asked: Sequence[str], measure: str = "", as_of: datetime | None = None
) -> list[Row]:
    """One row per measure and release that changed it, the first one first, in COLUMNS; `asked` has column=value texts.

    Without `measure` all that ever changed; with `as_of` as far as it was told by then, so that the last value of each
    is what was said that day. UsageError for a table, column or value that is not there, or was not yet.
    """
    if table not in RESTATED:
        raise UsageError(_what_tells_instead(settings, table))
    promised = contract(table, settings.schemas_dir)
    if measure and measure not in measures(promised):
        raise UsageError(f"{table} counts no {measure!r}; it counts {', '.join(measures(promised))}")
    key = key_asked(promised, asked)
    lines = _lines(settings, promised, key, measure)
    now = _row_at(settings, promised, key, published_version(settings, table, None, None))
    if now is None and not lines:
        raise UsageError(_what_there_is(settings, promised, key))
    first = _first_release(settings, promised, key)
    named = [measure] if measure else [name for name in measures(promised) if name in {row["measure"] for row in lines}]
    told = [row for name in named for row in _of_measure(name, lines, now, first)]
    rows = [dict(zip(COLUMNS, row, strict=True)) for row in (*told, *_untold(settings, promised))]
    return rows if as_of is None else _by_then(rows, as_of)


def _by_then(rows: list[Row], as_of: datetime) -> list[Row]:
    """What was told by an instant; where the first release is not known any more, it was before."""
    told = [row for row in rows if row["released_at"] is None or row["released_at"] <= as_of]
    if rows and not told:
        first = min(row["released_at"] for row in rows)
        raise UsageError(f"--as-of {as_of.isoformat()}: the row was first released at {first.isoformat()}")
    return told


def key_asked(promised: Contract, asked: Sequence[str]) -> Row:
    """The whole grain with typed values, from column=value texts; UsageError for a column too many, or missing."""
    given = dict(text.partition("=")[::2] for text in asked)
    grain = ", ".join(promised.grain)
    for name in given:
        if name not in promised.grain:
            raise UsageError(f"--key {name}: {promised.name} has no such key column; its key is {grain}")
    missing = [name for name in promised.grain if name not in given]
    if missing:
        raise UsageError(f"--key: {', '.join(missing)} of {promised.name} is missing; its key is {grain}")
    return {name: _typed(promised.column(name), given[name]) for name in promised.grain}


def in_words(causes: Sequence[Row]) -> str:
    """Causes for the terminal: `late_data +3 (batches 7 to 7)`."""
    return "; ".join(f"{one['cause']} {one['part']:+} ({one['evidence']})" for one in causes)


def _typed(column: Column, text: str) -> Any:
    """A value of the column's type."""
    if column.type == "date":
        return day_of(text)
    if column.type == "bigint":
        try:
            return int(text)
        except ValueError as wrong:
            raise UsageError(f"--key {column.name}={text}: no whole number; write one such as 1") from wrong
    return text


def _lines(settings: Settings, promised: Contract, key: Row, measure: str) -> list[Row]:
    """The restatements of a row in order of their releases."""
    import pyarrow.compute as pc

    mine = (pc.field("table") == promised.name) & (pc.field("row_key") == key_of(key, promised.grain))
    if measure:
        mine &= pc.field("measure") == measure
    rows = Ledger(settings).read("ops.restatements", filter=mine).to_pylist()
    return sorted(rows, key=lambda row: (row["measure"], number_of(row["release_id"]), row["cause"]))


def _of_measure(
    measure: str, lines: Sequence[Row], now: Row | None, first: Publication | None
) -> Iterator[tuple[Any, ...]]:
    """What was said at first, then each change with its parts."""
    mine = [row for row in lines if row["measure"] == measure]
    at_first = mine[0]["old_value"] if mine else (now or {}).get(measure)
    known = (first.release_id, first.known_from) if first else (None, None)
    if not (mine and mine[0]["old_value"] is None and mine[0]["release_id"] == known[0]):  # it began as a change
        yield *known, measure, _whole(at_first), None, []
    for release, parts in groupby(mine, key=lambda row: row["release_id"]):
        told = list(parts)
        causes = [{"cause": row["cause"], "part": int(row["part"]), "evidence": row["evidence"]} for row in told]
        change = sum(cause["part"] for cause in causes)
        yield release, told[0]["released_at"], measure, _whole(told[0]["new_value"]), change, causes


def _untold(settings: Settings, promised: Contract) -> Iterator[tuple[Any, ...]]:
    """The releases of which nobody knows any more what they changed, in this row or another."""
    import pyarrow.compute as pc

    lost = (pc.field("table") == promised.name) & (pc.field("row_key") == ALL_ROWS)
    rows = Ledger(settings).read("ops.restatements", filter=lost).to_pylist()
    for row in sorted(rows, key=lambda row: number_of(row["release_id"])):
        cause = {"cause": row["cause"], "part": 0, "evidence": row["evidence"]}
        yield row["release_id"], row["released_at"], ALL_NUMBERS, None, None, [cause]


def _first_release(settings: Settings, promised: Contract, key: Row) -> Publication | None:
    """The first release that had the row; None when the files of that time are gone."""
    from deltalake.exceptions import DeltaError

    version, day = -1, key.get(promised.slice_column or "")
    for release in releases(Ledger(settings), promised.family):
        line = release.tables.get(promised.name)
        if line is None or line.version == version or not _may_bring(line, day):
            continue
        version = line.version
        try:
            if _row_at(settings, promised, key, version) is not None:
                return line
        except (DeltaError, OSError):
            return None
    return None


def _may_bring(line: Publication, day: date | datetime | None) -> bool:
    """Whether a release wrote that day; a table without days is always written whole."""
    return not line.slices or day is None or day in line.slices


def _row_at(settings: Settings, promised: Contract, key: Row, version: int) -> Row | None:
    """The row of a version, if it is there."""
    rows = _read(settings, promised, version, list(measures(promised)), key)
    return rows[0] if rows else None


def _read(settings: Settings, promised: Contract, version: int, columns: list[str], key: Row) -> list[Row]:
    from deltalake import DeltaTable

    dataset = dataset_of(DeltaTable(settings.table_path(promised.name), version=version))
    rows: list[Row] = dataset.to_table(columns=columns, filter=_condition(key)).to_pylist()
    return rows


def _condition(key: Mapping[str, Any]) -> "Expression | None":
    import pyarrow.compute as pc

    found: Expression | None = None
    for name, value in key.items():
        here = pc.field(name) == value
        found = here if found is None else found & here
    return found


def _what_tells_instead(settings: Settings, table: str) -> str:
    """That a table has no such history; and of one that is published, what tells of its changes."""
    others = f"write one of {', '.join(RESTATED)}"
    if table not in public_tables(settings):
        return f"{table!r} has no history; {others}"
    asked = "--with-silver " if table.startswith("silver.") else ""
    versions = f'`reelhouse sql {asked}--release RELEASE "FROM {table}"` reads it as it was when any release came out'
    known = f"{TOLD_ELSEWHERE[table]}; " if table in TOLD_ELSEWHERE else ""
    return (
        f"{table!r} has no history of its numbers: {known}{versions} (docs/restatements.md says why). "
        f"For numbers that have one {others}"
    )


def _what_there_is(settings: Settings, promised: Contract, key: Row) -> str:
    """Which part of a key is not there, and what is in its place."""
    version = published_version(settings, promised.name, None, None)
    so_far: Row = {}
    for name, value in key.items():
        there = sorted({row[name] for row in _read(settings, promised, version, [name], so_far)})
        if value not in there:
            some = ", ".join(str(one) for one in there[-SHOWN:]) or "no rows"
            more = f" and {len(there) - SHOWN} more" if len(there) > SHOWN else ""
            return f"--key {name}={value}: {promised.name} has no such row; there are {some}{more}"
        so_far[name] = value
    return f"{promised.name} has no such row"


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
