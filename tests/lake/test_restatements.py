"""What was published is never changed in silence: each change is booked once, and anybody may ask for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.contracts import contract
from jobs.lake.errors import UsageError
from jobs.lake.families.funnel_tables import PATHS
from jobs.lake.ledger import Ledger, as_json
from jobs.lake.publications import Publication, Release, publish, release_id, releases
from jobs.lake.restating import booking
from jobs.lake.restating.causes import share_other_names
from jobs.lake.restating.cells import Cell, Change, changes
from jobs.lake.restating.splitting import split
from jobs.lake.restating.step import Step
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.serve import history as serving
from jobs.serve.tables import published_version
from tests.jobs.serve.filled import filled
from tests.lake.test_runner import runner
from tests.lake.toys import FAMILY, MONDAY, NOON, TABLES, TUESDAY, Toys
from tests.lake.toys import toys as make_toys

DAYS = "gold.toy_days"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toys]:
    """Four releases and a rollback; the run of the third was killed when all was published and nothing booked."""
    toys = make_toys(tmp_path_factory.mktemp("restated"), None)  # nothing of it takes Spark
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(booking, "RESTATED", (DAYS,))
        patch.setattr(booking, "_explain", lambda _: lambda lake, step, changes: {o.cell: late(o) for o in changes})
        release_plays(toys, 1, {MONDAY: 2})
        release_plays(toys, 2, {MONDAY: 3, TUESDAY: 1})
        release_plays(toys, 3, {MONDAY: 4, TUESDAY: 1}, is_killed=True)
        release_plays(toys, 4, {MONDAY: 4, TUESDAY: 2})
        runner(toys, "oops").rollback("2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(serving, "RESTATED", (DAYS,))
        yield toys


def late(change: Change) -> dict[str, int]:
    return {"late_data": change.amount}


def release_plays(toys: Toys, number: int, plays: dict[date, int], *, is_killed: bool = False) -> None:
    ledger = toys.ledger
    rows = [{"event_date": day, "play_count": count, "watched_rate": 1.0} for day, count in plays.items()]
    ledger.replace(DAYS, rows, on_version=ledger.open(DAYS).version())
    versions = {table: ledger.open(table).version() for table in TABLES}
    made = a_release(FAMILY, number, versions, slices=tuple(plays))
    publish(ledger, FAMILY, number, list(made.tables.values()))
    if not is_killed:
        booking.restate(runner(toys, "run"))


def lines(toys: Toys) -> list[tuple[Any, ...]]:
    rows = toys.ledger.read("ops.restatements").to_pylist()
    names = ("release_id", "row_key", "measure", "old_value", "new_value", "cause", "part")
    return sorted(tuple(row[name] for name in names) for row in rows)


def test_each_change_is_booked_once_also_when_the_run_was_killed_or_another_came(story: Toys) -> None:
    monday, tuesday = (f'{{"event_date":"{day}"}}' for day in (MONDAY, TUESDAY))
    assert lines(story) == [
        ("toys-000002", monday, "play_count", 2, 3, "late_data", 1),
        ("toys-000003", monday, "play_count", 3, 4, "late_data", 1),
        ("toys-000004", tuesday, "play_count", 1, 2, "late_data", 1),
        ("toys-000005", monday, "play_count", 4, 3, "rollback", -1),
        ("toys-000005", tuesday, "play_count", 2, 1, "rollback", -1),
    ]


def test_a_number_has_its_history(story: Toys) -> None:
    rows = serving.history(story.settings, DAYS, [f"event_date={MONDAY}"])
    told = [(row["release"], row["value"], row["change"], serving.in_words(row["causes"])) for row in rows]
    assert told[:3] == [
        ("toys-000001", 2, None, ""),
        ("toys-000002", 3, 1, "late_data +1 (batches 2 to 2)"),
        ("toys-000003", 4, 1, "late_data +1 (batches 3 to 3)"),
    ]
    assert told[3][:3] == ("toys-000005", 3, -1)
    assert "rollback -1 (run oops put an older release back" in told[3][3]
    assert [row["released_at"] for row in rows[:3]] == [NOON + timedelta(days=number) for number in (1, 2, 3)]


def test_the_history_comes_as_json_too(story: Toys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(story.settings.home))
    monkeypatch.setenv("REELHOUSE_SCHEMAS_DIR", str(story.settings.schemas_dir))
    words = ["history", DAYS, "--key", f"event_date={TUESDAY}", "--measure", "play_count"]
    done = CliRunner().invoke(build_app(), [*words, "--format", "json"])
    assert [(row["release"], row["value"], row["change"]) for row in json.loads(done.stdout)] == [
        ("toys-000002", 1, None), ("toys-000004", 2, 1), ("toys-000005", 1, -1),
    ]  # fmt: skip
    assert "late_data +1 (batches 4 to 4)" in CliRunner().invoke(build_app(), words).stdout


@pytest.mark.parametrize(
    ("table", "key", "measure", "said"),
    [
        ("gold.toy_users", [], "", "gold.toy_users' has no history of its numbers: `reelhouse sql --release"),
        ("gold.toys", [], "", "gold.toys' has no history; write one of gold.toy_days"),
        (DAYS, ["day=x"], "", "--key day: gold.toy_days has no such key column; its key is event_date"),
        (DAYS, [], "", "--key: event_date of gold.toy_days is missing; its key is event_date"),
        (DAYS, ["event_date=monday"], "", "'monday' is no day"),
        (DAYS, ["event_date=2026-11-30"], "", "has no such row; there are 2026-11-16, 2026-11-17"),
        (DAYS, [f"event_date={MONDAY}"], "likes", "counts no 'likes'; it counts play_count"),
    ],
)
def test_what_is_not_there_is_said_in_one_line(
    story: Toys, table: str, key: list[str], measure: str, said: str
) -> None:
    with pytest.raises(UsageError) as refused:
        serving.history(story.settings, table, key, measure)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_readers_may_ask_for_what_was_said_then(story: Toys) -> None:
    then = NOON + timedelta(days=3, hours=1)
    assert story.rows(DAYS, published_version(story.settings, DAYS, None, None, then))[0][:2] == (MONDAY, 4)
    with pytest.raises(UsageError, match=r"toy_days is not published as of 2026-11-01"):
        published_version(story.settings, DAYS, None, None, datetime(2026, 11, 1, tzinfo=UTC))


def test_a_history_may_end_at_what_was_told_by_then(story: Toys) -> None:
    def told(as_of: datetime) -> list[tuple[int, int | None]]:
        rows = serving.history(story.settings, DAYS, [f"event_date={MONDAY}"], "play_count", as_of)
        return [(row["value"], row["change"]) for row in rows]

    whole = [(2, None), (3, 1), (4, 1), (4 - 1, -1)]
    third = NOON + timedelta(days=3)
    assert told(third) == whole[:3]
    assert told(third - timedelta(microseconds=1)) == whole[:2]
    assert told(datetime(2030, 1, 1, tzinfo=UTC)) == whole
    with pytest.raises(UsageError, match="the row was first released at 2026-"):
        told(NOON)


def test_a_release_whose_changes_nobody_can_tell_leaves_a_word_and_the_next_goes_on(tmp_path: Path) -> None:
    toys = make_toys(tmp_path, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(booking, "RESTATED", (DAYS,))
        patch.setattr(serving, "RESTATED", (DAYS,))
        patch.setattr(booking, "_explain", lambda _: lambda lake, step, changes: {o.cell: late(o) for o in changes})
        release_plays(toys, 1, {MONDAY: 2})
        old = DeltaTable(toys.ledger.path(DAYS)).file_uris()
        release_plays(toys, 2, {MONDAY: 3}, is_killed=True)
        for file in old:
            Path(file).unlink()
        assert booking.restate(runner(toys, "run")) == 1
        release_plays(toys, 3, {MONDAY: 4})
        assert lines(toys) == [
            ("toys-000002", "{}", "(all)", None, None, "unexplained", 0),
            ("toys-000003", f'{{"event_date":"{MONDAY}"}}', "play_count", 3, 4, "late_data", 1),
        ]
        told = serving.history(toys.settings, DAYS, [f"event_date={MONDAY}"])
    assert (told[-1]["release"], told[-1]["value"]) == ("toys-000002", None)
    assert "unexplained +0 (files of toys-000001 are gone or hurt" in serving.in_words(told[-1]["causes"])


def test_a_row_that_came_to_a_day_that_was_out_is_a_change_from_nothing(tmp_path: Path) -> None:
    """Not so a day, or a funnel, that was not out; a table without rows on empty days asks the one that has them."""
    settings = Settings(home=tmp_path)
    first, since = ("f", MONDAY, "a"), [("f", TUESDAY, "a"), ("g", MONDAY, "a")]
    told = {
        "gold.funnel_daily": ([first], [first, ("f", MONDAY, "b"), *since]),
        "gold.funnel_paths": ([], [first, *since]),
    }
    versions = [{table: put(settings, table, rows[n]) for table, rows in told.items()} for n in (0, 1)]
    for table, name, value in (("gold.funnel_daily", "breakdown_value", "b"), ("gold.funnel_paths", "act", "a")):
        found = [one for one in changes(settings, table, *versions, []) if one.cell.measure == "attempts_count"]
        (key,) = [json.loads(one.cell.key) for one in found]
        assert (key["funnel"], key["entry_date"], key[name]) == ("f", str(MONDAY), value)
        assert [(one.old, one.new) for one in found] == [(None, 7)]
        every = {one.cell.key for one in changes(settings, table, *versions, [], with_new_days=True)}
        assert len(every) == 3


def put(settings: Settings, table: str, rows: list[tuple[str, date, str]]) -> int:
    """Rows of these funnels, days and values; the version they are of."""
    ledger, names = Ledger(settings), contract(table, settings.schemas_dir).names
    made = []
    for funnel, day, value in rows:
        row = {"funnel": funnel, "funnel_version": 1, "entry_date": day, "breakdown": "scene", "breakdown_value": value,
               "path_outcome": "dropped", "act": value, "step_number": 1, "attempts_count": 7}  # fmt: skip
        made.append(filled(settings, table, {name: each for name, each in row.items() if name in names}))
    ledger.replace(table, made, on_version=ledger.open(table).version())
    return ledger.version(table)


def test_what_an_act_lost_to_a_more_frequent_one_is_of_the_news_of_its_group() -> None:
    """Nobody whose attempts are counted under another name now has news; who came in between does."""
    step = Step(a_release("f", 1, {PATHS: 0}), a_release("f", 2, {PATHS: 1}, slices=(MONDAY,)))
    cells = {
        act: Cell(PATHS, as_json({"funnel": "f", "act": act}), "attempts_count") for act in ("new", "old", "(other)")
    }
    quiet = Cell(PATHS, as_json({"funnel": "g", "act": "old"}), "attempts_count")
    moves = {cells["new"]: (None, 9), cells["old"]: (8, None), cells["(other)"]: (4, 12), quiet: (3, 2)}
    changes = [Change(cell, *values) for cell, values in moves.items()]
    for causes, told in ((("replay",), "replay"), (("replay", "on_time"), "several")):
        parts: dict[Cell, dict[str, int]] = {cell: {} for cell in moves}
        parts[cells["new"]] = dict(zip(causes, (9,) if len(causes) == 1 else (5, 4), strict=True))
        share_other_names(step, changes, parts)
        assert (parts[cells["old"]], parts[cells["(other)"]], parts[quiet]) == ({told: -8}, {told: 8}, {})
        assert sum(parts[cells["new"]].values()) == 9


def a_release(family: str, number: int, versions: dict[str, int], **facts: Any) -> Release:
    common = {"slices": (), "ingest_seq": number, "watermark": None, "contract_version": "1.0.0", "verdict": "passed"}
    told = common | {"run_id": f"run-{number}", "known_from": NOON + timedelta(days=number), "rows": 0} | facts
    tables = {
        table: Publication(
            release_id=release_id(family, number), family=family, table=table, version=version, **told
        )
        for table, version in versions.items()
    }  # fmt: skip
    return Release(family, number, tables)


def test_whatever_the_parts_are_they_add_up() -> None:
    """Random changes and random parts; what is left over has the cause that can be."""
    draw = Random(11)
    step = Step(a_release("f", 1, {"t": 0}), a_release("f", 2, {"t": 1}, slices=(MONDAY,), watermark=NOON))
    changes, parts = [], {}
    for number in range(500):
        cell = Cell("t", str(number), draw.choice(("people_count", "open_people_count", "x_p25_us", "time_sum_us")))
        values = [draw.choice((None, draw.randint(-9, 9))) for _ in range(2)]
        changes.append(Change(cell, *values))
        parts[cell] = {cause: draw.randint(-3, 3) for cause in draw.sample(("late_data", "replay", "on_time"), 2)}
    told = list(split(step, changes, parts))
    for change in changes:
        mine = {cause: part for other, cause, part in told if other is change}
        assert sum(mine.values()) == change.amount
        assert len(mine) == sum(other is change for other, _, _ in told)
        assert ("unexplained" in mine) <= (change.cell.measure in ("people_count", "time_sum_us"))


def test_weeks_that_were_over_change_by_late_news_and_others_by_news_of_their_time(
    tmp_path: Path, spark: SparkSession
) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")
    ledger, tables = Ledger(settings), ("gold.segment_daily", "gold.retention_weekly", "gold.user_scores")
    segment = {"dimension": "lifecycle", "segment_before": "new", "segment": "active"}
    view = {"event_id": "e", "kind": "play", "event_time": NOON - timedelta(days=9), "ingest_seq": 2}
    ledger.append("silver.views", [filled(settings, "silver.views", view)])
    ledger.open("gold.user_scores")
    for number, more in ((1, 0), (2, 1)):
        segments = [segment | {"as_of_day": day, "people_count": 5 + more} for day in (MONDAY, TUESDAY)]
        weeks = [
            {"cohort_week": date(2026, 11, 2), "counting": "calendar", "week_number": week, "as_of_day": TUESDAY,
             "cohort_count": 10, "active_count": 2 + more, "retained_ppm": 200_000 + 100_000 * more,
             "is_mature": week in (1, 3)}
            for week in (1, 2, *((3, 4) if more else ()))
        ]  # fmt: skip
        for table, rows in ((tables[0], segments), (tables[1], weeks)):
            ledger.replace(table, rows, on_version=ledger.open(table).version())
        versions = {table: ledger.version(table) for table in tables}
        made = a_release("scores", number, versions, watermark=NOON)
        publish(ledger, "scores", number, list(made.tables.values()))
        run = Runner(settings, "scores", "run", session=lambda _: spark)
        booking.restate(run)
    rows = [row | json.loads(row["row_key"]) for row in ledger.read("ops.restatements").to_pylist()]
    assert {row["as_of_day"]: row["cause"] for row in rows if row["table"] == tables[0]} == {
        "2026-11-16": "definition_change", "2026-11-17": "on_time",
    }  # fmt: skip
    assert {(row["week_number"], row["measure"], row["cause"]) for row in rows if row["table"] == tables[1]} == {
        (week, measure, cause)
        for week, cause in ((1, "late_data"), (2, "on_time"))
        for measure in ("active_count", "retained_ppm")
    }, "rows that were not there before are no restatement"
    run.tells_new_days = True
    before, after = releases(ledger, "scores")
    told = [json.loads(row["row_key"]) | row for row in booking.restatements(run, Step(before, after), tables[1:2])]
    assert {(row["week_number"], row["cause"]) for row in told if row["old_value"] is None} == {
        (3, "late_data"), (4, "on_time"),
    }, "but may be told as one"  # fmt: skip
