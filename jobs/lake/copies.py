"""A copy of a lake to try something on: the tables' logs copied, their data files linked, for these never change."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from jobs.lake.errors import UsageError
from jobs.lake.scanning import LOG, folder_of, is_local
from jobs.lake.settings import Settings

COPIES = "copies"  # under REELHOUSE_HOME
LAYERS = ("bronze", "silver", "gold", "ops")
LEFT_OUT = ("ops/leases",)  # who is at work there is not at work here


@contextmanager
def copied(settings: Settings, name: str) -> Iterator[Settings]:
    """Settings of a lake that is like ours until somebody writes to either; gone afterwards.

    UsageError for a lake in an object store, which has no links: to copy it would take as long as to make it.
    """
    if not is_local(settings.lake_root):
        raise UsageError(f"{settings.lake_root} lies in an object store; only a lake on a disk can be tried on a copy")
    folder = settings.home / COPIES / f"{name}-{os.getpid()}"
    _sweep(folder.parent)
    try:
        copy(folder_of(settings.lake_root), folder / "lake")
        topics = folder / "topics"
        yield settings.model_copy(
            update={"lake_uri": str(folder / "lake"), "kafka_bootstrap_servers": f"file:{topics}"}
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _sweep(folder: Path) -> None:
    """Remove the copies of processes that were killed."""
    for left in folder.glob("*-*"):
        if not psutil.pid_exists(int(left.name.rpartition("-")[2])):
            shutil.rmtree(left, ignore_errors=True)


def copy(lake: Path, to: Path) -> None:
    """First all logs, then all data files: what a log speaks of was there before it."""
    tables = [log.parent for layer in LAYERS for log in sorted((lake / layer).glob(f"*/{LOG}"))]
    tables = [table for table in tables if table.relative_to(lake).as_posix() not in LEFT_OUT]
    for table in tables:
        shutil.copytree(table / LOG, to / table.relative_to(lake) / LOG, copy_function=_copied)
    for table in tables:
        for file in table.rglob("*"):
            if file.is_file() and LOG not in file.parts:
                _linked(file, to / file.relative_to(lake))


def _copied(file: str, to: str) -> None:
    """A file of a log, unless upkeep has cut the log meanwhile: the oldest go first, and nobody needs those."""
    with suppress(FileNotFoundError):
        shutil.copy2(file, to)


def _linked(file: Path, to: Path) -> None:
    """The same file in another place; a copy where that is another disk."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(file, to)
    except FileNotFoundError:
        return  # upkeep took it away meanwhile, so no version that counts has it
    except OSError:
        shutil.copy2(file, to)
