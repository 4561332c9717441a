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
TIMED_FROM = 500  # batches; of sixty a fifth is twelve, too few for a verdict on thousandths of a second


def tidy(toys: Toys, many: int = MANY_SMALL) -> None:
    """A round of upkeep over every table."""
    Round(toys.settings, "upkeep", WEEK, now(), print, many).tidy(all_tables(toys.settings.schemas_dir))


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


def test_after_many_small_batches_a_batch_costs_what_the_first_ones_did(tmp_path: Path) -> None:
    """In files and commits from the first batch on, in time from the second fifth on: by then there is a checkpoint.

    Before there is one to be read with each commit, a batch takes half as long. It is the processor's time, for the
    machine has other things to do.
    """
    toys, seen_costs, seconds = make_toys(tmp_path, spark=None), [], []
    for number in range(1, BATCHES + 1):
        began = time.process_time()
        toys.ingest((f"user-{number % 7}", MONDAY, number))
        seconds.append(time.process_time() - began)
        seen_costs.append(costs(toys))
        if number % ROUND_EVERY == 0:
            tidy(toys)
    for which in (0, 1):
        first, last = (
            max(cost[which] for cost in some) for some in (seen_costs[:ROUND_EVERY], seen_costs[-ROUND_EVERY:])
        )
        assert last <= 1.2 * first
    fifth = BATCHES // 5
    begin, end = (statistics.median(some) for some in (seconds[fifth : 2 * fifth], seconds[-fifth:]))
    sys.stdout.write(f"{BATCHES} batches of three appends: {begin:.3f} s at the beginning, {end:.3f} s at the end\n")
    assert end <= 1.2 * begin or BATCHES < TIMED_FROM
    assert len(toys.rows("silver.plays")) == BATCHES
    assert sum(line["received"] for line in toys.ledger.read("ops.books").to_pylist()) == BATCHES
