"""From one release of a family to the next: what was read in between, and which rows were written anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from jobs.lake.publications import Release, release_id
from jobs.lake.restating.cells import Cell

Parts = Mapping[Cell, Mapping[str, int]]  # cell → cause → by how much


@dataclass(frozen=True)
class Step:
    """Two releases, one after the other; `is_rollback` says that the second put an older one back.

    `until` is the newest batch that can have changed it, None for the newest release of all.
    """

    before: Release
    after: Release
    is_rollback: bool = False
    until: int | None = None

    @property
    def since(self) -> int:
        """The newest ingest batch that the release before had read."""
        return self.before.facts.ingest_seq

    @property
    def name(self) -> str:
        """The id of the second release."""
        return release_id(self.after.family, self.after.number)

    @property
    def is_the_same(self) -> bool:
        """The same rows under other versions: upkeep writes a family's files together."""
        one, other = self.before.facts, self.after.facts
        return (one.run_id, one.known_from) == (other.run_id, other.known_from)

    def versions(self, table: str) -> tuple[int, int] | None:
        """A table's versions before and after; None when it stayed as it was, or was not there before."""
        if table not in self.before.tables:
            return None
        old, new = self.before.versions[table], self.after.versions[table]
        return None if old == new else (old, new)

    def days(self, table: str) -> tuple[date, ...]:
        """The days that were written anew; none means all of them."""
        return () if self.is_rollback else self.after.tables[table].slices

    def is_built_anew(self, table: str) -> bool:
        """The whole table was made anew, as after a change of its contract or of the code."""
        return not self.days(table)
