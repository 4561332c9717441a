"""What the terminal says of a funnel: shares are of the step they can be a share of."""

from datetime import date
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve import query, tables
from jobs.serve.funnel_board import MEASURES, _add_went_on, _cells, bar, draw, funnel_rows, rate


def step(name: str, attempts: int, *, is_optional: bool = False, is_open: int = 0) -> dict[str, Any]:
    return {"step": name, "attempts": attempts, "is_optional": is_optional, "people": None, "open_attempts": is_open,
            "mature_attempts": attempts - is_open, "net_attempts": attempts,
            "went_on": 40 if is_optional else None}  # fmt: skip


def test_an_optional_step_is_a_share_of_the_next_mandatory_one_and_no_step_is_a_share_of_it() -> None:
    steps = [step("viewed", 400), step("carted", 50, is_optional=True), step("bought", 100), step("rated", 20)]
    assert [cells[4] for cells in _cells(steps)] == ["100.0%", "40.0% *", "25.0%", "20.0%"]
    assert [cells[3] for cells in _cells(steps)] == ["100.0%", "12.5%", "25.0%", "5.0%"]


def test_a_share_is_of_mature_attempts_and_the_page_says_what_it_leaves_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [step("viewed", 400, is_open=200), step("carted", 90, is_open=10), step("bought", 20)]
    assert [cells[3:6] for cells in _cells(steps)] == [
        ["100.0%", "100.0%", "200"], ["40.0%", "40.0%", "10"], ["10.0%", "25.0%", "0"],
    ]  # fmt: skip
    values = [row | {"version": 1, "breakdown": "scene", "value": value} for value in ("live", "mall") for row in steps]
    draw("log", values)
    said = capsys.readouterr().out
    assert said.count("shares are of mature attempts") == said.count("people are counted by day") == 1


def test_a_share_of_nothing_is_not_told() -> None:
    assert (rate(0, 0), bar(0, 0)) == ("", "")
    assert [cells[4] for cells in _cells([step("viewed", 0), step("bought", 0)])] == ["", ""]


def test_days_in_the_wrong_order_are_refused() -> None:
    with pytest.raises(UsageError, match="--from 2026-11-02 comes after --to 2026-11-01; swap them"):
        funnel_rows(Settings(), "shop", "total", "2026-11-02", "2026-11-01", 0)


def test_values_of_a_segment_stand_as_they_are_defined(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = {"funnel": "shop", "funnel_version": 1, "entry_date": date(2026, 11, 1), "is_optional": False}
    rows = [
        cells | dict.fromkeys(MEASURES, 1) | {"breakdown": "lifecycle", "breakdown_value": value, "step_number": number,
                                              "step": f"step {number}"}
        for value in ("active", "new", "(none)", "lost")
        for number in (2, 1)
    ]  # fmt: skip
    monkeypatch.setattr("jobs.serve.tables.published_version", lambda *_: 1)
    monkeypatch.setattr("jobs.serve.tables.arrow_of", lambda *_: pa.Table.from_pylist(rows))
    found = [(row["value"], row["step_number"]) for row in funnel_rows(Settings(), "shop", "lifecycle", "", "", 0)]
    assert found == [(value, number) for value in ("new", "active", "lost", "(none)") for number in (1, 2)]


LEDGER = """
CREATE TABLE gold.funnel_attempts AS
SELECT 'shop' AS funnel, 1 AS funnel_version, '(none)' AS set_aside, DATE '2026-11-01' AS entry_date, reached,
    step_event_ids, MAP {'scene': scene, 'source': 'paid'} AS breakdowns
FROM (VALUES ('live', 3, ['a', 'b', 'c']), ('live', 3, ['a', NULL, 'c']), ('live', 2, ['a', 'b']),
    ('mall', 3, ['a', 'b', 'c'])) given(scene, reached, step_event_ids)
"""


def test_no_number_is_cut_on_a_terminal_of_80_columns(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    steps = [step("viewed", 1_555_292), step("carted", 50_000, is_optional=True), step("considered", 100_554)]
    draw("log", [row | {"version": 1, "breakdown": "total", "value": "(all)", "people": 1_504_040} for row in steps])
    said = capsys.readouterr().out
    assert "…" not in said
    assert all(len(line) <= 80 for line in said.splitlines())
    assert "* carted is optional: of the attempts that got to considered, so many had it" in said


@pytest.mark.parametrize(
    ("by", "value", "expected"),
    [("total", "(all)", 2), ("scene", "live", 1), ("scene x source", '["mall","paid"]', 1), ("scene", "search", 0)],
)
def test_who_filled_an_optional_step_and_went_on(
    by: str, value: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = duckdb.connect()
    lake.execute("CREATE SCHEMA gold")
    lake.execute(LEDGER)
    monkeypatch.setattr(query, "answer", lambda settings, text, versions: lake.execute(text).to_arrow_table())
    monkeypatch.setattr(tables, "published_version", lambda *_: 0)
    shared = {"funnel": "shop", "version": 1, "breakdown": by, "value": value, "went_on": None}
    rows = [shared | {"step_number": n, "is_optional": n == 2} for n in (1, 2, 3)]
    _add_went_on(Settings(), rows, "2026-11-01", "")
    assert [row["went_on"] for row in rows] == [None, expected, None]
