"""Files that are set aside, never deleted, and what a table is without them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from jobs.lake.settings import Settings

ASIDE = "aside"
Move = tuple[Path, Path]  # where a file was, where it is


@dataclass(frozen=True)
class Mended:
    """What was done to a table, and what it holds now; `next_step` is a command, or empty; `note` what else to know."""

    table: str
    set_aside: tuple[str, ...]
    version: int
    rows: int
    next_step: str = ""
    note: str = ""


def set_aside(settings: Settings, table: str, file: Path) -> Move:
    """Move a file to `<home>/aside/<table>/`, beside what was set aside there before; where it was, where it is."""
    folder = settings.home / ASIDE / table
    folder.mkdir(parents=True, exist_ok=True)
    aside = folder / f"{len(list(folder.iterdir()))}-{file.name}"
    shutil.move(file, aside)
    return file, aside
