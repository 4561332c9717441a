"""ops.promises: a latency is the most there may be, everything else the least."""

from datetime import UTC, datetime

import pytest

from jobs.ops.promises import Measure, Promise, build, in_words

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
PAGE = "docs/runbooks/late.md"


@pytest.mark.parametrize(
    ("name", "unit", "level", "measured", "is_kept"),
    [
        ("latency", "s", 900.0, 900.0, True),
        ("latency", "s", 900.0, 901.0, False),
        ("completeness", "percent", 95.0, 95.0, True),
        ("completeness", "percent", 95.0, 94.9, False),
        ("quality", "percent", 100.0, 100.0, True),
        ("availability", "percent", 100.0, 0.0, False),
    ],
)
def test_a_promise_is_kept_up_to_its_level(name, unit, level, measured, is_kept):
    key = ("silver.views", name)
    (row,) = build([Promise(*key, level, unit)], {key: Measure(measured, "so")}, {key: PAGE}, at=AT, run_id="r")
    assert (row["is_kept"], row["promised"], row["measured"], row["detail"], row["runbook"]) == (
        is_kept, level, measured, "so", PAGE,
    )  # fmt: skip


def test_of_what_was_not_measured_nothing_is_said():
    assert build([Promise("silver.views", "latency", 900.0, "s")], {}, {}, at=AT, run_id="r") == []


@pytest.mark.parametrize(
    ("amount", "unit", "words"),
    [(0, "s", "0 s"), (59, "s", "59 s"), (7200, "s", "2 h"), (11_105, "s", "3 h 5 min"), (90_061, "s", "1 d 1 h"),
     (95.5, "percent", "95.5 %"), (200 / 3, "percent", "66.67 %"), (100, "percent", "100 %")],
)  # fmt: skip
def test_amounts_are_said_for_people(amount, unit, words):
    assert in_words(amount, unit) == words
