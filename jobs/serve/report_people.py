"""The report's pictures of people: segments, spending, purchases and their forecast, who comes back, fading."""

from collections import defaultdict
from collections.abc import Collection
from datetime import date, timedelta
from typing import Any

from jobs.definitions.interest import HALF_LIFE_DAYS, fade
from jobs.definitions.segments import in_order
from jobs.serve import charts
from jobs.serve import report_queries as queries
from jobs.serve.report_figure import Ask, Figure, figure

WHOLE = 2**40  # the scale of a fade: a weight of one, not faded yet
AHEAD_DAYS = 30  # how far the picture of fading goes beyond the last day
SEGMENTS_SHOWN = ("lifecycle", "value_tier")


def people_figures(ask: Ask, published: Collection[str]) -> list[Figure]:
    """Those whose tables are published."""
    drawn = {
        "gold.user_profiles": profiles,
        "gold.segment_daily": segments_by_day,
        "gold.user_scores": scores,
        "gold.retention_weekly": retention,
        "gold.user_interests": interest_of_one,
    }
    return [picture for table, draw in drawn.items() if table in published for picture in draw(ask)]


def profiles(ask: Ask) -> list[Figure]:
    """Who the people are, and what they spend."""
    people, spent = ask(queries.SEGMENTS), ask(queries.SPENDING)
    lifecycles, generations = _words(people, "lifecycle"), _words(spent, "generation")
    return [
        figure(
            "People by generation and lifecycle",
            "One row of gold.user_profiles each.",
            charts.segments(people, lifecycles),
        ),
        figure(
            "Spending by generation",
            "Net is less refunds and cancellations.",
            charts.spending(spent, generations),
        ),
    ]


def _words(rows: list[dict[str, Any]], column: str) -> list[str]:
    return in_order(column, (row[column] for row in rows))


def segments_by_day(ask: Ask) -> list[Figure]:
    """How many people were in each segment, day by day."""
    says = "As it was known at the end of each day; without suspected bots and minors."
    found = []
    for name in SEGMENTS_SHOWN:
        rows = ask(queries.SEGMENTS_BY_DAY.format(dimension=f"'{name}'"))
        told = [row | {"as_of_day": row["as_of_day"].isoformat()} for row in rows]
        heading = f"People by {name.replace('_', ' ')}, day by day"
        words = in_order(name, (row["segment"] for row in rows))
        found.append(figure(heading, says, charts.people_by_day(told, words)))
    return found


def scores(ask: Ask) -> list[Figure]:
    """Buyers, and how far what is expected of them can be trusted."""
    return [*rfm(ask), *calibration(ask)]


def rfm(ask: Ask) -> list[Figure]:
    """Buyers by fifths of recency and frequency."""
    says = "Number of buyers who agreed to be ranked; the darker, the more they spend (fifths of net GMV, 1 to 5)."
    rows = ask(queries.RFM)
    return [figure("Buyers by recency, frequency and money", says, charts.rfm_grid(rows))] if rows else []


def calibration(ask: Ask) -> list[Figure]:
    """Purchases foretold and made; nothing where too few had bought again."""
    tenths = ask(queries.CALIBRATION)
    if not tenths:
        return []
    known, ahead = tenths[0]["known_until"], (tenths[0]["as_of_day"] - tenths[0]["known_until"]).days
    says = f"Of the {ahead} days after {known}, by a fit on what was known then."
    rows = [
        {"decile": tenth["decile"], "measure": measure, "purchases": tenth[column]}
        for tenth in tenths
        for measure, column in (("foretold", "predicted"), ("made", "actual"))
    ]
    return [figure("Purchases foretold, and made", says, charts.foretold(rows))]


def retention(ask: Ask) -> list[Figure]:
    """Who comes back, of what is settled."""
    rows = [row | {"cohort_week": row["cohort_week"].isoformat()} for row in ask(queries.RETENTION)]
    says = "Share of those first seen in a week, every seven days from each one's first; weeks that are over only."
    return [figure("Who comes back", says, charts.retention_curves(rows))] if rows else []


def interest_of_one(ask: Ask) -> list[Figure]:
    """How the liking of one person for their top categories rises and fades."""
    tiles = ask(queries.EXAMPLE_TOPICS)
    if not tiles:
        return []
    today: date = tiles[0]["as_of_day"]
    says = (
        "Top categories of the person with the most signs; right of the dashed line is what is left if nothing comes."
    )
    return [figure("How interest fades", says, charts.fading(faded_by_day(tiles, today), today.isoformat()))]


def faded_by_day(tiles: list[dict[str, Any]], today: date) -> list[dict[str, Any]]:
    """Interest (in weights) by topic and day, from the first tile (day, topic, weight) to a month beyond `today`."""
    by_topic = defaultdict[str, list[tuple[date, int]]](list)
    for tile in tiles:
        by_topic[tile["topic"]].append((tile["day"], tile["weight"]))
    first = min(tile["day"] for tile in tiles)
    days = [first + timedelta(days=n) for n in range((today - first).days + AHEAD_DAYS + 1)]
    return [
        {"day": day.isoformat(), "topic": topic, "interest": _left_over(signs, day) / WHOLE}
        for topic, signs in sorted(by_topic.items())
        for day in days
    ]


def _left_over(signs: list[tuple[date, int]], day: date) -> int:
    """The exact interest on a day, as gold.user_interests has it."""
    half_life = HALF_LIFE_DAYS["category"]
    return sum(weight * fade((day - at).days, half_life) for at, weight in signs if at <= day)
