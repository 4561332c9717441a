"""`reelhouse sql` and `reelhouse tables`: the published tables, for people who only read."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from jobs.serve.printing import Format

PANEL = "Reading"
SHOWN = ("table", "grain", "rows", "complete_until", "verdict")  # as much as fits on a terminal; JSON has all


class FileFormat(StrEnum):
    """How an answer is printed or written."""

    table = "table"
    json = "json"
    csv = "csv"
    parquet = "parquet"


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.command("sql", rich_help_panel=PANEL)(sql)
    app.command("tables", rich_help_panel=PANEL)(tables)


def sql(
    query: Annotated[str, typer.Argument(help="One SELECT over gold.* and ops.*, in DuckDB's SQL.")],
    format: Annotated[FileFormat, typer.Option("--format", help="How the answer is written.")] = FileFormat.table,
    output: Annotated[Path | None, typer.Option("--output", metavar="FILE", help="Write it there.")] = None,
    as_of: Annotated[str, typer.Option("--as-of", metavar="ISO", help="Gold as it was published then.")] = "",
    release: Annotated[str, typer.Option("--release", metavar="RELEASE", help="As it was when that came out.")] = "",
    with_silver: Annotated[bool, typer.Option("--with-silver", help="Silver too: it is about people.")] = False,
) -> None:
    """Ask the published tables; no server, no Spark, and nothing can be changed.

    Example: reelhouse sql "SELECT * FROM gold.funnel_daily LIMIT 5" --format json
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.instants import asked_moment
    from jobs.serve.query import answer, write_answer
    from jobs.serve.tables import readable

    settings = lake_settings()
    versions = readable(settings, with_silver=with_silver, as_of=asked_moment(settings, as_of, release))
    write_answer(answer(settings, query, versions), format, output)


def tables(format: Annotated[Format, typer.Option("--format", help="Table or JSON.")] = Format.table) -> None:
    """List the public tables: grain, rows, how fresh they are, and the verdict of their last checks.

    Example: reelhouse tables --format json
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows
    from jobs.serve.tables import list_tables

    rows = list_tables(lake_settings())
    names = list(rows[0]) if rows else []
    print_rows(rows, names if format is Format.json else [name for name in names if name in SHOWN], format)
