"""Where the slices of a backfill lie until its swap: `<lake>/staging/backfills/<backfill id>/<number>`, with papers."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.lake.backfills.journal import Standing
from jobs.lake.backfills.slices import Slice
from jobs.lake.errors import DamageError
from jobs.lake.settings import Settings
from jobs.lake.staging import Manifest, Staging

if TYPE_CHECKING:
    from jobs.lake.families.backfilled import Backfilled
    from jobs.lake.runner import Runner

AREA = "staging/backfills"


@dataclass(frozen=True)
class Area:
    """The area of one slice."""

    backfill_id: str
    number: int
    slice: Slice
    staging: Staging

    @property
    def manifest(self) -> Manifest:
        """What was built there, from what; DamageError when it is gone."""
        manifest = self.staging.manifest()
        if manifest is None:
            raise DamageError(f"{self.staging.root}: the slice {self.slice.name} is gone; run the backfill again")
        return manifest

    def is_whole(self, standing: Standing, basis: str) -> bool:
        """Whether the slice is booked as built by the contracts and definitions of today, and is there."""
        return standing.has_built(self.slice.name, basis) and self.staging.manifest() is not None

    def backfilled(self, runner: "Runner") -> "Backfilled":
        """Exactly the rows that were built."""
        from jobs.lake.families.backfilled import Backfilled

        tables = self.manifest.tables
        paths = {table.table: self.staging.path(table.table) for table in tables}
        rows = {table.table: runner.read_staged(paths[table.table], table.version) for table in tables}
        return Backfilled(self.slice, rows)


def areas_of(settings: Settings, family: str, backfill_id: str, slices: tuple[Slice, ...]) -> list[Area]:
    """The area of each slice, in their order."""
    return [
        Area(backfill_id, number, one, Staging(settings, family, f"{AREA}/{backfill_id}/{number}"))
        for number, one in enumerate(slices, start=1)
    ]


def clear(settings: Settings, backfill_id: str) -> None:
    """Remove what the slices of a backfill hold; nothing happens when it is gone."""
    from pyarrow.fs import FileSystem, FileType

    uri = f"{settings.lake_root}/{AREA}/{backfill_id}"
    fs, path = FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
    if fs.get_file_info(path).type == FileType.Directory:
        fs.delete_dir(path)
