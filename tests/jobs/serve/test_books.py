"""`reelhouse books`: added up again from the lines, by range, and red with the line's name when anything is off."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import BooksError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.books import Asked, book_ranges, streams, totals

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
Lake = Callable[..., Settings]


def line(seq: int, start: int, end: int, fates: tuple[int, int, int], **other: Any) -> dict[str, Any]:
    """One batch of views/0 with its accepted, duplicate and quarantined; booked a day after the batch before."""
    accepted, duplicate, quarantined = fates
    return {
        "ingest_seq": seq, "run_id": "r", "topic": "views", "topic_id": "v1", "partition": 0, "offset_from": start,
        "offset_to": end, "received": accepted + duplicate + quarantined, "accepted": accepted, "duplicate": duplicate,
        "conflict": 0, "quarantined": quarantined, "reason_counts": {}, "balanced": True,
        "recorded_at": AT + timedelta(days=seq),
    } | other  # fmt: skip


GOOD = [
    line(0, 0, 10, (8, 1, 1), conflict=1, reason_counts={"conflict": 1}),
    line(1, 10, 10, (0, 0, 0)),
    line(2, 10, 30, (15, 1, 3), reason_counts={"missing:scene": 2, "malformed_json": 1, "duplicate_field:u-Canary": 1}),
    line(3, 35, 40, (5, 0, 0), reason_counts={"lost_to_retention": 5}),
    line(0, 0, 4, (4, 0, 0), topic="likes", topic_id="l1", partition=1),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Make a lake whose books and watermarks have these lines."""

    def make(*lines: dict[str, Any], said: tuple[dict[str, Any], ...] = ()) -> Settings:
        made = Settings(home=tmp_path)
        monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
        Ledger(made).append("ops.books", lines)
        Ledger(made).append("ops.watermarks", said)
        return made

    return make


def test_batches_that_follow_on_are_one_range_and_a_loss_begins_another(lake: Lake) -> None:
    likes, first, second = book_ranges(lake(*GOOD), Asked())
    assert (likes["topic"], likes["partition"], likes["offset_to"]) == ("likes", 1, 4)
    assert (first["offset_from"], first["offset_to"], first["batches"]) == (0, 30, [0, 2])
    counts = ("received", "accepted", "duplicate", "quarantined", "conflict", "lost")
    assert [first[name] for name in counts] == [29, 23, 2, 4, 1, 0]
    assert first["reasons"] == {
        "conflict": 1, "missing:scene": 2, "malformed_json": 1, "duplicate_field:(unknown field)": 1,
    }  # fmt: skip
    assert (second["offset_from"], second["lost"], second["reasons"], second["balanced"]) == (35, 5, {}, True)


def test_totals_are_the_sums_of_a_topic(lake: Lake) -> None:
    found = {each["topic"]: each for each in totals(book_ranges(lake(*GOOD), Asked()))}
    counts = ("received", "accepted", "duplicate", "quarantined", "conflict", "lost", "balanced")
    assert [found["views"][name] for name in counts] == [34, 28, 2, 4, 1, 5, True]
    assert found["likes"]["received"] == 4


@pytest.mark.parametrize(
    ("asked", "ranges"),
    [
        (Asked("views"), [(0, 30), (35, 40)]),
        (Asked(partition=1), [(0, 4)]),
        (Asked("views", first="30"), [(35, 40)]),
        (Asked("views", first="10", last="35"), [(10, 30)]),
        (Asked("views", last="10"), [(0, 10)]),
        (Asked(first="2026-06-10", last="2026-06-10"), [(10, 30)]),
        (Asked(last="2026-06-07"), []),
    ],
)
def test_only_what_is_asked_for(lake: Lake, asked: Asked, ranges: list[tuple[int, int]]) -> None:
    found = book_ranges(lake(*GOOD), asked)
    assert [(each["offset_from"], each["offset_to"]) for each in found] == ranges
    assert all(each["balanced"] for each in found)  # a bound makes no gap


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked("vews"), "no topic 'vews'; there are .*likes.*views"),
        (Asked("views", 7), "no partition 7 of views; there are 0"),
        (Asked(first="10"), "add --topic"),
        (Asked("views", last="monday"), "--to 'monday' is neither an offset nor a day"),
        (Asked("views", first="30", last="30"), "--from 30 is not before --to 30"),
        (Asked(first="2026-06-09", last="2026-06-08"), "--from 2026-06-09 is not before --to 2026-06-08"),
    ],
)
def test_what_is_not_there_is_refused(lake: Lake, asked: Asked, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        book_ranges(lake(*GOOD), asked)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (line(1, 10, 20, (8, 0, 1), received=10), "received 10, but accepted + duplicate + quarantined + erased is 9"),
        (line(1, 10, 20, (9, 0, 1), balanced=False), "was booked as not balanced"),
        (line(1, 10, 20, (9, 0, 1), conflict=2), "2 conflicts, but only 1 quarantined"),
        (line(1, 10, 15, (9, 0, 1)), "received 10 of 5 offsets"),
        (line(1, 12, 20, (8, 0, 0)), "begins at 12, but the range before ended at 10"),
        (line(1, 8, 20, (12, 0, 0)), "begins at 8, but the range before ended at 10"),
        (line(1, 15, 20, (5, 0, 0), reason_counts={"lost_to_retention": 3}), "ended at 10 and 3 were lost"),
    ],
)
def test_a_line_that_is_off_is_named_and_stands_alone(lake: Lake, bad: dict[str, Any], words: str) -> None:
    lake(line(0, 0, 10, (10, 0, 0)), bad, line(2, bad["offset_to"], 40, (1, 0, 0)))
    said = CliRunner().invoke(build_app(), ["books"])
    assert isinstance(said.exception, BooksError)
    assert said.exception.exit_code == 3
    told = str(said.exception)
    assert f"1 lines do not balance: views/0 offsets {bad['offset_from']}–{bad['offset_to']} (batch 1): " in told
    assert words in told
    assert "balanced: " not in said.output


def test_a_topic_made_anew_begins_anew(lake: Lake) -> None:
    anew = line(1, 0, 3, (3, 0, 0), topic_id="v2")
    assert all(each["balanced"] for each in book_ranges(lake(line(0, 0, 10, (10, 0, 0)), anew), Asked()))


def said(seq: int, source: str, hour: int, *, is_reached: bool = True, is_final: bool = False) -> dict[str, Any]:
    return {"ingest_seq": seq, "source": source, "topic": "views", "complete_until": AT + timedelta(hours=hour),
            "is_final": is_final, "offsets_reached": is_reached, "recorded_at": AT}  # fmt: skip


def test_streams_tell_the_last_word_reached_and_the_one_that_waits(lake: Lake) -> None:
    words = (said(0, "app", 1), said(0, "log", 4), said(1, "app", 2), said(2, "app", 3, is_reached=False))
    settings = lake(*GOOD, said=words)
    app, log = streams(settings)
    assert app["complete_until"] == AT + timedelta(hours=2)
    assert app["waiting_until"] == AT + timedelta(hours=3)
    assert (log["complete_until"], log["waiting_until"]) == (AT + timedelta(hours=4), None)
    assert {app["topic_complete_until"], log["topic_complete_until"]} == {AT + timedelta(hours=2)}
    assert streams(settings, "likes") == []


def test_the_command_prints_ranges_totals_reasons_streams_and_what_is_not_stored(lake: Lake) -> None:
    lake(*GOOD, said=(said(0, "app", 1, is_final=True),))
    printed = CliRunner().invoke(build_app(), ["books"])
    assert printed.exit_code == 0, printed.output
    for words in ("35–40", "missing:scene", "5 offsets before it were lost unread", "2026-06-08 02:00 (final)",
                  "producer sequences: lost and repeated counts are not stored", "balanced: 3 ranges, 38"):  # fmt: skip
        assert words in printed.output
    assert "Canary" not in printed.output
    rows = json.loads(CliRunner().invoke(build_app(), ["books", "--topic", "views", "--format", "json"]).output)
    assert [row["part"] for row in rows] == ["range", "range", "total", "stream"]


def test_an_empty_lake_has_no_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    printed = CliRunner().invoke(build_app(), ["books"])
    assert printed.exit_code == 0
    assert "the books have no such line" in printed.output
    assert "no source has said" in printed.output
