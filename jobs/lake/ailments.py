"""What is wrong with the files of a lake: torn logs, garbled checkpoints, data files that are gone or changed.

Looked at without Spark, and without trust in the log: every file of it is read. Lakes on this machine only; an object
store keeps its own checksums.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from jobs.lake.contracts import all_tables, contract
from jobs.lake.file_digests import TABLE as DIGESTS
from jobs.lake.file_digests import Known, Note, changed, noted
from jobs.lake.file_digests import read as read_notes
from jobs.lake.ingest.landings import TABLE as LANDINGS
from jobs.lake.ingest.progress import BOOKS, BRONZE, HOURS, QUARANTINE, SEQUENCES, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.scanning import LOG, folder_of, is_local
from jobs.lake.settings import Settings
from jobs.lake.topics import CONTROL, ENTITIES, FACTS

# Tables in which each batch of ingest is one commit → what the books count of it there, and of which topic (all: "").
BY_BATCH: dict[str, tuple[str, str]] = {
    **{f"silver.{topic}": ("accepted", topic) for topic in (*FACTS, *ENTITIES)},
    QUARANTINE: ("quarantined", ""),
    TOUCHED: ("accepted", ""),
    "ops.watermarks": ("accepted", CONTROL),
    BOOKS: ("received", ""),
}
LANDED = BRONZE  # its records are on the topics, too, for a while
HISTORY = "gold.user_profiles_history"  # tells what was known when, which no other table does
HINT = "_last_checkpoint"
COMMIT = re.compile(r"\d{20}\.json")
CHECKPOINT = re.compile(r"(\d{20})\.checkpoint.*\.parquet")


class Kind(StrEnum):
    """Which part of a table is hurt."""

    hint = "hint"  # where the log says its newest checkpoint is
    checkpoint = "checkpoint"
    newest_commit = "newest commit"
    lost_commit = "lost commit"  # the newest, of which a checkpoint tells
    commit = "commit"
    data = "data file"


UNDONE = (Kind.newest_commit, Kind.lost_commit)  # mended, the table goes back by one commit


@dataclass(frozen=True)
class Ailment:
    """One file of a table that is not what it should be."""

    table: str
    kind: Kind
    file: Path
    found: str
    family: str = ""  # that publishes the table; of a data file only one that can make it anew from others

    @property
    def remedy(self) -> str:
        """What to do about it, in one line."""
        if self.is_mendable:
            return f"run `reelhouse repair {self.table}`"
        if self.family and self.kind is Kind.data:
            return f"run `reelhouse build {self.family} --anew`, `check` and `release`"
        return "put the file back from a copy; see docs/runbooks/lake.md"

    @property
    def is_mendable(self) -> bool:
        """Whether a repair may mend the table: the file is a copy, or what it held comes from elsewhere."""
        if self.table in (PUBLICATIONS, DIGESTS):
            return True
        if self.kind is Kind.data:
            return self.table in (*BY_BATCH, HOURS, LANDED, LANDINGS, SEQUENCES, HISTORY)
        is_known = self.table in (*BY_BATCH, HOURS, LANDED, LANDINGS, SEQUENCES) or bool(self.family)
        return self.kind in (Kind.hint, Kind.checkpoint) or (self.kind in UNDONE and is_known)


def ailments(settings: Settings) -> list[Ailment]:
    """All that is wrong with the tables that were made; never raises for what it finds."""
    known = known_files(settings)
    return [found for table in all_tables(settings.schemas_dir) for found in ailments_of(settings, table, known)]


def known_files(settings: Settings) -> Known:
    """What was noted of data files; nothing where that is hurt itself, which is told in its turn."""
    is_whole = is_local(settings.lake_root) and not ailments_of(settings, DIGESTS, {})
    return noted(Ledger(settings)) if is_whole else {}


def ailments_of(settings: Settings, table: str, known: Known | None = None) -> list[Ailment]:
    """What is wrong with one table: its log first; its data only when the log can be read."""
    if not is_local(settings.lake_root):
        return []
    log = folder_of(settings.table_path(table)) / LOG
    if not log.is_dir():
        return []
    family = contract(table, settings.schemas_dir).family or ""
    found = [*hints(table, log), *checkpoints(table, log), *commits(table, log, family)]
    if found:
        return found
    noted_of = (known_files(settings) if known is None else known).get(table, {})
    return list(data_files(table, log.parent, maker_of(settings, table), noted_of))


def maker_of(settings: Settings, table: str) -> str:
    """The family that a table can be made anew by; empty for none: what it adds to its history is nowhere else."""
    promised = contract(table, settings.schemas_dir)
    return "" if promised.write == "append" else promised.family or ""


def hints(table: str, log: Path) -> Iterator[Ailment]:
    """The file that names the newest checkpoint must be JSON and name one that is there."""
    file = log / HINT
    if not file.exists():
        return
    try:
        version = int(json.loads(file.read_bytes())["version"])
    except (ValueError, KeyError, TypeError):
        yield Ailment(table, Kind.hint, file, "is not readable")
        return
    if version not in checkpointed(log):
        yield Ailment(table, Kind.hint, file, f"names a checkpoint of version {version}, which is not there")


def checkpointed(log: Path) -> set[int]:
    """The versions of which there is a checkpoint."""
    return {int(name[1]) for name in map(_checkpoint, log.iterdir()) if name}


def checkpoints(table: str, log: Path) -> Iterator[Ailment]:
    """Each checkpoint must be a Parquet file that can be read to its end: Delta does not fall back to another."""
    for file in sorted(each for each in log.iterdir() if _checkpoint(each)):
        wrong = unreadable(file)
        if wrong and file.exists():  # upkeep may have cut the log meanwhile
            yield Ailment(table, Kind.checkpoint, file, wrong)


def commits(table: str, log: Path, family: str) -> Iterator[Ailment]:
    """Each commit must be lines of JSON, and that of the newest checkpoint there: without it nobody can write."""
    files = sorted(each for each in log.iterdir() if COMMIT.fullmatch(each.name))
    newest = max(checkpointed(log), default=-1)
    if files and newest > int(files[-1].stem):
        lost = log / f"{newest:020}.json"
        yield Ailment(table, Kind.lost_commit, lost, "is not there, though a checkpoint of it is", family)
    for file in files:
        if not _is_whole(file):
            kind = Kind.newest_commit if file == files[-1] else Kind.commit
            yield Ailment(table, kind, file, "is not whole", family)


def data_files(table: str, root: Path, family: str, noted_of: Mapping[str, Note]) -> Iterator[Ailment]:
    """Each file of the newest version must be there, as large as the log says, what was noted of it, and readable."""
    import pyarrow as pa
    from deltalake import DeltaTable

    for line in pa.table(DeltaTable(root).get_add_actions(flatten=True)).to_pylist():
        path = unquote(line["path"])
        file = root / path
        wrong = _changed(file, line, noted_of.get(path))
        if not wrong and table == DIGESTS:
            _, wrong = read_notes(file, line["num_records"])
        if wrong:
            yield Ailment(table, Kind.data, file, wrong, family)


def unreadable(file: Path) -> str:
    """What is wrong with a Parquet file, checksums of its pages included where it has them; empty for nothing."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file, page_checksum_verification=True) as opened:
            for number in range(opened.num_row_groups):
                opened.read_row_group(number)
    except (pa.ArrowException, OSError, ValueError) as wrong:  # a name of a column may be no text any more
        return f"cannot be read: {str(wrong).splitlines()[0][:120]}"
    return ""


def is_whole(known: Known, table: str, folder: Path, file: Path) -> bool:
    """Whether a file of a table, perhaps of an older version, can be read and is what was noted of it."""
    note = known.get(table, {}).get(file.relative_to(folder).as_posix())
    return not (changed(file, note) or unreadable(file))


def _changed(file: Path, line: dict[str, Any], note: Note | None) -> str:
    if not file.exists():
        return "is not there"
    size = file.stat().st_size
    if size != line["size_bytes"]:
        return f"has {size} bytes, the log says {line['size_bytes']}"
    return changed(file, note) or unreadable(file)


def _is_whole(file: Path) -> bool:
    """Whether a commit is lines of JSON."""
    try:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError:  # upkeep has cut the log meanwhile
        return True
    except ValueError:
        return False
    return bool(lines) and all(isinstance(line, dict) for line in lines)


def _checkpoint(file: Path) -> re.Match[str] | None:
    return CHECKPOINT.fullmatch(file.name)
