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

RESTATED = ("gold.funnel_conversions", "gold.funnel_daily", "gold.retention_weekly", "gold.segment_daily")
NUMBERS = ("bigint", "decimal")
SAID = ("window_us",)  # a number, but of the definition
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
    settings: Settings, table: str, old: int, new: int, days: Sequence[date], *, with_new_rows: bool = False
) -> Iterator[Change]:
    """What differs between two versions of a table, on those days (none: on all), in rows that were there before.

    `with_new_rows`: in those that were not, too.
    """
    import pyarrow.compute as pc

    promised = contract(table, settings.schemas_dir)
    names = measures(promised)
    before, after = (_rows(settings, promised, version, days) for version in (old, new))
    both = before.rename_columns([*promised.grain, *(name + WAS for name in names)]).join(
        after, keys=list(promised.grain), join_type="full outer" if with_new_rows else "left outer"
    )
    for name in names:
        was, now = (pc.fill_null(both[column], 0) for column in (name + WAS, name))
        odd = both.filter(pc.not_equal(was, now)).select([*promised.grain, name + WAS, name])
        for row in odd.to_pylist():
            cell = Cell(table, key_of(row, promised.grain), name)
            yield Change(cell, _whole(row[name + WAS]), _whole(row[name]))


def _rows(settings: Settings, promised: Contract, version: int, days: Sequence[date]) -> "pa.Table":
    """Grain and numbers of one version."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    dataset = dataset_of(DeltaTable(settings.table_path(promised.name), version=version))
    chosen = pc.field(promised.slice_column).isin(list(days)) if days and promised.slice_column else None
    return dataset.to_table(columns=[*promised.grain, *measures(promised)], filter=chosen)


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
