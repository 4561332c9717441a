"""Logs of tables that are written all day are cut: on a disk, whoever opens a table lists its whole log.

An ingest that commits every few seconds adds 28,800 commits a day to each of its tables, and looks at their logs a
hundred times a batch (docs/adr/0027). Delta's own clean-up knows one age for all tables at all times, and leaves a
table that is quiet with one checkpoint, which then must not be hurt. Here what goes depends on who is at work, and two
younger checkpoints stay.
"""

import re
from datetime import UTC, datetime
from pathlib import Path

from jobs.lake.ailments import unreadable
from jobs.lake.ingest.landings import keep
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.kill_points import reach
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import LOG, folder_of, is_local, local_files

YOUNGER = 2  # checkpoints that stay: the newest may be hurt and is mended by the one before
WORTH = 100  # fewer files are not worth a cut
OF_VERSION = re.compile(r"\.?(\d{20})\.")


def cut(ledger: Ledger, table: str, until: datetime, worth: int = WORTH) -> int:
    """Remove what of a table's log nobody needs who reads it as it was at a time, or later; how many files went.

    Nothing goes from an object store, which lists from the newest checkpoint on; nor while a file of the table is gone,
    for then its log says what a repair has put back already.
    """
    path = ledger.path(table)
    log = folder_of(path) / LOG
    if not is_local(path) or (first := first_needed(log, until)) is None:
        return 0
    older = [file for file in log.iterdir() if (version := version_of(file)) is not None and version < first]
    if len(older) < worth or not all(file.exists() for file in local_files(ledger.open(table))):
        return 0
    if table == BRONZE:
        keep(ledger)
    reach("upkeep.before_cut")
    for file in sorted(older):  # the oldest first: what is left by a kill is whole from some checkpoint on
        file.unlink(missing_ok=True)
    return len(older)


def is_long(ledger: Ledger, table: str, worth: int = WORTH) -> bool:
    """Whether so many files of its log might go."""
    path = ledger.path(table)
    return is_local(path) and sum(1 for _ in (folder_of(path) / LOG).iterdir()) > worth


def first_needed(log: Path, until: datetime) -> int | None:
    """The newest checkpoint of a version that was there at that time and is whole; None where not two are younger.

    One in several parts, which we do not write, counts for none.
    """
    files = sorted(log.glob("*.checkpoint.parquet"), reverse=True)
    for file in (file for file in files[YOUNGER:] if is_as_old(file, until)):
        return None if unreadable(file) else version_of(file)
    return None


def is_as_old(checkpoint: Path, until: datetime) -> bool:
    """Whether its version was there at that time; its own file may have been made later."""
    commit = checkpoint.with_name(f"{checkpoint.name[:20]}.json")
    return commit.exists() and datetime.fromtimestamp(commit.stat().st_mtime, UTC) <= until


def version_of(file: Path) -> int | None:
    """The version that a file of a log is of, be it a checksum; None for one that is of none, such as the hint."""
    found = OF_VERSION.match(file.name)
    return int(found[1]) if found else None
