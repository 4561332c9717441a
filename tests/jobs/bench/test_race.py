"""The race of `make bench` is fair, its figures are what they say, and its page tells losses first."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest
from rich.console import Console

from tests.bench import bronze, dedup, funnels, funnels_held, silver, start
from tests.bench.__main__ import as_page, as_result, as_table, put
from tests.bench.harness import Contender, DifferError, Outcome, agree, family_of, measure, race, rotated

QUIET = Console(quiet=True)
BURN = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
HOG = "import time; held = bytearray(200 * 2**20); print(flush=True); time.sleep(0.5)"


def test_everybody_runs_once_apart_and_then_each_turn_begins_with_another() -> None:
    ran: list[str] = []
    names = ["a", "b", "c"]
    outcomes = race([Contender(n, lambda n=n: ran.append(n)) for n in names], repeats=3, console=QUIET)
    assert "".join(ran) == "abc" + "bca" + "cab" + "abc"
    assert [len(each.wall) for each in outcomes] == [3, 3, 3]
    assert len(race([Contender("d", str)], repeats=3, console=QUIET, warm_ups=2)[0].wall) == 3
    assert [each.name for each in rotated([Contender(n, str) for n in names], 4)] == ["b", "c", "a"]


def test_no_time_counts_when_answers_differ_after_the_warm_up() -> None:
    ran: list[str] = []
    contenders = [Contender("one", lambda: ran.append("one") or 7), Contender("other", lambda: 8),
                  Contender("silent", lambda: None)]  # fmt: skip
    with pytest.raises(DifferError, match="one says 7; other says 8"):
        race(contenders, repeats=3, console=QUIET)
    assert ran == ["one"]


def test_an_answer_that_changes_later_is_found_too() -> None:
    answers = iter([1, 1, 2])
    with pytest.raises(DifferError, match="the warm-up says 1; fickle says 2"):
        race([Contender("fickle", lambda: next(answers))], repeats=3, console=QUIET)


def test_who_has_no_answer_is_not_compared() -> None:
    assert agree({"a": None, "b": 3, "c": 3}) == 3
    assert agree({"a": None}) is None


def test_what_is_done_before_and_the_reading_of_the_answer_are_not_timed() -> None:
    slow = Contender("slow", lambda: None, before=lambda: time.sleep(0.3), answer=lambda: time.sleep(0.3) or 5)
    answer, (wall, _, _) = measure(slow)
    assert (answer, wall < 0.2) == (5, True)


def test_cpu_and_memory_of_children_count_also_when_they_have_ended() -> None:
    def work() -> None:
        subprocess.run([sys.executable, "-c", BURN], check=True)
        subprocess.run([sys.executable, "-c", HOG], check=True)

    _, (_, cpu, peak) = measure(Contender("parent", work))
    _, (_, _, alone) = measure(Contender("nobody", lambda: None))
    assert cpu >= 0.3
    assert peak - alone > 150


def test_processes_that_stand_aside_do_not_count() -> None:
    with subprocess.Popen([sys.executable, "-c", HOG.replace("0.5", "60")], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()  # it holds what it holds
        _, with_it = measure(Contender("both", lambda: time.sleep(0.1)))
        _, without = measure(Contender("alone", lambda: time.sleep(0.1), aside=lambda: family_of(other.pid)))
        other.kill()
    assert with_it[2] - without[2] > 150


def outcome(name: str, role: str, *wall: float) -> Outcome:
    return Outcome(name, role, "its settings", list(wall), [2.0] * len(wall), [300.4] * len(wall))


def test_a_row_has_the_median_the_spread_and_ours_over_it() -> None:
    row = outcome("peer", "peer", 4.0, 1.0, 2.0).as_row(ours=3.0)
    assert (row["wall_seconds"], row["wall_spread"], row["ours_ratio"]) == (2.0, [1.0, 4.0], 1.5)
    assert (row["cpu_seconds"], row["peak_mib"], row["note"]) == (2.0, 300, "its settings")


VERDICTS = [
    (bronze, {bronze.NOOP: 7.0, bronze.PLAIN: 10.0, bronze.OURS: 10.0}, "Met: 70% of noop's rate, 100%"),
    (bronze, {bronze.NOOP: 6.9, bronze.PLAIN: 11.0, bronze.OURS: 10.0}, "Missed: 69%"),
    (bronze, {bronze.NOOP: 9.0, bronze.PLAIN: 9.0, bronze.OURS: 10.0}, "Missed: 90% of noop's rate, 90%"),
    (silver, {silver.PLAIN: 2.0, silver.LOOP: 4.0, silver.BARE: 2.25, silver.OURS: 3.0}, "Met: 1.50 ×"),
    (silver, {silver.PLAIN: 2.0, silver.LOOP: 3.0, silver.BARE: 2.25, silver.OURS: 3.0}, "Missed: 1.50 ×"),
    (
        silver,
        {silver.PLAIN: 2.0, silver.LOOP: 4.0, silver.BARE: 2.2, silver.OURS: 3.0},
        "Missed: 1.50 × a plain parsed append, 0.75 × the Python loop; trust takes 27% of ours.",
    ),
    (
        dedup,
        {dedup.LIMIT: 2.0, dedup.OWN_LIMIT: 1.1, dedup.ours(1): 2.2, dedup.ours(100): 3.0},
        "Met: 1.10 × at 0.1 % duplicate, 1.50 × at 10 % duplicate an append alone by Spark; of ours the append takes ",
    ),
    (
        dedup,
        {dedup.LIMIT: 2.0, dedup.OWN_LIMIT: 1.0, dedup.ours(1): 2.0, dedup.ours(10): 2.21},
        "Missed: 1.00 × at 0.1 % duplicate, 1.10 ×",
    ),
    (
        funnels,
        {funnels.CHDB: 1.0, funnels.DUCKDB: 4.0, funnels.OURS: 3.0, funnels.ON_FILE: 2.0},
        "Met on the file: 2.00 × chdb, 0.50 × DuckDB; met in Spark: 3.00 × chdb, 0.75 × DuckDB.",
    ),
    (
        funnels,
        {funnels.CHDB: 1.0, funnels.DUCKDB: 4.0, funnels.OURS: 3.1, funnels.ON_FILE: 2.0},
        "Missed in Spark: 3.10 × chdb, 0.78 × DuckDB; met on the file: 2.00 × chdb, 0.50 × DuckDB.",
    ),
    (
        funnels,
        {funnels.CHDB: 1.0, funnels.DUCKDB: 4.0, funnels.OURS: 3.0, funnels.ON_FILE: 4.0},
        "Missed on the file: 4.00 × chdb, 1.00 × DuckDB; met in Spark",
    ),
    (
        funnels_held,
        {funnels.DUCKDB: 4.0, funnels.OURS: 3.0, funnels.ON_FILE: 2.0},
        "Met on the file: 0.50 × DuckDB; met",
    ),
    (
        funnels_held,
        {funnels.DUCKDB: 3.0, funnels.OURS: 3.0, funnels.ON_FILE: 2.0},
        "Missed in Spark: 1.00 × DuckDB; met",
    ),
    (start, {start.NEW: 30.0, start.OURS: 3.0}, "Met: 3.0 s, 10.0 ×"),
    (start, {start.NEW: 30.0, start.OURS: 3.1}, "Missed"),
]


@pytest.mark.parametrize(("module", "medians", "words"), VERDICTS)
def test_a_verdict_compares_with_the_aim(module: Any, medians: dict[str, float], words: str) -> None:
    assert module.verdict(medians).startswith(words)


def result(scale: float, ours: float) -> dict[str, Any]:
    outcomes = [outcome(funnels.CHDB, "peer", 1.0), outcome(funnels.DUCKDB, "peer", 4.0),
                outcome(funnels.OURS, "ours", ours), outcome(funnels.ON_FILE, "ours", ours + 1)]  # fmt: skip
    return as_result("B4", "funnel", scale, 3, funnels, outcomes)


def test_results_add_up_over_runs_and_a_repeat_takes_the_place(tmp_path) -> None:
    file = tmp_path / "docs" / "benchmarks.json"
    for scale, ours in ((1.0, 9.0), (0.1, 2.0), (1.0, 5.0)):
        kept = put(file, result(scale, ours))
    assert [(each["scale"], each["rows"][2]["wall_seconds"]) for each in kept] == [(0.1, 2.0), (1.0, 5.0)]


def test_the_page_tells_losses_first_and_everybodys_settings() -> None:
    page = as_page([result(0.1, 2.0), result(1.0, 5.0)])
    lost = page[page.index("## Losses") : page.index("## B4")]
    assert "- B4 at scale 0.1: Ours takes longer than chdb windowFunnel (2 ×)." in lost
    assert "- B4 at scale 1: Missed on the file: 6.00 × chdb, 1.50 × DuckDB; missed in Spark: 5.00 × chdb, 1.25" in lost
    assert "| chdb windowFunnel | peer | 1.00 | 1.00–1.00 | 2.0 | 300 | 5.0 | its settings |" in page
    assert as_table(result(1.0, 5.0)).row_count == 4
