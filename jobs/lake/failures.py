"""Failures told in one line that may be kept and sent on, with the page for whoever finds the command red.

An error that nobody foresaw is told by its class and its place in our code: its own words may quote rows, and stand
on stderr alone.
"""

import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS
from pathlib import Path

from jobs.lake.errors import RUNBOOKS, ContractError, DefinitionError, DiskError, ReelhouseError, UsageError
from jobs.lake.room import REMEDY, is_full
from jobs.lake.settings import ROOT

PAGES: Mapping[str, str] = {  # by command, of those that leave a result for Airflow
    "ingest": "ingest.md",
    "build": "build.md",
    "check": "red-check.md",
    "release": "release.md",
    "release --retry": "release.md",
    "rollback": "release.md",
    "backfill run": "backfill.md",
    "backfill resume": "backfill.md",
    "upkeep": "upkeep.md",
    "canary": "canaries.md",
    "alerts": "promises.md",
}
ALL_PAGES = "README.md"
NAMED_WRONGLY = (EACCES, EEXIST, EISDIR, ENAMETOOLONG, ENOENT, ENOTDIR, EPERM, EROFS)


def failed(error: Exception, command: str) -> dict[str, str]:
    """The part of a command's result that says how it failed; the error goes on and names the command's page."""
    page, kind = PAGES[command], type(error)
    if isinstance(error, ReelhouseError):
        if RUNBOOKS not in error.told:  # the caller's mistake in a run is somebody's red task all the same
            error.runbook = page
        told = error.told
    elif is_full(error):
        kind, told = DiskError, DiskError(REMEDY).told
    else:
        told = unforeseen(error, page)
        error.add_note(told)
    return {"outcome": "failed", "message": told, "error": kind.__name__}


@contextmanager
def named_page(command: str) -> Iterator[None]:
    """Let a contract or definition that is wrong name the command's page where the run itself cannot begin for it."""
    try:
        yield
    except (ContractError, DefinitionError) as wrong:
        failed(wrong, command)
        raise


def unforeseen(error: Exception, page: str = ALL_PAGES) -> str:
    """An error of others by class, place and page: nothing of it that could be of a row."""
    said = f" ({os.strerror(error.errno)})" if isinstance(error, OSError) and error.errno else ""
    return (
        f"{type(error).__name__}{said} at {place_of(error)}, which nobody foresaw; its words and its traceback are on "
        f"stderr, of a task in its log; see {RUNBOOKS}{page}"
    )


def place_of(error: Exception) -> str:
    """Where in our code it came up, the innermost line."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if Path(frame.filename).is_relative_to(ROOT / "jobs")]
    if not ours:
        return "no line of ours"
    file, last = Path(ours[-1].filename).relative_to(ROOT), ours[-1]
    return f"{file}:{last.lineno} ({last.name})"


def noted(error: Exception) -> str:
    """What `failed` or a command's end has said of an error that nobody foresaw; it is taken off the error."""
    notes = getattr(error, "__notes__", [])
    mine = [note for note in notes if RUNBOOKS in note]
    for note in mine:
        notes.remove(note)
    return mine[-1] if mine else unforeseen(error)


def known_error(error: Exception) -> tuple[type[Exception], str, int] | None:
    """What kind of error it is, in one line, and the exit code; None for what nobody foresaw."""
    if isinstance(error, ReelhouseError):
        return type(error), error.told, error.exit_code
    if is_full(error):  # its own words may quote rows
        where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
        full = DiskError(f"{where}{REMEDY}")
        return DiskError, full.told, full.exit_code
    return (type(error), *_of_place(error)) if isinstance(error, OSError) else None


def _of_place(error: OSError) -> tuple[str, int]:
    """What is wrong with a file, a folder or a store, and whether the caller named it wrongly or the machine failed."""
    page = noted(error).rpartition("; ")[2]
    if error.filename is None:
        first = next(iter(str(error).splitlines()), "")
        return f"{first}; REELHOUSE_TRACEBACK=1 tells where; {page}", ReelhouseError.exit_code
    told = f"{error.filename}: {error.strerror}; name a place that can be read and written, or make it so"
    if error.errno in NAMED_WRONGLY:
        return told, UsageError.exit_code
    return f"{told}; {page}", ReelhouseError.exit_code
