"""The books are what a checkpoint is elsewhere: whichever file of them is gone, torn or garbled, ingest goes on exactly
where it was, or stops and names the repair after which it does. Nothing else happens.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.drills.evidence import rows
from jobs.lake.errors import DamageError, UsageError, WriteError
from jobs.lake.ingest.progress import BOOKS
from jobs.lake.ledger import Ledger
from jobs.lake.repairing import mend
from jobs.lake.scanning import LOG
from jobs.lake.settings import Settings
from tests.lake.logs import Log, Record, body_of, record
from tests.lake.test_ingest import run

PIECES = 4
COMPARED = (BOOKS, "ops.book_hours", "silver.views", "silver.quarantine")


def piece(number: int) -> list[Record]:
    """Three views, one of them again, and one that is refused."""
    good = [record("views", body_of("views", 10 * number + n)) for n in range(3)]
    return [*good, good[0], record("views", body_of("views", 10 * number + 5, watch_ms="x"))]


@pytest.fixture(scope="module")
def whole(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Log, dict[str, list[str]]]:
    """A lake after three batches, its books with a checkpoint after the second; the topics; what the fourth ends in."""
    home, log = tmp_path_factory.mktemp("books"), Log()
    settings = Settings(home=home / "lake", key_file=home / "keys.json")
    for number in range(PIECES):
        log.put(piece(number))
        if number == PIECES - 1:
            shutil.copytree(home / "lake", home / "before")
        ledger = run(settings, spark, log).ledger
        if number == 1:
            ledger.open(BOOKS).create_checkpoint()
    return home, log, {table: rows(settings, table) for table in COMPARED}


def files(books: Path) -> dict[str, Path]:
    """One of each kind of file, by what it is."""
    log = books / LOG
    older, *_, newest = sorted(log.glob("*.json"))
    return {
        "newest commit": newest,
        "older commit": older,
        "checkpoint": next(log.glob("*.checkpoint.parquet")),
        "hint": log / "_last_checkpoint",
        "data file": min(books.rglob("part-*.parquet"), key=lambda file: file.stat().st_mtime),
    }


HARM: dict[str, Callable[[Path], object]] = {
    "gone": Path.unlink,
    "torn": lambda file: file.write_bytes(file.read_bytes()[: file.stat().st_size // 2]),
    "garbled": lambda file: file.write_bytes(bytes(byte ^ 0x5A for byte in file.read_bytes())),
}
# What ingest must read to know how far it is. A commit that went without a trace is a batch that is not booked yet, and
# is done again; what is older than the checkpoint, and the hint to that, nobody needs; nor lines of older batches.
STOPS = {(what, harm) for what in ("newest commit", "checkpoint") for harm in HARM} - {("newest commit", "gone")}


@pytest.mark.parametrize(
    ("what", "harm"),
    [
        *((what, harm) for what in ("newest commit", "older commit", "checkpoint", "hint") for harm in HARM),
        ("data file", "torn"),  # made again beside the lake, which takes its time; more in test_remaking.py
    ],
)
def test_ingest_goes_on_exactly_or_stops_and_names_the_repair_after_which_it_does(
    what: str, harm: str, whole: tuple[Path, Log, dict[str, list[str]]], spark: SparkSession, tmp_path: Path
) -> None:
    home, log, wanted = whole
    shutil.copytree(home / "before", tmp_path / "lake")
    settings = Settings(home=tmp_path / "lake", key_file=home / "keys.json")
    HARM[harm](files(Path(Ledger(settings).path(BOOKS)))[what])
    before = {table: Ledger(settings).version(table) for table in ("bronze.events", "silver.views")}
    stopped = said(lambda: run(settings, spark, deepcopy(log)))
    assert bool(stopped) == ((what, harm) in STOPS), stopped
    if stopped:
        assert f"{BOOKS}: its log cannot be read" in stopped
        assert {table: Ledger(settings).version(table) for table in before} == before
    mended = said(lambda: mend(settings, BOOKS, "repair", lambda _: spark))
    assert not mended or not stopped, mended  # of what stands in nobody's way a copy may be needed
    run(settings, spark, deepcopy(log))
    assert {table: rows(settings, table) for table in COMPARED} == wanted


def said(work: Callable[[], object]) -> str:
    """What it stops with; nothing when it goes through."""
    try:
        work()
    except (DamageError, UsageError, WriteError) as stopped:
        return str(stopped)
    return ""
