"""Upkeep, releases and readers at the same time; many small batches, one after the other.

For longer plays: `REELHOUSE_TEST_RELEASES=60 python -m pytest tests/lake/test_at_once.py`; `make drill BATCHES=500`.
"""

import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from jobs.lake.clock import now
from jobs.lake.contracts import all_tables
from jobs.lake.errors import LeaseError
from jobs.lake.publications import releases
from jobs.upkeep.files import MANY_SMALL
from jobs.upkeep.rounds import Round
from tests.lake.test_runner import publish, seen
from tests.lake.toys import FAMILY, MONDAY, TUESDAY, Toys
from tests.lake.toys import toys as make_toys

WEEK = timedelta(days=7)
RELEASES = int(os.environ.get("REELHOUSE_TEST_RELEASES", "2"))
BATCHES, ROUND_EVERY = int(os.environ.get("REELHOUSE_TEST_BATCHES", "60")), 10
TIMED_FROM, YOUNG = 500, 40  # batches: from where time is judged; of the lake that it is judged by
LOG_KEPT = timedelta(seconds=8)  # some hundred batches: five hundred shall show what comes of logs in days


def tidy(toys: Toys, many: int = MANY_SMALL) -> None:
    """A round of upkeep over every table."""
    turn = Round(toys.settings, "upkeep", WEEK, now(), print, many, log_kept=LOG_KEPT)
    turn.tidy(all_tables(toys.settings.schemas_dir))


@contextmanager
def beside(*works: Callable[[], None]) -> Iterator[None]:
    """Do these over and over, each in a thread of its own, while the block lasts; what one of them raises is raised."""
    done, errors = threading.Event(), []

    def repeat(work: Callable[[], None]) -> None:
        try:
            while not done.is_set():
                work()
        except BaseException as error:  # noqa: BLE001  raised again below, in the test's own thread
            errors.append(error)

    threads = [threading.Thread(target=repeat, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert errors == []


def waiting_its_turn(work: Callable[[], None]) -> bool:
    """Do it; whoever is told that another is at work comes again. Whether that was so."""
    was_told = False
    while True:
        try:
            work()
        except LeaseError:
            was_told = True
            time.sleep(0.05)
        else:
            return was_told


def test_releases_merges_compaction_and_readers_at_once_lose_nothing_and_show_no_half(toys: Toys) -> None:
    toys.ingest(("ann", MONDAY, 1))
    publish(toys, "run-0")
    read: list[tuple[int, int]] = []

    def look() -> None:
        found = seen(toys)
        read.append(tuple(sum(row[1] for row in found[table]) for table in ("gold.toy_days", "gold.toy_users")))

    with beside(look, lambda: waiting_its_turn(lambda: tidy(toys, many=2)) and None):
        for number in range(1, RELEASES + 1):
            toys.ingest(("ann", MONDAY, number), (f"user-{number}", TUESDAY, number))
            waiting_its_turn(lambda number=number: publish(toys, f"run-{number}"))
    assert [pair for pair in read if pair[0] != pair[1]] == []  # plays by day and by user: of one release
    assert read == sorted(read)
    assert seen(toys)["gold.toy_days"] == [(MONDAY, 1 + RELEASES, 1.0), (TUESDAY, RELEASES, 1.0)]
    runs = [release.facts.run_id for release in releases(toys.ledger, FAMILY)]
    assert list(dict.fromkeys(runs)) == [f"run-{number}" for number in range(RELEASES + 1)]
    assert len(runs) > RELEASES + 1  # upkeep published its own between them


def costs(toys: Toys) -> tuple[int, int]:
    """What a batch must open: files of the tables it reads, and commits since their checkpoints."""
    files = commits = 0
    for table in ("silver.plays", "ops.books", "ops.touched"):
        delta = DeltaTable(toys.ledger.path(table))
        files += pa.table(delta.get_add_actions()).num_rows
        hint = Path(toys.ledger.path(table)) / "_delta_log" / "_last_checkpoint"
        commits += delta.version() - (json.loads(hint.read_text())["version"] if hint.exists() else 0)
    return files, commits


def grown(home: Path, batches: int) -> tuple[Toys, list[tuple[int, int]]]:
    """A lake of so many small batches, tidied as it grows; what each of them had to open."""
    toys, seen_costs = make_toys(home, spark=None), []
    for number in range(1, batches + 1):
        toys.ingest((f"user-{number % 7}", MONDAY, number))
        seen_costs.append(costs(toys))
        if number % ROUND_EVERY == 0:
            tidy(toys)
    return toys, seen_costs


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> tuple[Toys, list[tuple[int, int]]]:
    return grown(tmp_path_factory.mktemp("old"), BATCHES)


def test_after_many_small_batches_a_batch_opens_what_the_first_ones_did(
    old: tuple[Toys, list[tuple[int, int]]],
) -> None:
    toys, seen_costs = old
    for which in (0, 1):
        first, last = (
            max(cost[which] for cost in some) for some in (seen_costs[:ROUND_EVERY], seen_costs[-ROUND_EVERY:])
        )
        assert last <= 1.2 * first
    assert len(toys.rows("silver.plays")) == BATCHES
    assert sum(line["received"] for line in toys.ledger.read("ops.books").to_pylist()) == BATCHES


@pytest.mark.skipif(BATCHES < TIMED_FROM, reason="`make drill BATCHES=500` times it")
def test_after_many_small_batches_a_batch_takes_as_long_as_in_a_young_lake(
    old: tuple[Toys, list[tuple[int, int]]], tmp_path: Path
) -> None:
    """By turns, for a process has moods of its own; and the processor's time, for the machine has other things to do.

    The young one has its first checkpoints: without any, a batch takes half as long.
    """
    lakes = {"old": old[0], "young": grown(tmp_path, YOUNG)[0]}
    seconds: dict[str, list[float]] = {name: [] for name in lakes}
    for number in range(1, YOUNG + 1):
        for name, toys in lakes.items():
            began = time.process_time()
            toys.ingest((f"user-{number % 7}", MONDAY, number))
            seconds[name].append(time.process_time() - began)
            if number % ROUND_EVERY == 0:
                tidy(toys)
    begin, end = (statistics.median(seconds[name]) for name in ("young", "old"))
    sys.stdout.write(f"three appends: {begin:.3f} s after {YOUNG} batches, {end:.3f} s after {BATCHES}\n")
    assert end <= 1.2 * begin
