"""The tables of a family as its release will leave them: what is published, with what is staged in its place."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.lake.publications import Release
from jobs.lake.scanning import dataset_of
from jobs.lake.staging import Manifest, StagedTable, Staging

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from jobs.lake.tables import Lake


@dataclass(frozen=True)
class Becoming:
    """One staging of a family, on top of its `last` release (None before the first)."""

    lake: "Lake"
    staging: Staging
    manifest: Manifest
    last: Release | None

    @cached_property
    def _staged(self) -> dict[str, StagedTable]:
        return {staged.table: staged for staged in self.manifest.tables}

    def is_staged(self, *tables: str) -> bool:
        """Whether any of the tables is written anew."""
        return any(table in self._staged for table in tables)

    def slices(self, *tables: str) -> tuple[date, ...] | None:
        """The days that are replaced in any of these tables, in order; None where one is replaced whole."""
        mine = [self._staged[table] for table in tables if table in self._staged]
        if any(staged.mode == "replace_all" for staged in mine):
            return None
        return tuple(sorted({day for staged in mine for day in staged.slices}))

    def days_told(self, table: str, column: str) -> set[date]:
        """The days that rows staged for a merge are of, and the keys that it removes; read without Spark."""
        staged = self._staged[table]
        places = [(self.staging.path(table), staged.version)]
        if staged.removed_version is not None:
            places.append((self.staging.removed_path(table), staged.removed_version))
        return {day for path, version in places for day in _days(path, version, column)}

    def users_told(self, *tables: str) -> "DataFrame":
        """Of whom rows of these tables are staged, and the keys that merges remove; perhaps repeated."""
        staged = [self._staged[table] for table in tables if table in self._staged]
        places = [(self.staging.path(each.table), each.version) for each in staged]
        places += [
            (self.staging.removed_path(each.table), each.removed_version)
            for each in staged
            if each.removed_version is not None
        ]
        names = [self.lake.read_at(path, version).select("user_id") for path, version in places]
        return reduce(lambda some, more: some.unionAll(more), names)

    def of(self, table: str, among: "Column | None" = None, days: Sequence[date] | None = None) -> "DataFrame":
        """The rows as they will be, those that are `among` the asked; of `days` alone (by the slice) if there are any.

        A table of slices whose `days` are all staged is not looked for among what is published.
        """
        staged, promised = self._staged.get(table), self.lake.contract(table)
        fresh = None if staged is None else self.lake.read_at(self.staging.path(table), staged.version)
        if staged is None or fresh is None or staged.mode == "replace_all":
            return self._asked(self._published(table) if fresh is None else fresh, among, promised.slice_column, days)
        if staged.mode == "replace_slices":
            fresh = self._asked(fresh, among, promised.slice_column, days)
            if days is not None and set(days) <= set(staged.slices):
                return fresh
            kept = self._published(table).where(~F.col(promised.slice_column or "").isin(*staged.slices))
            return self._asked(kept, among, promised.slice_column, days).unionByName(fresh)
        kept = self._asked(self._published(table), among, None, None)
        if staged.mode == "merge":
            kept = kept.join(self._keys(staged, fresh), on=list(promised.grain), how="left_anti")
        return kept.unionByName(self._asked(fresh, among, None, None))

    def _keys(self, staged: StagedTable, fresh: "DataFrame") -> "DataFrame":
        """The grains of rows that a merge writes or takes away."""
        grain = self.lake.contract(staged.table).grain
        if staged.removed_version is None:
            return fresh.select(*grain)
        removed = self.lake.read_at(self.staging.removed_path(staged.table), staged.removed_version)
        return fresh.select(*grain).unionByName(removed.select(*grain))

    def _published(self, table: str) -> "DataFrame":
        version = self.last.versions.get(table) if self.last else None
        return self.lake.nothing(table) if version is None else self.lake.read(table, version)

    @staticmethod
    def _asked(
        rows: "DataFrame", among: "Column | None", slice_column: str | None, days: Sequence[date] | None
    ) -> "DataFrame":
        if slice_column and days is not None:
            rows = rows.where(F.col(slice_column).isin(*days))
        return rows if among is None else rows.where(among)


def _days(path: str, version: int, column: str) -> set[date]:
    """The days of a staged table's rows."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    found: set[date] = set()
    for rows in dataset_of(DeltaTable(path, version=version)).to_batches(columns=[column]):
        found |= {day for day in pc.unique(rows[column]).to_pylist() if day is not None}
    return found
