"""The report: one page, no server, no script, nothing fetched; every figure from a published table."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve import charts
from jobs.serve import report_queries as queries
from jobs.serve.asked import quoted
from jobs.serve.query import reader
from jobs.serve.report_figure import Ask, Figure, figure
from jobs.serve.report_people import people_figures
from jobs.serve.tables import list_tables, readable

TEMPLATE = Path(__file__).with_name("report.html.jinja")


def write_report(settings: Settings, file: Path, *, at: str) -> Path:
    """Draw the published tables into one HTML file; UsageError when nothing is published yet."""
    from jinja2 import Environment, FileSystemLoader, select_autoescape

    tables = list_tables(settings)
    published = {row["table"] for row in tables if row["release"]}
    if not published:
        raise UsageError("nothing is published yet, so there is nothing to report; `make demo` publishes something")
    ask = asker(settings)
    figures = funnel_figures(ask) if "gold.funnel_daily" in published else []
    figures += people_figures(ask, published)
    pages = Environment(loader=FileSystemLoader(TEMPLATE.parent), autoescape=select_autoescape(default=True))
    page = pages.get_template(TEMPLATE.name).render(figures=figures, tables=tables, at=at, ink=charts.INK)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(page, encoding="utf-8")
    return file


def asker(settings: Settings) -> Ask:
    """A function from SQL to rows, over the tables as published at one moment."""
    read = reader(settings, readable(settings))
    return lambda query: read(query).to_pylist()


def funnel_figures(ask: Ask) -> list[Figure]:
    """Three pictures for every funnel that has entries."""
    found = []
    for row in ask(queries.FUNNELS):
        names = {"funnel": quoted(row["funnel"]), "version": str(row["version"])}
        title = f"{row['funnel']} v{row['version']}"
        found += [
            figure(f"{title}: how far attempts got", "Of all attempts entered.", charts.funnel_bars(steps(ask, names))),
            *by_value(ask, title, names),
        ]
        days = [
            entry | {"entry_date": entry["entry_date"].isoformat()} for entry in ask(queries.BY_DAY.format(**names))
        ]
        found.append(
            hatched(
                figure(
                    f"{title}: conversions by day of entry", "Hatched: may still grow.", charts.conversions_by_day(days)
                )
            )
        )
        if times := ask(queries.TIMES.format(**names)):
            says = "Decision runs from the last entry that reaches the conversion, deliberation from the earliest."
            found.append(figure(f"{title}: time to convert", says, charts.time_to_convert(times)))
    return found


def steps(ask: Ask, names: dict[str, str]) -> list[dict[str, Any]]:
    """Rows of the funnel chart, with the label a bar carries."""
    rows = ask(queries.STEPS.format(**names))
    first = rows[0]["attempts"] or 1
    return [row | {"label": f"{row['attempts']:,} · {row['attempts'] / first:.1%}"} for row in rows]


def by_value(ask: Ask, title: str, names: dict[str, str]) -> list[Figure]:
    """One picture a breakdown."""
    rows = [
        row | {"share": (row["converted"] or 0) / row["entered"], "breakdown_value": in_words(row)}
        for row in ask(queries.BY_VALUE.format(**names))
    ]
    return [
        figure(
            f"{title}: by {breakdown}",
            "Share of attempts that converted.",
            charts.shares_by([row for row in rows if row["breakdown"] == breakdown]),
        )
        for breakdown in sorted({row["breakdown"] for row in rows})
    ]


def in_words(row: dict[str, Any]) -> str:
    """The value of a row's breakdown; of a pair (`scene x source`, a JSON list) both, as people write them."""
    value: str = row["breakdown_value"]
    return " · ".join(part or "(none)" for part in json.loads(value)) if " x " in row["breakdown"] else value


def hatched(drawn: Figure) -> Figure:
    """The figure with what is open hatched (`#open` of the page) instead of light."""
    return replace(drawn, svg=drawn.svg.replace(f'fill="{charts.OPEN}"', 'fill="url(#open)"'))
