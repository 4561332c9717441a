"""Hurt data files of a table, and how rows that were made again come in their place.

The files are set aside first, so whoever would read them fails; then the rows are added; last the log forgets the
files. Between any two of these a query that could see a row twice, or miss it, meets a file that is not there.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from jobs.lake.ailments import ailments_of
from jobs.lake.aside import Mended, set_aside
from jobs.lake.damage import damage_told
from jobs.lake.errors import WriteError
from jobs.lake.ledger import Ledger
from jobs.lake.plain_scan import PlainScan
from jobs.lake.scanning import folder_of, is_table
from jobs.lake.settings import Settings
from jobs.lake.small_commits import note_of, retrying
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame

APP, NOTE = "repair", "repaired"


@dataclass(frozen=True)
class Wound:
    """The hurt files of a table, as its log names them; how many rows are lost with them, and how many stand.

    A repair that was killed may have put rows in the place of some, which are then not lost.
    """

    table: str
    folder: Path
    files: frozenset[str]
    lost: int
    standing: int


def wound_of(settings: Settings, table: str) -> Wound:
    """What the table has lost; no file for one that is well. Whoever mends it looks under the lease of its writers.

    DamageError where its log cannot be read.
    """
    import pyarrow as pa
    from deltalake import DeltaTable

    folder = folder_of(settings.table_path(table))
    if not is_table(settings.table_path(table)):
        return Wound(table, folder, frozenset(), 0, 0)
    with damage_told(table):
        delta = DeltaTable(folder)
    lines = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    rows = {unquote(line["path"]): int(line["num_records"]) for line in lines}
    hurt = frozenset(each.file.relative_to(folder).as_posix() for each in ailments_of(settings, table))
    lost = sum(rows[name] for name in hurt - replaced(delta))
    return Wound(table, folder, hurt, lost, sum(n for name, n in rows.items() if name not in hurt))


def replaced(delta: "DeltaTable") -> frozenset[str]:
    """The files in whose place rows were put, as the commits of those rows note."""
    return frozenset(name for commit in delta.history() for name in note_of(commit).get(NOTE, ()))


def is_of_repair(commit: Mapping[str, Any]) -> bool:
    """Whether a commit put rows in the place of hurt files, or had the log forget those."""
    return NOTE in note_of(commit) or commit.get("operation") == "FSCK"


def standing(lake: Lake, table: str, wound: Wound | None = None) -> "DataFrame":
    """The rows of the files that are whole; without a `wound` those are looked for. None of a table that is gone."""
    from deltalake import DeltaTable

    if not lake.exists(table):
        return lake.nothing(table)
    hurt = wound or wound_of(lake.settings, table)
    return PlainScan(str(hurt.folder), DeltaTable(hurt.folder), hurt.files).frame(lake.spark)


def heal(
    lake: Lake, wound: Wound, rows: "DataFrame | None", run_id: str, mark: tuple[str, int] | None = None
) -> list[str]:
    """Put rows in place of the hurt files, which are set aside; where they lie then. None: no row is lost.

    `mark`: the application and version that the commit is to carry, as where it stands for those of batches. Of a table
    that has no log any more all that lies there is set aside.
    """
    hurt = [wound.folder / name for name in sorted(wound.files)]
    if not lake.exists(wound.table):
        hurt = [wound.folder]
    moved = [set_aside(lake.settings, wound.table, file) for file in hurt if file.exists()]
    if rows is not None or mark:
        note = json.dumps({NOTE: sorted(wound.files), "run_id": run_id})
        # No repair has the version of another, or Delta would skip the second in silence.
        app, version = mark or (APP, lake.version(wound.table))
        put = lake.append if rows is not None else lake.append_few
        put(wound.table, lake.nothing(wound.table) if rows is None else rows, app=app, version=version, metadata=note)
    if wound.files:
        forget(wound)
    return [str(aside) for _, aside in moved]


def forget(wound: Wound) -> None:
    """Have the log forget the hurt files; WriteError when others are gone, too."""
    from deltalake import CommitProperties, DeltaTable

    for attempt in retrying():
        with attempt:
            delta = DeltaTable(wound.folder)
            gone = set(map(unquote, delta.repair(dry_run=True)["files_removed"]))
            if gone != wound.files:
                raise WriteError(
                    f"{wound.table}: {', '.join(sorted(gone ^ wound.files))} went meanwhile; repair it again"
                )
            delta.repair(commit_properties=CommitProperties(max_commit_retries=0))


def proven(ledger: Ledger, table: str, rows: int, moved: list[str], note: str = "") -> Mended:
    """What the table is now; WriteError when a file of it is hurt still, or the rows are not so many."""
    found, delta = ailments_of(ledger.settings, table), ledger.open(table)
    if found or delta.count() != rows:
        said = "; ".join(f"{each.file} {each.found}" for each in found) or f"{delta.count()} rows, expected {rows}"
        raise WriteError(f"{table}: is not mended: {said}")
    return Mended(table, tuple(moved), delta.version(), rows, note=note)
