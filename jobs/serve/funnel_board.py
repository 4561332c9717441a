"""A published funnel for the terminal: rows of gold.funnel_daily added up over days, and bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from jobs.definitions.funnel.model import PAIR
from jobs.lake.settings import Settings
from jobs.serve.asked import Row, day_of, entered, quoted, refuse_swapped, refuse_unknown, rows_of
from jobs.serve.printing import inert, plain_console

DAILY, ATTEMPTS = "gold.funnel_daily", "gold.funnel_attempts"
BAR_WIDTH = 8
MEASURES = (
    "attempts_count", "mature_attempts_count", "open_attempts_count", "excluded_attempts_count", "net_attempts_count",
    "set_aside_attempts_count", "people_count",
)  # fmt: skip
STEP = ["breakdown_value", "step_number"]


def funnel_rows(
    settings: Settings, name: str, by: str, first: str, last: str, version: int, as_of: datetime | None = None
) -> list[Row]:
    """One row per value and step, summed over the entry days; UsageError when there is no such funnel or breakdown.

    As it is published, or was at `as_of`.
    `people_count` is of single days, so it is there only when one day is asked for.
    """
    import pyarrow.compute as pc

    from jobs.serve.tables import arrow_of, published_version

    refuse_swapped(first, last)
    daily = arrow_of(settings, DAILY, published_version(settings, DAILY, None, None, as_of))
    refuse_unknown(name, daily["funnel"].unique().to_pylist(), "funnel")
    mine = daily.filter(pc.field("funnel") == name)
    newest = version or pc.max(mine["funnel_version"]).as_py()
    refuse_unknown(newest, mine["funnel_version"].unique().to_pylist(), "version")
    mine = mine.filter(pc.field("funnel_version") == newest)
    refuse_unknown(by, mine["breakdown"].unique().to_pylist(), "breakdown")
    mine = mine.filter(pc.field("breakdown") == by)
    for text, keeps in ((first, pc.greater_equal), (last, pc.less_equal)):
        if text:
            mine = mine.filter(keeps(mine["entry_date"], day_of(text)))
    sums = [(measure, "sum") for measure in MEASURES] + [
        ("step", "min"),
        ("is_optional", "max"),
        ("entry_date", "count_distinct"),
    ]
    rows = mine.group_by(STEP).aggregate(sums).sort_by([(part, "ascending") for part in STEP]).to_pylist()
    if by != "total":
        from jobs.definitions.segments import in_order

        values = in_order(by, (row["breakdown_value"] for row in rows))
        rows.sort(key=lambda row: values.index(row["breakdown_value"]))
    shown = [_shown(name, newest, by, row) for row in rows]
    if any(row["is_optional"] for row in shown):
        _add_went_on(settings, shown, first, last, as_of)
    return shown


def _shown(name: str, version: int, by: str, row: Row) -> Row:
    """The row under names for readers; people only where they do not add up wrongly."""
    counts = {measure.removesuffix("_count"): row[f"{measure}_sum"] for measure in MEASURES[:-1]}
    people = row["people_count_sum"] if row["entry_date_count_distinct"] == 1 else None
    return {
        "funnel": name, "version": version, "breakdown": by, "value": row["breakdown_value"],
        "step_number": row["step_number"], "step": row["step_min"], "is_optional": row["is_optional_max"],
        **counts, "people": people, "went_on": None,
    }  # fmt: skip


def _add_went_on(settings: Settings, rows: Sequence[Row], first: str, last: str, as_of: datetime | None = None) -> None:
    """Fill `went_on` of optional steps: the attempts with this step that got to the next mandatory one (rule 14)."""
    one = rows[0]
    mine = [f"funnel = {quoted(one['funnel'])}", f"funnel_version = {one['version']}", "set_aside = '(none)'"]
    optional = ", ".join(f"({number}, {after})" for number, after in _next_mandatory(rows).items())
    query = f"""SELECT {_value_of(one["breakdown"])} AS value, number, count(*) AS n
        FROM {ATTEMPTS}, (VALUES {optional}) optional(number, after)
        WHERE {" AND ".join([*mine, *entered(first, last)])} AND reached >= after AND step_event_ids[number] IS NOT NULL
        GROUP BY ALL"""  # noqa: S608 (words that are published)
    counts = {(line["value"], line["number"]): line["n"] for line in rows_of(settings, ATTEMPTS, query, as_of)}
    for row in rows:
        if row["is_optional"]:
            row["went_on"] = counts.get((row["value"], row["step_number"]), 0)


def _next_mandatory(rows: Sequence[Row]) -> dict[int, int]:
    """Number of each optional step → that of the mandatory step after it; the last step is never optional."""
    mandatory = {row["step_number"] for row in rows if not row["is_optional"]}
    optional = sorted({row["step_number"] for row in rows if row["is_optional"]})
    return {number: min(after for after in mandatory if after > number) for number in optional}


def _value_of(breakdown: str) -> str:
    """SQL for the value of a breakdown, as gold.funnel_daily has it, from the properties in the ledger."""
    if breakdown == "total":
        return "'(all)'"
    values = [f"breakdowns[{quoted(name)}]" for name in breakdown.split(PAIR)]
    return values[0] if len(values) == 1 else f"to_json([{', '.join(values)}])::VARCHAR"


def draw(name: str, rows: Sequence[Row]) -> None:
    """A table with a bar per step for every value."""
    from rich import box
    from rich.table import Table

    console, rows = plain_console(), inert(rows)
    if not rows:
        console.print(f"{name}: no entry on these days")
    for value in dict.fromkeys(row["value"] for row in rows):
        steps = [row for row in rows if row["value"] == value]
        title = f"{name} v{steps[0]['version']}" + (f" · {steps[0]['breakdown']} {value}" if value != "(all)" else "")
        table = Table(title=title, title_justify="left", box=box.SIMPLE, pad_edge=False, collapse_padding=True)
        for column in ("step", "", "attempts", "of all", "of prior", "open", "net", "people"):
            table.add_column(column, justify="left" if column in ("step", "") else "right", no_wrap=True)
        for cells in _cells(steps):
            table.add_row(*cells)
        console.print(table)
        for optional, after in _optional(steps):
            console.print(f"* {optional} is optional: of the attempts that got to {after}, so many had it")
    for remark in _remarks(rows):
        console.print(remark)


def _cells(steps: Sequence[Row]) -> Iterator[list[str]]:
    """The cells of each step; rates are over the mature attempts, the open ones are told beside (rule 20)."""
    entered, mature = steps[0]["attempts"], steps[0]["mature_attempts"]
    for place, row in enumerate(steps):
        people = "" if row["people"] is None else f"{row['people']:,}"
        yield [
            row["step"], bar(row["attempts"], entered), f"{row['attempts']:,}", rate(row["mature_attempts"], mature),
            _of_neighbour(steps, place), f"{row['open_attempts']:,}", f"{row['net_attempts']:,}", people,
        ]  # fmt: skip


def _of_neighbour(steps: Sequence[Row], place: int) -> str:
    """Share of the mandatory step before; of an optional one, of the next mandatory step (rule 14)."""
    row = steps[place]
    if row["is_optional"]:
        return f"{rate(row['went_on'], _mandatory_after(steps, place)['attempts'])} *"
    before = [step for step in steps[:place] if not step["is_optional"]]
    return rate(row["mature_attempts"], (before or [row])[-1]["mature_attempts"])


def _remarks(rows: Sequence[Row]) -> Iterator[str]:
    """What the tables leave out, and why."""
    if any(row["open_attempts"] for row in rows):
        yield "shares are of mature attempts: what is open may still go on"
    if any(row["people"] is None for row in rows):
        yield "people are counted by day: ask for one with --from DAY --to DAY"


def _optional(steps: Sequence[Row]) -> Iterator[tuple[str, str]]:
    """Each optional step and the mandatory one after it, by name."""
    for place, row in enumerate(steps):
        if row["is_optional"]:
            yield row["step"], _mandatory_after(steps, place)["step"]


def _mandatory_after(steps: Sequence[Row], place: int) -> Row:
    """The next mandatory step; the last step is never optional."""
    return next(step for step in steps[place:] if not step["is_optional"])


def bar(part: int, whole: int) -> str:
    """A bar as long as the share, in eighths of a character."""
    eighths = round(8 * BAR_WIDTH * part / whole) if whole else 0
    return "█" * (eighths // 8) + ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")[eighths % 8]


def rate(part: int, whole: int) -> str:
    """A share in percent, nothing for a share of nothing."""
    return f"{100 * part / whole:.1f}%" if whole else ""
