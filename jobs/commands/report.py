"""`reelhouse report`: the published tables drawn on one page."""

from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add `report`."""
    app.command("report", rich_help_panel="Reading")(report)


def report(
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: <home>/report/index.html.")] = None,
) -> None:
    """Draw funnels, time to convert, segments and freshness into one HTML file that needs no network.

    Example: reelhouse report --output report.html
    """
    from jobs.lake.clock import now
    from jobs.serve.asked import lake_settings
    from jobs.serve.report import write_report

    settings = lake_settings()
    file = output or settings.home / "report" / "index.html"
    typer.echo(write_report(settings, file, at=f"{now():%Y-%m-%d %H:%M} UTC"))
