"""Tables for people: as wide as there is room, and no word cut while all words have room."""

import re
import sys

import pytest

from jobs.serve.printing import print_rows, remark

ROWS = [
    {
        "table": "gold.user_profiles_history",
        "grain": "user_id x as_of_day x known_from",
        "rows": 12,
        "verdict": "passed",
    },
    {"table": "silver.views", "grain": "event_id", "rows": 12345678, "verdict": "not published"},
]


def printed(capsys: pytest.CaptureFixture[str], width: int) -> list[str]:
    print_rows(ROWS, list(ROWS[0]), "table", pipe_width=width)
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [200, 80, 66, 62, 58])
def test_no_word_is_cut_while_all_have_room(capsys: pytest.CaptureFixture[str], width: int) -> None:
    lines = printed(capsys, width)
    assert max(map(len, lines)) <= width
    words = " ".join(lines).split()
    assert {"gold.user_profiles_history", "as_of_day", "known_from", "12345678", "published", "verdict"} <= set(words)


def test_without_room_each_row_is_told_line_by_line_and_no_word_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, 40)
    assert max(map(len, lines)) <= 40
    assert [line.split() for line in lines[:4]] == [
        ["table", "gold.user_profiles_history"], ["grain", "user_id", "x", "as_of_day", "x"],
        ["known_from"], ["rows", "12"],
    ]  # fmt: skip


def test_where_no_word_has_room_it_is_cut_and_nothing_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, 20)
    assert max(map(len, lines)) <= 20
    assert set("goldprofileshistory") <= set("".join(lines))


def test_on_a_terminal_a_remark_ends_its_lines_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    words = "numbers may change in gold.funnel_attempts (growth-data), gold.funnel_daily (growth-data)"
    remark(words)
    assert capsys.readouterr().err == f"{words}\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    remark(words)
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 30
    assert " ".join(lines).split() == words.split()


def test_wide_letters_count_twice(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"a": "你好世界 🎉", "b": "xxxxxxxxxx yyyy"}], ["a", "b"], "table", pipe_width=24)
    assert {"你好世界", "🎉", "xxxxxxxxxx", "yyyy"} <= set(capsys.readouterr().out.split())


def test_a_word_between_colons_is_no_picture(capsys: pytest.CaptureFixture[str]) -> None:
    for width in (80, 10):  # as a table, and line by line
        print_rows([{"a": ":x:", "b": ":smile:"}], ["a", "b"], "table", pipe_width=width)
        assert {":x:", ":smile:"} <= set(capsys.readouterr().out.split())


@pytest.mark.parametrize("rows", [[], [{"a": None}], [{"a": ""}]])
def test_nothing_is_printed_as_a_table_without_words(capsys: pytest.CaptureFixture[str], rows: list[object]) -> None:
    print_rows(rows, ["a"], "table", pipe_width=80)  # type: ignore[arg-type]
    assert capsys.readouterr().out.split()[0] == "a"


def test_numbers_stand_under_each_other_by_their_last_digit(capsys: pytest.CaptureFixture[str]) -> None:
    lines, words = printed(capsys, 200), (r"rows\b", r"\b12\b", r"\b12345678\b")
    assert len({found.end() for line in lines for word in words if (found := re.search(word, line))}) == 1


def test_a_list_of_nothing_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"family": "scores", "held": [], "days": ["2026-06-07"]}], ["family", "held", "days"], "table")
    assert capsys.readouterr().out.split()[-2:] == ["scores", '["2026-06-07"]']
