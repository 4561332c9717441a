"""Two versions of a funnel are told apart by day, value and step; and by people, with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copytree
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from jobs.commands.funnel import app
from jobs.lake.errors import SliceError, UsageError
from jobs.lake.settings import ROOT, Settings
from jobs.serve import query, tables
from jobs.serve.funnel_compare import Comparison, changes, check, differences, examples

DAY, NOON = date(2026, 11, 1), datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR = 3_600_000_000
STEPS = {1: ("seen", "kept", "paid"), 2: ("seen", "paid"), 3: ("seen", "kept", "paid")}
WINDOWS = {1: 24 * HOUR, 2: 24 * HOUR, 3: 2 * HOUR}
# (version, user, step reached, hours it took, excluded)
TRIES = [
    (1, "slow", "paid", 5, False), (3, "slow", "kept", 1, False),
    (1, "keeper", "kept", 1, False), (2, "keeper", "paid", 3, False),
    (1, "barred", "paid", 1, False), (3, "barred", "kept", 1, True),
    (1, "same", "paid", 1, False), (2, "same", "paid", 1, False), (3, "same", "paid", 1, False),
]  # fmt: skip


def attempt(version: int, user: str, step: str, hours: int, excluded: bool) -> dict[str, Any]:
    reached = STEPS[version].index(step) + 1
    times = [NOON] * (reached - 1) + [NOON + timedelta(hours=hours)]
    return {"funnel": "shop", "funnel_version": version, "user_id": user, "entry_date": DAY, "reached": reached,
            "reached_step": step, "step_times": times, "is_excluded": excluded, "set_aside": "(none)"}  # fmt: skip


def daily() -> list[dict[str, Any]]:
    rows = []
    for version, steps in STEPS.items():
        for number, step in enumerate(steps, 1):
            got = {user for v, user, s, _, _ in TRIES if v == version and STEPS[v].index(s) + 1 >= number}
            rows.append({
                "funnel": "shop", "funnel_version": version, "entry_date": DAY, "breakdown": "total",
                "breakdown_value": "(all)", "step_number": number, "step": step, "window_us": WINDOWS[version],
                "attempts_count": len(got) if number > 1 else 9, "people_count": len(got) if number > 1 else 9,
            })  # fmt: skip
    return rows


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A shop whose published tables are these rows."""
    lake = duckdb.connect()
    lake.execute("CREATE SCHEMA gold")
    for name, rows in (("funnel_attempts", [attempt(*one) for one in TRIES]), ("funnel_daily", daily())):
        lake.register(f"given_{name}", pa.Table.from_pylist(rows))
        lake.execute(f"CREATE TABLE gold.{name} AS SELECT * FROM given_{name}")

    def answer(settings: Settings, query: str, versions: Mapping[str, int]) -> pa.Table:
        assert len(versions) == 1
        return lake.execute(query).to_arrow_table()

    monkeypatch.setattr(query, "answer", answer)
    monkeypatch.setattr(tables, "published_version", lambda *_: 7)
    return Settings(home=tmp_path, schemas_dir=copytree(ROOT / "schemas", tmp_path / "schemas"))


def test_counts_that_differ_are_told_by_name_of_step(settings: Settings) -> None:
    found = differences(settings, Comparison("shop", 1, 2))
    assert [(row["step"], row["attempts_one"], row["attempts_other"], row["attempts_more"]) for row in found] == [
        ("kept", 4, 0, -4), ("paid", 3, 2, -1),
    ]  # fmt: skip
    assert {row["entry_date"] for row in found} == {DAY}
    assert differences(settings, Comparison("shop", 1, 2, last="2026-10-31")) == []


def test_people_over_whom_they_part_ways_and_why(settings: Settings) -> None:
    found = {row["user_id"]: row for row in examples(settings, Comparison("shop", 1, 3), 9)}
    assert set(found) == {"slow", "barred", "keeper"}  # nothing is told of `same`
    assert (found["slow"]["one"], found["slow"]["other"]) == ("paid", "kept")
    assert found["slow"]["why"] == "paid came 5:00:00 after the entry, v3 waits 2:00:00"
    assert found["barred"]["other"] == "kept, excluded"
    assert found["barred"]["why"] == "v3 excludes it: an event came between that it forbids"
    assert found["keeper"]["why"] == "in v3 no try gets past its first step"
    keeper = next(row for row in examples(settings, Comparison("shop", 1, 2), 9) if row["user_id"] == "keeper")
    assert (keeper["one"], keeper["why"]) == ("kept", "v2 has no step kept")
    assert len(examples(settings, Comparison("shop", 1, 3), 2)) == 2


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Comparison("shopp", 1, 2), "no funnel 'shopp' is published; there are shop"),
        (Comparison("shop", 1, 4), "no version of shop 4 is published; there are 1, 2, 3"),
        (Comparison("shop", 1, 2, by="colour"), "no breakdown 'colour' is published; there are total"),
        (Comparison("shop", 2, 2), "named twice"),
        (Comparison("shop", 1, 2, first="2026-11-02", last="2026-11-01"), "--from 2026-11-02 comes after"),
    ],
)
def test_what_is_not_there_is_refused(asked: Comparison, words: str, settings: Settings) -> None:
    with pytest.raises(UsageError, match=words):
        check(settings, asked)
    check(settings, Comparison("shop", 1, 2))


def test_a_day_that_is_none_is_refused(settings: Settings) -> None:
    with pytest.raises(SliceError, match="is no day"):
        differences(settings, Comparison("shop", 1, 2, first="yesterday"))


def test_what_the_definitions_say_differently(settings: Settings) -> None:
    file = settings.schemas_dir / "funnels" / "content_to_purchase.yaml"
    newer = file.read_text().replace("version: 1", "version: 2").replace("window: 24h", "window: 12h")
    (file.parent / "content_to_purchase_2.yaml").write_text(newer)
    assert changes(settings, Comparison("content_to_purchase", 1, 2)) == ["window_us: 86400000000 → 43200000000"]
    assert changes(settings, Comparison("content_to_purchase", 1, 5)) == []


def test_json_tells_what_changed_and_an_example_names_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = (settings.schemas_dir / "funnels" / "content_to_purchase.yaml").read_text()
    shop = shop.replace("name: content_to_purchase", "name: shop")
    for version, window in ((1, "24h"), (3, "12h")):
        newer = shop.replace("version: 1", f"version: {version}").replace("window: 24h", f"window: {window}")
        (settings.schemas_dir / "funnels" / f"shop_{version}.yaml").write_text(newer)
    monkeypatch.setattr(Settings, "from_env", lambda: settings)
    told = CliRunner().invoke(app, ["compare", "shop", "1", "3", "--format", "json"], catch_exceptions=False)
    rows = json.loads(told.stdout)
    assert [row["why"] for row in rows if row["part"] == "change"] == ["window_us: 86400000000 → 43200000000"]
    (keeper,) = [row for row in rows if row["user_id"] == "keeper"]
    assert keeper["why"] == "in v3 no try gets past its first step; changed are window_us"
    assert "above" not in told.stdout
    assert len({tuple(row) for row in rows}) == 1  # every row has the same fields
