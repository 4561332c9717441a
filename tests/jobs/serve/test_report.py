"""What the report's pictures of funnels say: open days hatched, waits in growing steps, pairs in words."""

import re
from typing import Any

import duckdb
import pytest

from jobs.serve import charts
from jobs.serve import report_queries as queries
from jobs.serve.report import TEMPLATE, by_value, hatched
from jobs.serve.report_figure import figure

MINUTE_US = 60_000_000
FROM_EACH_STEP = (0, 1, 5, 15, 60, 360, 1_440, 10_080)  # minutes


def test_open_attempts_are_hatched_and_mature_ones_are_not() -> None:
    rows: list[dict[str, Any]] = [
        {"entry_date": "2026-11-01", "state": state, "attempts": 5} for state in ("mature", "open")
    ]
    light = figure("trend", "", charts.conversions_by_day(rows))
    found = hatched(light)
    assert light.svg.count(charts.OPEN) == found.svg.count("url(#open)") >= 1
    assert found.svg.count(charts.INK) == light.svg.count(charts.INK) >= 1


@pytest.mark.parametrize("place", range(len(charts.WAITS)))
def test_a_wait_counts_in_the_step_that_begins_with_it(place: int) -> None:
    """And a microsecond less in the step before."""
    bound = FROM_EACH_STEP[place] * MINUTE_US
    with duckdb.connect() as connection:
        connection.execute(f"""CREATE SCHEMA gold; CREATE TABLE gold.funnel_attempts AS SELECT 'f' AS funnel,
            1 AS funnel_version, true AS is_converted, {bound} AS decision_us, {max(0, bound - 1)} AS deliberation_us
            UNION ALL SELECT 'f', 1, false, NULL, NULL UNION ALL SELECT 'other', 1, true, 0, 0""")
        rows = connection.execute(queries.TIMES.format(funnel="'f'", version=1)).fetchall()
    assert rows == [("decision", place, 1), ("deliberation", max(0, place - 1), 1)]


def test_every_wait_has_its_place_in_the_picture_also_when_nobody_took_so_long() -> None:
    drawing = charts.time_to_convert([{"kind": "decision", "wait": 2, "conversions": 5}])
    svg = figure("waits", "", drawing).svg
    assert all(f">{name}</text>" in svg for name in charts.WAITS)
    assert svg.count(f'fill="{charts.INK}"') == 2  # a bar, and the legend's square


def test_the_page_is_no_wider_than_a_telephone() -> None:
    """What is wider scrolls by itself."""
    page = TEMPLATE.read_text(encoding="utf-8")
    assert re.findall(r"minmax\((.+?), 1fr\)", page) == [f"min({charts.WIDTH + 34}px, 100%)"]  # padding and border
    assert page.count("<table") == page.count('<div class="wide"><table') == 1


def test_a_label_of_many_digits_has_room_beside_the_longest_bar() -> None:
    rows = [{"step_number": n, "step": "product_clicked", "attempts": 9_182_345, "label": "9,182,345 · 100.0%"}
            for n in (1, 2)]  # fmt: skip
    plot = charts.funnel_bars(rows)
    assert plot["layer"][1]["encoding"]["x"]["scale"]["domainMax"] >= 1.5 * 9_182_345


def test_of_many_days_only_some_are_told() -> None:
    rows = [{"entry_date": f"2026-{month:02}-{day:02}", "state": "mature", "attempts": 5}
            for month in (1, 2, 3) for day in range(1, 29)]  # fmt: skip
    svg = figure("trend", "", charts.conversions_by_day(rows)).svg
    assert 2 <= len(re.findall(r'<text [^>]*opacity="1"[^>]*>2026-', svg)) <= 9


def test_a_pair_of_values_is_told_in_words() -> None:
    rows = [
        {"breakdown": "scene x source", "breakdown_value": '["live","follow"]', "entered": 4, "converted": 1},
        {"breakdown": "scene x source", "breakdown_value": '["mall",null]', "entered": 4, "converted": None},
        {"breakdown": "source", "breakdown_value": "[odd", "entered": 4, "converted": 1},
    ]
    pairs, singles = by_value(lambda _: rows, "f v1", {"funnel": "'f'", "version": "1"})
    assert [f">{word}</text>" in pairs.svg for word in ("live · follow", "mall · (none)")] == [True, True]
    assert ">[odd</text>" in singles.svg
