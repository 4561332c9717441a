"""Cells: the numbers of a published table that differ between two of its versions, read without Spark."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from jobs.lake.contracts import Contract, contract
from jobs.lake.ledger import as_json
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa

RESTATED = ("gold.funnel_conversions", "gold.funnel_daily", "gold.funnel_paths", "gold.retention_weekly",
            "gold.segment_daily")  # fmt: skip
NUMBERS = ("bigint", "decimal")
SAID = ("window_us", "act_rank")  # numbers, but of the definition, or of what other rows say
DEFINED_BY = ("funnel", "funnel_version")  # what has rows of its own, and is no change where it is new
ALL_ROWS, ALL_NUMBERS = "{}", "(all)"  # of a line about a whole table, of which nobody knows what changed
TOLD_BY = {"gold.funnel_paths": "gold.funnel_daily"}  # which has a row for each day that was published, and it has not
ADDITIVE = ("_count", "_sum_us")  # of a table's numbers those that add up over people
RIPENING = ("mature_", "open_")
WAS = "_was"


@dataclass(frozen=True)
class Cell:
    """One number of one row: `key` is the row's grain as JSON."""

    table: str
    key: str
    measure: str

    @property
    def is_additive(self) -> bool:
        """Whether the number is a sum over people."""
        return self.measure.endswith(ADDITIVE)

    @property
    def ripens(self) -> bool:
        """Whether time alone can change the number."""
        return self.measure.startswith(RIPENING)


@dataclass(frozen=True)
class Change:
    """A cell's value before and after; None where the row or the value was not there, which counts as nothing."""

    cell: Cell
    old: int | None
    new: int | None

    @property
    def amount(self) -> int:
        """By how much it changed."""
        return (self.new or 0) - (self.old or 0)


def measures(promised: Contract) -> tuple[str, ...]:
    """The columns of a table whose changes are booked: whole numbers that are neither grain nor definition."""
    numbers = (column for column in promised.columns if column.type.startswith(NUMBERS))
    return tuple(column.name for column in numbers if column.name not in (*promised.grain, *SAID))


def key_of(row: Mapping[str, Any], grain: Sequence[str]) -> str:
    """A row's grain as JSON, the same text wherever it is made."""
    return as_json({name: row[name] for name in grain})


def changes(
    settings: Settings, table: str, before: Mapping[str, int], after: Mapping[str, int], days: Sequence[date], *,
    with_new_days: bool = False,
) -> Iterator[Change]:  # fmt: skip
    """What differs in a table between two releases, of which we have the versions, on those days (none: on all).

    A row that was not there is a change from nothing where its day had been published (`known_days`), a day that had
    not is told for the first time, which is none; `with_new_days`: that is told too.
    """
    import pyarrow.compute as pc

    promised = contract(table, settings.schemas_dir)
    names, grain = measures(promised), list(promised.grain)
    old, new = (_rows(settings, promised, versions[table], days) for versions in (before, after))
    old = old.rename_columns([*grain, *(name + WAS for name in names)])
    pairs = [old.join(new, keys=grain, join_type="left outer")]
    added = new.join(old.select(grain), keys=grain, join_type="left anti")
    if not with_new_days and added.num_rows:
        known = known_days(settings, promised, before, days)
        added = added.slice(0, 0) if known is None else added.join(known, known.column_names, join_type="left semi")
    pairs.append(added)
    both = _together(pairs)
    for name in names:
        was, now = (pc.fill_null(both[column], 0) for column in (name + WAS, name))
        odd = both.filter(pc.not_equal(was, now)).select([*grain, name + WAS, name])
        for row in odd.to_pylist():
            cell = Cell(table, key_of(row, promised.grain), name)
            yield Change(cell, _whole(row[name + WAS]), _whole(row[name]))


def _together(tables: Sequence["pa.Table"]) -> "pa.Table":
    """Rows of both, null in columns that one of them lacks."""
    import pyarrow as pa

    return pa.concat_tables(tables, promote_options="default")


def known_days(
    settings: Settings, promised: Contract, before: Mapping[str, int], days: Sequence[date]
) -> "pa.Table | None":
    """The days of which a release had told something, by funnel where there are such; None of a table without days."""
    teller = TOLD_BY.get(promised.name, promised.name)
    if promised.slice_column is None or teller not in before:
        return None
    told_by = contract(teller, settings.schemas_dir)
    names = [*(name for name in DEFINED_BY if name in promised.grain), promised.slice_column]
    rows = _rows(settings, told_by, before[teller], days, names)
    return rows.group_by(names).aggregate([]).select(names)


def _rows(
    settings: Settings, promised: Contract, version: int, days: Sequence[date], columns: Sequence[str] = ()
) -> "pa.Table":
    """Grain and numbers of one version, or these columns."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    dataset = dataset_of(DeltaTable(settings.table_path(promised.name), version=version))
    chosen = pc.field(promised.slice_column).isin(list(days)) if days and promised.slice_column else None
    return dataset.to_table(columns=list(columns or (*promised.grain, *measures(promised))), filter=chosen)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
