"""The report's pictures of people draw what is published, and nothing that names anybody."""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import duckdb
import pytest

from jobs.serve import charts
from jobs.serve import report_queries as queries
from jobs.serve.report_figure import Figure
from jobs.serve.report_people import faded_by_day, people_figures

MONDAY = date(2026, 3, 2)
TODAY = MONDAY + timedelta(days=60)
ROWS: dict[str, list[dict[str, Any]]] = {
    queries.SEGMENTS: [{"generation": "gen_z", "lifecycle": word, "people": 3} for word in ("active", "lost", "new")],
    queries.SPENDING: [
        {"generation": word, "measure": "net", "yuan": 3.5} for word in ("(none)", "gen_alpha", "gen_z", "millennial")
    ],
    queries.RFM: [
        {"recency_score": r, "frequency_score": f, "people": 10 * r + f, "monetary": (r + f) / 2}
        for r in range(1, 6)
        for f in range(1, 6)
    ],
    queries.CALIBRATION: [
        {"known_until": MONDAY, "as_of_day": TODAY, "decile": n, "people": 9, "predicted": n + 0.5, "actual": 2 * n}
        for n in range(1, 11)
    ],
    queries.RETENTION: [
        {"cohort_week": MONDAY + timedelta(days=7 * cohort), "week_number": week, "share": 1 / (1 + week)}
        for cohort in range(5)
        for week in range(7 - cohort)
    ],
    queries.EXAMPLE_TOPICS: [
        {"topic": topic, "as_of_day": TODAY, "day": MONDAY + timedelta(days=n), "weight": 64}
        for topic, days in (("beauty", (0,)), ("food", (0, 30)))
        for n in days
    ],
} | {
    queries.SEGMENTS_BY_DAY.format(dimension=f"'{name}'"): [
        {"as_of_day": MONDAY + timedelta(days=n), "segment": word, "people": 5 + n}
        for n in range(20)
        for word in words
    ]
    for name, words in (("lifecycle", ("active", "lost", "new")), ("value_tier", ("(none)", "high", "low", "middle")))
}  # fmt: skip
HEADINGS = {
    "gold.user_profiles": ["People by generation and lifecycle", "Spending by generation"],
    "gold.segment_daily": ["People by lifecycle, day by day", "People by value tier, day by day"],
    "gold.user_scores": ["Buyers by recency, frequency and money", "Purchases foretold, and made"],
    "gold.retention_weekly": ["Who comes back"],
    "gold.user_interests": ["How interest fades"],
}


def drawn(published: Sequence[str]) -> list[Figure]:
    return people_figures(ROWS.__getitem__, published)


@pytest.mark.parametrize("table", HEADINGS)
def test_a_published_table_is_drawn(table: str) -> None:
    assert [picture.heading for picture in drawn([table])] == HEADINGS[table]


def test_what_is_published_without_rows_is_left_out() -> None:
    tables = ["gold.user_scores", "gold.retention_weekly", "gold.user_interests"]
    assert people_figures(lambda _: [], tables) == []


def test_the_grid_shows_every_pair_of_fifths_with_its_buyers() -> None:
    picture, _ = drawn(["gold.user_scores"])
    shown = set(re.findall(r">(\d\d)</text>", picture.svg))
    assert shown == {str(10 * r + f) for r in range(1, 6) for f in range(1, 6)}


def test_what_was_foretold_stands_beside_what_was_made() -> None:
    _, picture = drawn(["gold.user_scores"])
    assert picture.says == "Of the 60 days after 2026-03-02, by a fit on what was known then."
    assert [picture.svg.count(f'fill="{ink}"') >= 10 for ink in (charts.OPEN, charts.INK)] == [True, True]


def test_the_calibration_drawn_is_of_the_newest_scores_that_were_released() -> None:
    with duckdb.connect() as lake:
        lake.execute("""
            CREATE SCHEMA ops;
            CREATE TABLE ops.publications AS SELECT * FROM (VALUES
                ('gold.user_scores', 'older', 1), ('gold.user_scores', 'newer', 2),
                ('gold.user_profiles', 'not released', 3)
            ) AS lines("table", run_id, known_from);
            CREATE TABLE ops.model_fits AS
            SELECT run_id, model, DATE '2026-03-02' AS known_until, DATE '2026-04-01' AS as_of_day,
                [{decile: 2, people: place}, {decile: 1, people: place}] AS deciles
            FROM (VALUES (10, 'older'), (20, 'newer'), (30, 'not released')) AS runs(place, run_id),
                (VALUES ('bg_nbd'), ('gamma_gamma')) AS models(model)
        """)
        found = lake.execute(queries.CALIBRATION).to_arrow_table().to_pylist()
    assert [(row["decile"], row["people"]) for row in found] == [(1, 20), (2, 20)]


def test_segments_stand_in_the_order_of_their_definition_in_legends_axes_and_bars() -> None:
    by_lifecycle, spending, by_day, by_value = drawn(["gold.user_profiles", "gold.segment_daily"])
    listed = {
        by_lifecycle: ["new", "active", "lost"],
        spending: ["millennial", "gen_z", "gen_alpha", "(none)"],
        by_day: ["new", "active", "lost"],
        by_value: ["high", "middle", "low", "(none)"],
    }
    for picture, words in listed.items():
        told = re.findall(r">([a-z_()]+)</text>", picture.svg)
        assert [word for word in told if word in words] == words
    first_day = f'as_of_day: {MONDAY}[^"]*segment: ([a-z_()]+);[^"]*"[^>]* d="M[^,]*,([0-9]+)'
    for picture in (by_day, by_value):
        parts = sorted(re.findall(first_day, picture.svg), key=lambda part: -int(part[1]))  # from below
        assert [word for word, _ in parts] == listed[picture]


def test_half_a_life_later_exactly_half_is_left() -> None:
    """A category fades by half every 30 days, and a later sign adds to what is left."""
    rows = {(row["topic"], row["day"]): row["interest"] for row in faded_by_day(ROWS[queries.EXAMPLE_TOPICS], TODAY)}
    days = [(MONDAY + timedelta(days=n)).isoformat() for n in (0, 30, 60, 90)]
    assert [rows["beauty", day] for day in days] == [64, 32, 16, 8]
    assert [rows["food", day] for day in days] == [64, 96, 48, 24]
    assert max(day for _, day in rows) == (TODAY + timedelta(days=30)).isoformat()


def test_no_picture_is_wider_than_its_figure_and_none_has_small_letters() -> None:
    """So that the page need not shrink it."""
    pictures = {picture.heading: picture.svg for picture in drawn(list(HEADINGS))}
    widths = {name: int(re.findall(r'<svg[^>]* width="(\d+)"', svg)[0]) for name, svg in pictures.items()}
    assert {name: width for name, width in widths.items() if width > charts.WIDTH} == {}
    letters = {name: set(re.findall(r'font-size="(\d+)px"', svg)) for name, svg in pictures.items()}
    assert set().union(*letters.values()) == {str(charts.LETTERS)}


def test_all_pictures_are_drawings_without_scripts_that_fetch_nothing() -> None:
    page = "".join(picture.svg for picture in drawn(list(HEADINGS)))
    assert page.count("<svg") == 8
    assert "<script" not in page
    assert "http" not in page.replace("http://www.w3.org", "")
