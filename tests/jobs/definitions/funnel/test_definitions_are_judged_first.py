"""A definition or an events file that cannot be right is refused, with place and remedy, before anything runs."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.commands.funnel import app
from jobs.lake.errors import ReelhouseError

GOOD = """\
name: demo
version: 1
window: 60s
steps:
  - {name: watched, event: play, where: "is_valid_view"}
  - {name: carted, event: add_to_cart}
  - {name: paid, event: order_paid}
"""
EVENT = {"subject": "u", "event_time": 1, "event_id": "e1", "event": "play", "is_valid_view": True}
BAD = {  # what to put in place of a line -> what the error must say
    "an event nobody knows": ("event: play", "event: plaay", ":5: steps[1].event: 'plaay' is no event"),
    "a predicate that is none": ("is_valid_view", "watch_ms >", ":5: steps[1].where: is no SQL predicate"),
    "a property nobody promised": ("is_valid_view", "wach_ms > 3", "did you mean 'watch_ms'?"),
    "a predicate that is a number": ("is_valid_view", "watch_ms + 1", "gives BIGINT, not true or false"),
    "a predicate that asks elsewhere": ("is_valid_view", "exists (select 1)", "has a subquery"),
    "a predicate that asks the clock": ("is_valid_view", "event_time < now()", "calls now()"),
    "a window of nothing": ("window: 60s", "window: 0s", ":3: window: is '0s'; write more than zero"),
    "a negative window": ("window: 60s", "window: -5m", ":3: window: is '-5m'"),
    "a window without a unit": ("window: 60s", "window: 60", "write a whole number and a unit"),
    "a zone that is none": ("version: 1", "version: 1\nzone: Mars/Olympus", ":3: zone: 'Mars/Olympus' is no time zone"),
    "a misspelt key": ("window: 60s", "window: 60s\nwidow: 1", "did you mean 'window'?"),
    "a key twice": ("version: 1", "version: 1\nversion: 2", "stands there twice"),
    "two steps of one name": ("name: paid", "name: carted", "taken by an earlier step"),
    "a gap for no step": ("version: 1", "version: 1\ngaps: {payed: 3m}", "did you mean 'paid'?"),
    "a gap before the first step": ("version: 1", "version: 1\ngaps: {watched: 3m}", "has none before it"),
    "an exclusion the wrong way round": (
        "version: 1", "version: 1\nexclusions: [{event: search, between: [paid, watched]}]", "swap them",
    ),
    "an exclusion from a step to itself": (
        "version: 1", "version: 1\nexclusions: [{event: search, between: [paid, paid]}]", ":3: exclusions[1].between",
    ),
    "an exclusion between steps there are not": (
        "version: 1", "version: 1\nexclusions: [{event: search, between: [watched, payed]}]", "did you mean 'paid'?",
    ),
    "an exclusion between one step": (
        "version: 1", "version: 1\nexclusions: [{event: search, between: [watched]}]", "write two steps",
    ),
    "an exclusion of an event nobody knows": (
        "version: 1", "version: 1\nexclusions: [{event: serach, between: [watched, paid]}]", "did you mean 'search'?",
    ),
    "an exclusion whose predicate is none": (
        "version: 1", "version: 1\nexclusions: [{event: search, where: 'a >', between: [watched, paid]}]",
        ":3: exclusions[1].where: is no SQL predicate",
    ),
    "an exclusion from a step to skip": (
        "version: 1", "version: 1\noptional: [carted]\nexclusions: [{event: search, between: [carted, paid]}]",
        "'carted' is optional",
    ),
    "a scope of an event nobody knows": (
        "version: 1", "version: 1\nmode: strict\nstrict_scope: [serach]", "did you mean 'search'?",
    ),
    "a window beyond reason": ("window: 60s", "window: 9999d", ":3: window: is '9999d'"),
    "a gap of nothing": ("version: 1", "version: 1\ngaps: {paid: 0s}", ":3: gaps.paid: is '0s'"),
    "a zone that is a folder": ("version: 1", "version: 1\nzone: Asia", ":3: zone: 'Asia' is no time zone"),
    "a step of no event": ("event: play", "event: []", ":5: steps[1].event: is []"),
    "a step without a name": ("name: paid, ", "", ":7: steps[3]: name: is missing"),
    "a breakdown nobody promised": ("version: 1", "version: 1\nbreakdowns: [scenes]", "did you mean 'scene'?"),
    "an exclusion without an order": (
        "version: 1", "version: 1\nmode: unordered\nexclusions: [{event: search, between: [watched, paid]}]",
        "mean nothing without an order",
    ),
    "a gap without an order": ("version: 1", "version: 1\nmode: unordered\ngaps: {paid: 3m}", "without an order"),
    "a first entry without an order": (
        "version: 1", "version: 1\nmode: unordered\nfirst_entry_only: true", "needs a first step",
    ),
    "an optional last step": ("version: 1", "version: 1\noptional: [paid]", "cannot be skipped"),
    "a hold the events have not": ("version: 1", "version: 1\nhold: [query]", "has no property 'query'"),
    "strict with a step to skip": (
        "version: 1", "version: 1\nmode: strict\noptional: [carted]", "cannot be skipped in mode: strict",
    ),
    "a scope without strict": ("version: 1", "version: 1\nstrict_scope: [search]", "for mode: strict only"),
    "what is no part of a profile": (
        "version: 1", "version: 1\nbreakdowns: [lifecycle, scene]\nbreakdown_at: profile", "'scene' is not of a profile"
    ),
    "no YAML": ("version: 1", "version: [1", "is no YAML"),
    "a text that does not end": ("is_valid_view", "scene = 'a", "steps[1].where: is no SQL predicate: unterminated"),
    "half a character": ("is_valid_view", "scene = '\\ud800'", ":5: steps[1].where: is no SQL predicate"),
    "a predicate that waits": ("is_valid_view", "sleep_ms(1) = 1", "calls sleep_ms()"),
    "a predicate that asks for the age": ("is_valid_view", "age(event_time) > interval 1 day", "calls age()"),
    "a window of 5000 digits": ("60s", "9" * 5000 + "s", "write a whole number and a unit"),
    "a step to skip, twice": ("version: 1", "version: 1\noptional: [carted, carted]", "write names of different steps"),
    "a hold, twice": ("version: 1", "version: 1\nhold: [scene, scene]", "write different properties"),
    "a version beyond 64 bits": ("version: 1", f"version: {2**63}", ":2: version: is 9223372036854775808"),
    "65 exclusions": (
        "version: 1", "version: 1\nexclusions:" + "\n  - {event: search, between: [watched, paid]}" * 65,
        ":3: exclusions: are 65; write at most 64",
    ),
    "a list within itself": ("version: 1", "version: 1\ndescription: &a [*a]", ":3: description: lies too deep"),
    "a list in a thousand lists": ("version: 1", f"version: {'[' * 3000}{']' * 3000}", "lies too deep"),
    "aliases of aliases": (
        "version: 1", "version: 1\na: &a [x, x]\n" + "".join(
            f"{one}: &{one} [{f'*{before}, ' * 9}]\n" for before, one in pairwise("abcdefghi")
        ), "makes more than 20,000 values",
    ),
    "a time that is none": ("version: 1", "version: 1\ndescription: !!timestamp x", "description: is no plain YAML"),
    "a yes that is none": ("version: 1", "version: 1\nzone: !!bool UTC", ":3: zone: is no plain YAML value"),
    "a key that is a list": ("version: 1", "version: 1\n? [a, b]\n: 1", "has a key that is no word"),
    "a control character": ("version: 1", "version: 1\ndescription: \x01", ":3: is no YAML: special character"),
}  # fmt: skip


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


@pytest.mark.parametrize("name", BAD)
def test_a_bad_definition_is_refused_with_line_and_remedy(name: str, tmp_path: Path) -> None:
    old, new, expected = BAD[name]
    file = tmp_path / "bad.yaml"
    file.write_text(GOOD.replace(old, new, 1))
    error = run("check", str(file)).exception
    assert isinstance(error, ReelhouseError)
    assert error.exit_code == 2
    assert str(error).startswith(f"{file}:")
    assert expected in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("steps", [0, 65])
def test_a_funnel_has_1_to_64_steps(steps: int, tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    lines = "\n".join(f"  - {{name: s{n}, event: play}}" for n in range(steps))
    file.write_text(f"name: demo\nversion: 1\nwindow: 60s\nsteps:{' []' if not steps else chr(10) + lines}\n")
    assert "write 1 to 64" in str(run("check", str(file)).exception)


def test_sixty_four_steps_are_judged(tmp_path: Path) -> None:
    file, events = tmp_path / "long.yaml", tmp_path / "events.jsonl"
    lines = "\n".join(f"  - {{name: s{n}, event: play}}" for n in range(64))
    file.write_text(f"name: demo\nversion: 1\nwindow: 60s\nsteps:\n{lines}\n")
    rows = [EVENT | {"event_id": f"e{n:03}", "event_time": n} for n in range(64)]
    events.write_text("\n".join(json.dumps(row) for row in rows))
    (best,) = evaluated(file, events, "subject_best")
    assert (best["reached"], best["converted"]) == (64, True)


def evaluated(file: Path, events: Path, view: str, *more: str) -> list[dict[str, Any]]:
    result = run("evaluate", str(file), "--events", str(events), "--view", view, "--format", "json", *more)
    assert result.exception is None, result.exception
    rows: list[dict[str, Any]] = json.loads(result.stdout)
    return rows


@pytest.fixture
def good(tmp_path: Path) -> Path:
    file = tmp_path / "good.yaml"
    file.write_text(GOOD)
    return file


LINES = {  # a line that is no event -> what is wrong with it
    '{"subject": "u"': "is no JSON",
    "[1, 2]": "is no JSON object",
    '{"event_time": 1, "event_id": "x", "event": "play"}': "subject is missing",
    '{"subject": "u", "event_time": "2026-01-01T00:00:00", "event_id": "x", "event": "play"}': "has no zone",
    '{"subject": "u", "event_time": 1.5, "event_id": "x", "event": "play"}': "neither ISO 8601",
    '{"subject": "u", "event_time": true, "event_id": "x", "event": "play"}': "neither ISO 8601",
    '{"subject": "u", "event_time": 1, "event_id": "", "event": "play"}': "event_id is ''",
    '{"subject": "u", "event_time": 1, "event_id": 1.5, "event": "play"}': "event_id is 1.5, not a text",
    '{"subject": "", "event_time": 1, "event_id": "x", "event": "play"}': "subject is ''",
    '{"subject": true, "event_time": 1, "event_id": "x", "event": "play"}': "subject is True, not a text or whole",
    '{"subject": ["u"], "event_time": 1, "event_id": "x", "event": "play"}': "subject is ['u']",
    '{"subject": "u", "event_time": 1, "event_id": "x", "event": ""}': "event is ''",
    '{"subject": "u", "event_time": 1, "event_id": "x", "event": 5}': "event is 5, not the name",
    '{"subject": "u", "event_time": 36028797018963969, "event_id": "x", "event": "play"}': "is no time in microseconds",
    '{"subject": "u", "event_time": "2026-02-30T00:00:00Z", "event_id": "x", "event": "play"}': "is no ISO 8601 time",
}


@pytest.mark.parametrize("line", LINES)
def test_a_bad_line_is_named_or_left_out_and_told(line: str, good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT) + "\n" + line + "\n")
    error = run("evaluate", str(good), "--events", str(events)).exception
    assert str(error).startswith(f"{events}:2: ")
    assert LINES[line] in str(error)
    assert [row["people"] for row in evaluated(good, events, "steps", "--skip-bad")] == [1, 0, 0]
    told = run("evaluate", str(good), "--events", str(events), "--skip-bad").stderr
    assert "1 bad lines left out" in told
    assert "2" in told.split(":", 1)[1]


def test_a_definition_that_is_no_file_or_a_huge_one_is_refused(tmp_path: Path) -> None:
    huge = tmp_path / "huge.yaml"
    huge.write_text(GOOD + "#" * (1 << 20))
    for file, problem in (
        (tmp_path, "is no file"),
        (tmp_path / "none.yaml", "cannot be read"),
        (huge, "is larger than"),
    ):
        error = run("check", str(file)).exception
        assert isinstance(error, ReelhouseError)
        assert error.exit_code == 2
        assert str(error).startswith(f"{file}: {problem}")


def test_an_events_file_that_is_none_is_refused(good: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    missing, broken, spoilt = (tmp_path / name for name in ("missing.jsonl", "events.parquet", "spoilt.parquet"))
    broken.write_text("no Parquet")
    pq.write_table(pa.Table.from_pylist([EVENT | {"event_id": f"e{n}"} for n in range(2000)]), spoilt)
    spoilt.write_bytes(spoilt.read_bytes()[:40] + b"\xff" * 2000 + spoilt.read_bytes()[2040:])
    for file in (missing, broken, spoilt):
        error = run("evaluate", str(good), "--events", str(file)).exception
        assert isinstance(error, ReelhouseError)
        assert error.exit_code == 2
        assert str(error).startswith(f"{file}: ")
        assert "\n" not in str(error)


def test_a_property_of_the_file_that_is_yes_or_no_is_a_predicate(tmp_path: Path) -> None:
    file, events = tmp_path / "own.yaml", tmp_path / "events.jsonl"
    file.write_text(GOOD.replace("is_valid_view", "is_loud"))
    rows = [EVENT | {"event_id": f"e{n}", "subject": f"u{n}", "is_loud": n > 0} for n in range(3)]
    events.write_text("\n".join(json.dumps(row) for row in rows))
    assert evaluated(file, events, "steps")[0]["people"] == 2


def test_one_id_with_two_contents_is_refused_and_a_repeat_is_dropped(good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT) + "\n" + json.dumps(EVENT | {"event_time": "1970-01-01T00:00:00.000001Z"}))
    assert evaluated(good, events, "steps")[0]["attempts"] == 1
    events.write_text(json.dumps(EVENT) + "\n" + json.dumps(EVENT | {"event_time": 2}))
    assert "stands on line 1 with another content" in str(run("evaluate", str(good), "--events", str(events)).exception)


def test_parquet_says_the_same_as_json_lines(good: Path, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [EVENT, EVENT | {"event_id": "e2", "event_time": 5, "event": "add_to_cart"}]
    lines, parquet = tmp_path / "events.jsonl", tmp_path / "events.parquet"
    lines.write_text("\n".join(json.dumps(row) for row in rows))
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, parquet)
    assert evaluated(good, parquet, "attempts") == evaluated(good, lines, "attempts")
    instants = table.set_column(1, "event_time", table["event_time"].cast(pa.timestamp("us", tz="UTC")))
    pq.write_table(instants, parquet)
    assert evaluated(good, parquet, "attempts") == evaluated(good, lines, "attempts")
    for name in ("EVENTS.PARQUET", "events"):
        assert evaluated(good, parquet.rename(tmp_path / name), "attempts") == evaluated(good, lines, "attempts")
        parquet = tmp_path / name


@pytest.mark.parametrize("text", ["", json.dumps(EVENT | {"is_valid_view": False})])
def test_a_file_without_entries_has_no_rows_but_steps_of_zero(text: str, good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(text)
    for view in ("attempts", "subject_best", "subject_period"):
        assert evaluated(good, events, view, "--watermark", "5") == []
    assert [row["people"] for row in evaluated(good, events, "steps")] == [0, 0, 0]


def test_a_mark_at_the_beginning_of_a_file_is_no_part_of_its_first_event(good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT), encoding="utf-8-sig")
    assert evaluated(good, events, "steps")[0]["people"] == 1


@pytest.mark.parametrize("instant", ["9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "4000-01-01T00:00:00Z"])
def test_a_time_no_calendar_can_reckon_with_is_a_bad_line(instant: str, good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT | {"event_time": instant}))
    for command in ("evaluate", "explain"):
        more = ["--subject", "u"] if command == "explain" else ["--view", "subject_period"]
        error = run(command, str(good), "--events", str(events), *more).exception
        assert str(error).startswith(f"{events}:1: event_time '{instant}' is not within the years 829 to 3111")
    events.write_text(json.dumps(EVENT))
    (row,) = evaluated(good, events, "subject_best", "--watermark", "9999-12-31T23:59:59Z")
    assert row["mature"] is True
    for word in ("--5", "²", "٣", "1.5", "9" * 30):
        error = run("evaluate", str(good), "--events", str(events), f"--watermark={word}").exception
        assert str(error) == f"--watermark: {word!r} is no ISO 8601 time"


def test_a_predicate_that_fails_on_an_event_is_named_with_its_line(tmp_path: Path) -> None:
    file, events = tmp_path / "own.yaml", tmp_path / "events.jsonl"
    file.write_text(GOOD.replace("is_valid_view", "CAST(word AS INT) > 3"))
    events.write_text(json.dumps(EVENT | {"word": "x"}))
    error = str(run("evaluate", str(file), "--events", str(events)).exception)
    assert error.startswith(f"{file}:5: steps[1].where: cannot be evaluated on these events: ")
    assert "\n" not in error


def test_a_predicate_may_ask_for_the_time_and_for_what_is_always_null(tmp_path: Path) -> None:
    file, events = tmp_path / "own.yaml", tmp_path / "events.jsonl"
    rows = [EVENT | {"event_id": f"e{n}", "subject": n, "event_time": n * 1_000_000, "loud": None} for n in range(3)]
    events.write_text("\n".join(json.dumps(row) for row in rows))
    for where, people in (("event_time >= TIMESTAMP '1970-01-01 00:00:01'", 2), ("loud", 0), ("NOT loud", 0)):
        file.write_text(GOOD.replace("is_valid_view", where))
        assert evaluated(file, events, "steps")[0]["people"] == people


def test_what_opens_nothing_is_told_beside_the_numbers(good: Path, tmp_path: Path) -> None:
    held, events = tmp_path / "held.yaml", tmp_path / "events.jsonl"
    held.write_text(GOOD.replace("version: 1", "version: 1\nhold: [video]"))
    events.write_text(json.dumps(EVENT))
    told = run("evaluate", str(held), "--events", str(events), "--format", "json")
    assert json.loads(told.stdout)[0]["attempts"] == 0
    assert told.stderr == "1 entries open nothing, for want of video (hold)\n"
    events.write_text(json.dumps(EVENT | {"event": "Play"}))
    told = run("evaluate", str(good), "--events", str(events), "--format", "json")
    assert told.stderr == "no event is called play; the file has Play\n"


def test_the_watermark_says_what_is_mature(good: Path, tmp_path: Path) -> None:
    events = tmp_path / "events.jsonl"
    events.write_text(json.dumps(EVENT))
    for watermark, mature in (("60000001", False), ("60000002", True), ("1970-01-01T00:01:00.000002Z", True)):
        (row,) = evaluated(good, events, "subject_best", "--watermark", watermark)
        assert row["mature"] is mature
