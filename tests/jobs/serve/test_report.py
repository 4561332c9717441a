"""What may still grow is hatched on the page, whatever the chart's own colour."""

from typing import Any

from jobs.serve import charts
from jobs.serve.report import hatched
from jobs.serve.report_figure import figure


def test_open_attempts_are_hatched_and_mature_ones_are_not() -> None:
    rows: list[dict[str, Any]] = [
        {"entry_date": "2026-11-01", "state": state, "attempts": 5} for state in ("mature", "open")
    ]
    light = figure("trend", "", charts.conversions_by_day(rows))
    found = hatched(light)
    assert light.svg.count(charts.OPEN) == found.svg.count("url(#open)") >= 1
    assert found.svg.count(charts.INK) == light.svg.count(charts.INK) >= 1
