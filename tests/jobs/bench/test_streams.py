"""B7, B8 and the soak tell what they say: a record's way to its first commit, what waits, how an outage is drained."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import typer
from deltalake import DeltaTable, write_deltalake
from rich.console import Console
from typer.testing import CliRunner

from jobs.lake.settings import Settings
from tests.bench import catch_up, freshness, soak
from tests.bench.harness import Contender, race
from tests.bench.shop_stream import Stay, make_facts, records_of, stay_in

BEGIN = datetime(2026, 6, 7, tzinfo=UTC)


def came_to(table: Path, *offsets: int) -> None:
    """Append records that Kafka took a second apart."""
    times = [BEGIN + timedelta(seconds=offset) for offset in offsets]
    columns = {
        "kafka_partition": pa.array([0] * len(offsets), pa.int32()),
        "kafka_offset": offsets,
        "kafka_time": pa.array(times, pa.timestamp("us", "UTC")),
        "event_date": [BEGIN.date()] * len(offsets),
    }
    write_deltalake(str(table), pa.table(columns), mode="append", partition_by=["event_date"])


def committed_at(table: Path, version: int, seconds: float) -> None:
    at = BEGIN.timestamp() + seconds
    os.utime(table / "_delta_log" / f"{version:020}.json", (at, at))


def test_a_record_can_be_queried_from_the_first_commit_that_holds_it(tmp_path: Path) -> None:
    views, likes = tmp_path / "views", tmp_path / "likes"
    came_to(views, 0, 1)
    came_to(views, 2)
    came_to(likes, 0)
    DeltaTable(str(views)).optimize.compact()
    for table, version, seconds in ((views, 0, 4), (views, 1, 5), (views, 2, 99), (likes, 0, 1)):
        committed_at(table, version, seconds)
    stay = stay_in([views, likes])
    assert sorted(np.round(stay.committed - stay.came, 3)) == [1, 3, 3, 4]
    assert stay.rate == pytest.approx(4 / 2)


def stay_of(rate: int, seconds: int, *commits: float) -> Stay:
    """So many records a second, each committed with the next of these commits."""
    came = np.arange(rate * seconds) / rate
    return Stay(came, np.array(commits)[np.searchsorted(commits, came, side="right")])


def test_a_steady_backlog_is_flat_and_a_growing_one_is_not() -> None:
    steady = stay_of(10, 30, *range(2, 33, 2))
    assert (steady.latency(50), steady.latency(95)) == pytest.approx((1.05, 1.9), abs=0.06)
    assert steady.backlogs == pytest.approx((20, 20), abs=1)
    growing = stay_of(10, 30, 2, 6, 14, 40)
    assert growing.backlogs == pytest.approx((80, 160), abs=2)
    assert (freshness.is_flat(steady), freshness.is_flat(growing)) == (True, False)


@pytest.mark.parametrize(
    ("p95", "stay", "words"),
    [
        (
            4.9,
            stay_of(10, 30, *range(2, 33, 2)),
            "Met: ours: 10 a second: 95 % within 4.9 s, half within 1.",
        ),
        (9.9, stay_of(10, 30, *range(2, 33, 2)), "Met, 5 s not reached: ours"),
        (10.1, stay_of(10, 30, *range(2, 33, 2)), "Missed, 5 s not reached: ours"),
        (4.9, stay_of(10, 30, 2, 6, 14, 40), "Missed: ours"),
    ],
)
def test_the_verdict_on_freshness_asks_for_seconds_and_a_flat_backlog(
    monkeypatch: pytest.MonkeyPatch, p95: float, stay: Stay, words: str
) -> None:
    monkeypatch.setattr(freshness, "NEWEST", {freshness.ours(10): stay})
    assert freshness.verdict({freshness.ONE: 20.0, freshness.ours(10): p95}).startswith(words)


def test_a_run_may_say_what_counts_instead_of_its_wall_time() -> None:
    said = iter([9.0, 3.0, 1.0, 2.0])
    (outcome,) = race([Contender("stream", str, seconds=lambda: next(said))], repeats=3, console=Console(quiet=True))
    assert (outcome.wall, outcome.median) == ([3.0, 1.0, 2.0], 2.0)


@pytest.mark.parametrize(("seconds", "words"), [(12.0, "Met: 60 s of outage in 12.0 s (20%), 3.00 ×"), (13, "Missed")])
def test_the_verdict_on_catching_up_compares_with_the_outage(
    monkeypatch: pytest.MonkeyPatch, seconds: float, words: str
) -> None:
    monkeypatch.setattr(catch_up, "LASTED", [600.0, 60.0])
    medians = {catch_up.NOOP: 2.0, catch_up.PLAIN: 4.0, catch_up.OURS: seconds}
    assert catch_up.verdict(medians).startswith(words)


def test_the_facts_are_mixed_all_along(settings: Settings, tmp_path: Path) -> None:
    make_facts(settings, tmp_path / "facts.parquet", 400)
    topics = [topic for topic, *_ in records_of(tmp_path / "facts.parquet")]
    assert len(topics) == 400
    assert set(topics[:200]) == set(topics[200:]) == {"views", "likes", "orders"}
    ids = [dict(headers)["ce_id"] for *_, headers in records_of(tmp_path / "facts.parquet")]
    assert len(set(ids)) == 400


def look(at: int, seconds: float, mib: float) -> soak.Look:
    return soak.Look(at, seconds, records=1000, resident_mib=mib, files=at * 4, own_mib=mib - 300, engine_mib=300.0)


def test_a_soak_compares_its_end_with_the_beginning_after_the_warm_up() -> None:
    looks = [look(n, 9.0 if n < 2 else 1.0 if n < 8 else 1.6, 500.0 + n) for n in range(10)]
    assert [[each.at for each in some] for some in soak.ends(looks)] == [[2, 3], [8, 9]]
    table = soak.as_table(looks, "a title")
    columns = [list(column.cells) for column in table.columns]
    assert list(zip(*columns, strict=True)) == [
        ("s a thousand records", "1.0", "1.6", "grows"),
        ("resident MiB", "502.5", "508.5", "flat"),
        ("ingest's MiB", "202.5", "208.5", "flat"),
        ("files, median", "10.0", "34.0", "grows"),
        ("files of logs", "0.0", "0.0", "flat"),
        ("batch s", "1.0", "1.6", ""),
        ("its engine's MiB", "300.0", "300.0", ""),
        ("files", "12", "36", "at the last batch of each"),
    ]
    assert soak.ends(looks[:1]) == (looks[:1], looks[:1])


@pytest.mark.parametrize(
    ("seconds", "mib", "files", "found"),
    [
        (1.2, 600.0, 12, []),
        (1.21, 600.0, 12, ["s a thousand records"]),
        (1.2, 601.0, 12, ["resident MiB"]),
        (1.2, 600.0, 13, ["files, median"]),
    ],
)
def test_a_soak_is_flat_up_to_a_fifth_more_of_each_figure_and_no_further(
    seconds: float, mib: float, files: int, found: list[str]
) -> None:
    begin, end = (soak.Look(0, *some, 0) for some in ((1.0, 1000, 500.0, 10), (seconds, 1000, mib, files)))
    looks = [replace(begin if n < 6 else end, logged=7) for n in range(10)]
    assert soak.growing(looks) == found


@pytest.mark.parametrize(("seconds", "code", "said"), [(1.0, 0, "flat"), (2.0, 1, "not flat: s a thousand records")])
def test_a_soak_that_is_not_flat_ends_with_exit_code_1(
    seconds: float, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = [replace(look(n, 1.0 if n < 8 else seconds, 500.0), files=5) for n in range(10)]
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(soak, "workplace", lambda name: nullcontext(tmp_path))
    monkeypatch.setattr(soak, "place_in", lambda folder, rate, seconds: nullcontext(None))
    monkeypatch.setattr(soak, "soaked", lambda place, rate, told: looks)
    monkeypatch.setattr(soak, "stay_in", lambda tables, seen: SimpleNamespace(latency=lambda percent: 5.0))
    for name in ("same_cores", "keep_orphans"):
        monkeypatch.setattr(soak, name, lambda: None)
    app = typer.Typer()
    app.command()(soak.main)
    done = CliRunner().invoke(app, ["--minutes", "1"])
    assert (done.exit_code, said in done.stdout) == (code, True)


def test_only_files_of_tables_count(tmp_path: Path) -> None:
    came_to(tmp_path / "silver" / "views", 0)
    came_to(tmp_path / "silver" / "likes", 0)
    DeltaTable(str(tmp_path / "silver" / "likes")).create_checkpoint()
    assert soak.files_in(tmp_path) == 2
