"""Each real log's funnel, judged by the engine on a file, is what plain SQL over the raw log counts; so is the page."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.definitions.funnel.language import read_definition
from jobs.lake.settings import ROOT
from tests.jobs.replay import funnels_in_sql
from tests.jobs.replay.funnels_in_sql import Sql

LOGS: dict[str, Callable[[Path], Sql]] = {
    "kuairand": funnels_in_sql.of_kuairand,
    "olist": funnels_in_sql.of_olist,
    "rees46": funnels_in_sql.of_rees46,
    "taobao": funnels_in_sql.of_taobao,
}
Row = dict[str, Any]
KEPT: dict[str, Found] = {}


@dataclass(frozen=True)
class Found:
    """A log's funnel by our engine and by SQL."""

    zone: ZoneInfo
    steps: list[Row]
    attempts: list[Row]
    periods: list[Row]
    times: dict[str, int]
    watermark: int
    sql: Sql

    @property
    def step_count(self) -> int:
        return len(self.steps)

    def day(self, row: Row) -> str:
        """The local day of an attempt's entry."""
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.times[row["entry_event_id"]])
        return moment.astimezone(self.zone).date().isoformat()


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(params=LOGS)
def found(request: pytest.FixtureRequest, real: Callable[[str], Path], tmp_path: Path) -> Found:
    """The log told as events in a file, evaluated as an analyst would; and the same by SQL. Done once a log."""
    name = request.param
    if name not in KEPT:
        KEPT[name] = judged(name, real(name), tmp_path / "events.jsonl")
    return KEPT[name]


def judged(name: str, folder: Path, file: Path) -> Found:
    run("replay", name, str(folder), "--to", str(file), "--for-funnels")
    events = [json.loads(line) for line in file.read_text().splitlines()]
    times = {event["event_id"]: event["event_time"] for event in events}
    watermark = (min(times.values()) + 3 * max(times.values())) // 4  # so that some attempts are open
    definition = ROOT / "schemas" / "funnels" / f"log_{name}.yaml"

    def view(view: str) -> list[Row]:
        asked = ["--view", view, "--watermark", str(watermark), "--format", "json"]
        rows: list[Row] = json.loads(run("funnel", "evaluate", str(definition), "--events", str(file), *asked))
        return rows

    shown = [view(name) for name in ("steps", "attempts", "subject_period")]
    zone = ZoneInfo(read_definition(definition).zone)
    return Found(zone, *shown, times, watermark, LOGS[name](folder))


def got_to(rows: Iterable[Row], step: int, optional: int) -> list[Row]:
    """Rule 14: a mandatory step counts who got there or further, an optional one who filled it."""
    if step == optional:
        return [row for row in rows if [*row["step_event_ids"], *[None] * step][step - 1] is not None]
    return [row for row in rows if row["reached"] >= step]


def test_people_and_attempts_of_every_step(found: Found) -> None:
    numbers = range(1, found.step_count + 1)
    assert [row["people"] for row in found.steps] == [found.sql.people(step) for step in numbers]
    assert [row["attempts"] for row in found.steps] == [found.sql.attempts(step) for step in numbers]
    assert [row["mature"] for row in found.steps] == [found.sql.mature(step, found.watermark) for step in numbers]
    assert 0 < found.steps[0]["mature"] < found.steps[0]["attempts"]


def test_attempts_and_people_of_every_day_and_step(found: Found) -> None:
    for step in range(1, found.step_count + 1):
        attempts = Counter(found.day(row) for row in got_to(found.attempts, step, found.sql.optional))
        people = Counter(row["entry_date"] for row in got_to(found.periods, step, found.sql.optional))
        assert attempts == Counter(found.sql.attempts_by_day(step)), f"attempts at step {step}"
        assert people == Counter(found.sql.people_by_day(step)), f"people at step {step}"


def test_every_entry_is_in_one_attempt(found: Found) -> None:
    assert sum(row["entries"] for row in found.attempts) == found.sql.entries()


@pytest.mark.parametrize(("measure", "since"), [("decision_us", "entry_at"), ("deliberation_us", "earliest_at")])
def test_median_time_to_convert_of_every_day(found: Found, measure: str, since: str) -> None:
    lengths: dict[str, list[int]] = {}
    for row in found.attempts:
        if row["converted"]:
            lengths.setdefault(found.day(row), []).append(row[measure])
    medians = {day: median_doubled(some) for day, some in lengths.items()}
    assert medians == found.sql.medians_by_day(since)


def median_doubled(lengths: list[int]) -> int:
    ordered, count = sorted(lengths), len(lengths)
    return ordered[(count - 1) // 2] + ordered[count // 2]


def test_the_page_names_these_numbers(found: Found) -> None:
    cells = [f"{row['step']} {row['people']:,} / {row['attempts']:,}" for row in found.steps]
    medians = (found.sql.median("entry_at"), found.sql.median("earliest_at"))
    row = f"| {' · '.join(cells)} | {' | '.join(told(median) for median in medians)} |"
    assert row in (ROOT / "docs" / "funnels.md").read_text(encoding="utf-8"), row


def told(doubled: int) -> str:
    """A doubled length of time to the second, or as days and hours."""
    seconds = doubled // 2 // 1_000_000
    days, rest = divmod(seconds, 86_400)
    return f"{days} d {rest // 3600} h" if days else f"{seconds // 60} min {seconds % 60} s"
