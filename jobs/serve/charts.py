"""Charts of the report: rows in, a Vega-Lite drawing out. No data is read here."""

from collections.abc import Sequence
from typing import Any

import altair as alt

Rows = Sequence[dict[str, Any]]
Drawing = dict[str, Any]
WIDTH, HEIGHT = 560, 240  # of the whole picture, what stands beside the axes too: so wide is a figure of the page
LETTERS = 12  # pixels; no picture is shrunk to its figure on a screen, so they are read as drawn
INK = "#1f5c99"
OPEN = "#b9cfe4"
FEW_TICKS = 5  # or long numbers run into each other
VISIBLE_BLUES = alt.SchemeParams(name="blues", extent=[0.4, 1])  # a line in the palest is lost on white
WAITS = ("0–1 min", "1–5 min", "5–15 min", "15–60 min", "1–6 h", "6–24 h", "1–7 days", "longer")


def _chart(rows: Rows) -> alt.Chart:
    return alt.Chart({"values": [dict(row) for row in rows]})


def _drawn(chart: Any) -> Drawing:
    fitted = chart.properties(autosize=alt.AutoSizeParams(type="fit-x", contains="padding"))
    lettered = fitted.configure_axis(labelFontSize=LETTERS, titleFontSize=LETTERS).configure_legend(
        labelFontSize=LETTERS, titleFontSize=LETTERS, orient="top", columns=5
    )
    drawing: Drawing = lettered.configure_text(fontSize=LETTERS).to_dict()
    return drawing


def _days(title: str) -> alt.Axis:
    """An axis of days: of many only some are told, upright."""
    return alt.Axis(title=title, labelAngle=0, labelOverlap=True)


def _in_turn(column: str, title: str | None, words: Sequence[str]) -> dict[str, Any]:
    """Colours by a column, the legend and the parts of a bar in the order given."""
    colours = alt.Color(f"{column}:N", title=title, sort=list(words), scale=alt.Scale(scheme="tableau10"))
    return {"color": colours, "order": alt.Order(f"color_{column}_sort_index:Q")}  # Vega-Lite's, for such a sort


def funnel_bars(rows: Rows) -> Drawing:
    """Rows (step_number, step, attempts, share): a bar a step, labelled with the count and the share of the first."""
    order = [row["step"] for row in rows]
    room = alt.Scale(domainMax=1.5 * max((row["attempts"] for row in rows), default=1))  # for the labels
    base = _chart(rows).encode(
        y=alt.Y("step:N", sort=order, title=None),
        x=alt.X("attempts:Q", title="attempts (they add up over days)", scale=room, axis=alt.Axis(tickCount=FEW_TICKS)),
    )
    text = base.mark_text(align="left", dx=4).encode(text="label:N")
    return _drawn((base.mark_bar(color=INK) + text).properties(width=WIDTH, height=36 * max(len(order), 2)))


def conversions_by_day(rows: Rows) -> Drawing:
    """Rows (entry_date, state, attempts): attempts by day of entry, mature dark, open light (hatched by the page)."""
    return _drawn(
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("entry_date:O", axis=_days("day of entry")),
            y=alt.Y("attempts:Q", title="attempts that converted"),
            color=alt.Color("state:N", title=None, scale=alt.Scale(domain=["mature", "open"], range=[INK, OPEN])),
            order=alt.Order("state:N"),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def shares_by(rows: Rows) -> Drawing:
    """Rows (breakdown_value, share, attempts): share of attempts that converted, by value of a breakdown."""
    return _drawn(
        _chart(rows)
        .mark_bar(color=INK)
        .encode(
            y=alt.Y("breakdown_value:N", sort="-x", title=None),
            x=alt.X(
                "share:Q",
                title="attempts that converted",
                axis=alt.Axis(format="~p", tickCount=FEW_TICKS, labelFlush=False),
            ),
        )
        .properties(width=WIDTH, height=alt.Step(22))
    )


def time_to_convert(rows: Rows) -> Drawing:
    """Rows (kind, wait, conversions), `wait` a place in WAITS: how many took so long, decision beside deliberation.

    Decision runs from the last entry, deliberation from the first. A few take days, so the steps of the scale grow.
    """
    named = [dict(row) | {"wait": WAITS[row["wait"]]} for row in rows]
    kinds = alt.Scale(domain=["decision", "deliberation"], range=[INK, OPEN])
    return _drawn(
        _chart(named)
        .mark_bar()
        .encode(
            x=alt.X(
                "wait:O",
                sort=WAITS,
                title="time to convert",
                axis=alt.Axis(labelAngle=0),
                scale=alt.Scale(domain=WAITS),
            ),
            xOffset="kind:N",
            y=alt.Y("conversions:Q", title="conversions"),
            color=alt.Color("kind:N", title=None, scale=kinds),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def segments(rows: Rows, lifecycles: Sequence[str]) -> Drawing:
    """Rows (generation, lifecycle, people): people by generation, coloured by lifecycle, in the order given."""
    return _drawn(
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("generation:N", sort="-x", title=None),
            x=alt.X("people:Q", title="people"),
            **_in_turn("lifecycle", "lifecycle", lifecycles),
        )
        .properties(width=WIDTH, height=alt.Step(24))
    )


def spending(rows: Rows, generations: Sequence[str]) -> Drawing:
    """Rows (generation, measure, yuan): gross beside net GMV by generation, in the order given."""
    return _drawn(
        _chart(rows)
        .mark_bar()
        .encode(
            y=alt.Y("generation:N", sort=list(generations), title=None),
            yOffset="measure:N",
            x=alt.X("yuan:Q", title="GMV in yuan"),
            color=alt.Color("measure:N", title=None, scale=alt.Scale(domain=["gross", "net"], range=[OPEN, INK])),
        )
        .properties(width=WIDTH, height=alt.Step(12))
    )


def people_by_day(rows: Rows, segments: Sequence[str]) -> Drawing:
    """Rows (as_of_day, segment, people): people of each day by segment, in the order given."""
    days = len({row["as_of_day"] for row in rows})
    return _drawn(
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("as_of_day:O", axis=_days("day")),
            y=alt.Y("people:Q", title="people"),
            **_in_turn("segment", None, segments),
        )
        .properties(width=min(WIDTH, 40 * days + 360), height=HEIGHT)
    )


def rfm_grid(rows: Rows) -> Drawing:
    """Rows (recency_score, frequency_score, people, monetary): a field a pair of fifths, dark where much is spent."""
    base = _chart(rows).encode(
        x=alt.X("recency_score:O", title="recency (5: bought lately)", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("frequency_score:O", title="frequency (5: bought often)", sort="descending"),
    )
    shade = alt.Color("monetary:Q", title="money", scale=alt.Scale(scheme="blues", domain=[1, 5]))
    ink = alt.condition("datum.monetary > 3.2", alt.value("white"), alt.value("black"))
    fields, counts = base.mark_rect().encode(color=shade), base.mark_text().encode(text="people:Q", color=ink)
    return _drawn((fields + counts).properties(width=0.7 * WIDTH, height=HEIGHT))


def foretold(rows: Rows) -> Drawing:
    """Rows (decile, measure, purchases): what was foretold beside what was made, by tenth of the buyers."""
    return _drawn(
        _chart(rows)
        .mark_bar()
        .encode(
            x=alt.X("decile:O", title="tenth of the buyers, by what was foretold", axis=alt.Axis(labelAngle=0)),
            xOffset="measure:N",
            y=alt.Y("purchases:Q", title="purchases"),
            color=alt.Color("measure:N", title=None, scale=alt.Scale(domain=["foretold", "made"], range=[OPEN, INK])),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def retention_curves(rows: Rows) -> Drawing:
    """Rows (cohort_week, week_number, share): a line a cohort, over the weeks since its people's first day."""
    return _drawn(
        _chart(rows)
        .mark_line(point=True)
        .encode(
            x=alt.X("week_number:O", title="weeks since the first day", axis=alt.Axis(labelAngle=0)),
            y=alt.Y("share:Q", title="here in the week", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            color=alt.Color("cohort_week:O", title="first seen", scale=alt.Scale(scheme=VISIBLE_BLUES)),
        )
        .properties(width=WIDTH, height=HEIGHT)
    )


def fading(rows: Rows, today: str) -> Drawing:
    """Rows (day, topic, interest): interest in topics over days; dashed line at `today`, beyond it nothing is new."""
    lines = (
        _chart(rows)
        .mark_line()
        .encode(
            x=alt.X("day:T", title="day", axis=alt.Axis(format="%m-%d", tickCount=2 * FEW_TICKS, labelFlush=False)),
            y=alt.Y("interest:Q", title="interest (weights, faded)"),
            color=alt.Color("topic:N", title=None, scale=alt.Scale(scheme="tableau10")),
        )
    )
    rule = _chart([{"day": today}]).mark_rule(strokeDash=[4, 4]).encode(x="day:T")
    return _drawn((lines + rule).properties(width=WIDTH, height=HEIGHT))
