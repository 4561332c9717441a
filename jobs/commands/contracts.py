"""`reelhouse contracts`: check what is promised, show it, and write its docs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.settings import ROOT, Settings
from jobs.serve.printing import Format, plain_console

if TYPE_CHECKING:
    from jobs.lake.promises.problem import Problem

DOCS = ROOT / "docs" / "tables"


Rows = Annotated[Format, typer.Option("--format", help="A table for people, or an array of JSON objects.")]

group = typer.Typer(no_args_is_help=True, help="Check, show and document the contracts of tables and events.")


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="contracts")


@group.command("check")
def check(
    base: Annotated[
        str | None, typer.Option(metavar="REV", help="Compare with this commit; else where main was left.")
    ] = None,
    format: Rows = Format.table,
) -> None:
    """Hold every contract to its rules, and every change to the promise made before.

    Example: reelhouse contracts check --base main
    """
    from jobs.lake.contracts import all_tables
    from jobs.lake.event_contracts import all_topics
    from jobs.lake.promises import backfills, events, history, layout, patches, tables

    schemas_dir = Settings.from_env().schemas_dir
    before = history.base(schemas_dir.parent, base)
    problems = [
        *tables.check_tables(schemas_dir),
        *events.check_events(schemas_dir),
        *layout.check_layout(schemas_dir),
        *backfills.check_backfills(schemas_dir),
        *patches.check_patches(schemas_dir),
        *history.check_history(schemas_dir, before),
    ]
    if before.note:
        typer.echo(f"note: {before.note}", err=True)
    _report(problems, format)
    typer.echo(
        f"{len(all_tables(schemas_dir))} tables and {len(all_topics(schemas_dir))} topics keep their rules", err=True
    )


@group.command("docs")
def docs(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; fail when a page is stale.")] = False,
    folder: Annotated[Path, typer.Option(help="Where the pages lie.")] = DOCS,
) -> None:
    """Write docs/tables/ from the contracts.

    Example: reelhouse contracts docs --check
    """
    from jobs.lake.promises.docs import stale, write_docs

    schemas_dir = Settings.from_env().schemas_dir
    if check:
        _report(stale(schemas_dir, folder), Format.table)
        typer.echo("docs/tables is as the contracts say", err=True)
        return
    changed = write_docs(schemas_dir, folder)
    typer.echo(f"{len(changed)} pages changed in {folder}", err=True)


@group.command("show")
def show(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="Such as gold.funnel_daily.")],
    format: Rows = Format.table,
) -> None:
    """Show what is promised about a table: grain, columns, meaning, privacy.

    Example: reelhouse contracts show silver.views --format json
    """
    from jobs.lake.contracts import contract
    from jobs.serve.printing import print_rows, remark

    promised = contract(table, Settings.from_env().schemas_dir)
    rows = [
        {
            "column": column.name,
            "type": column.type,
            "grain": column.name in promised.grain,
            "required": column.required,
            "privacy": column.privacy,
            "unit": column.unit,
            "meaning": column.description,
        }
        for column in promised.columns
    ]
    if format is Format.json:
        print_rows(rows, list(rows[0]), format)
        return
    remark(f"{table} {promised.version}: {promised.description}\n{promised.row_meaning}")
    _print_for_people(rows)


def _print_for_people(rows: list[dict[str, Any]]) -> None:
    """Each column by its name beside what it must keep, its meaning below; a long type may break between its parts."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    console = plain_console()
    for row in rows:
        must = "grain" if row["grain"] else "required" if row["required"] else None
        kept = filter(None, (row["type"].replace(",", ", "), row["unit"], must, row["privacy"]))
        line = Table.grid("", "", padding=(0, 2, 0, 0))
        line.columns[0].no_wrap, line.columns[1].overflow = True, "fold"
        line.add_row(Text(row["column"], "bold"), ", ".join(kept))
        console.print(line, Padding(row["meaning"], (0, 0, 0, 4), expand=False))


def _report(problems: list[Problem], format: Format) -> None:
    """One line per problem; exit code 2 when there is one."""
    from dataclasses import asdict

    from jobs.serve.printing import print_rows

    if format is Format.json:
        print_rows([asdict(problem) for problem in problems], ("file", "place", "message", "remedy"), "json")
    for problem in problems:
        typer.echo(f"ContractError: {problem}", err=True)
    if problems:
        raise typer.Exit(2)
