"""`reelhouse contracts`: check what is promised, show it, and write its docs."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.settings import ROOT, Settings

if TYPE_CHECKING:
    from jobs.lake.promises.problem import Problem

DOCS = ROOT / "docs" / "tables"


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"


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
    from jobs.lake.promises import events, history, layout, tables

    schemas_dir = Settings.from_env().schemas_dir
    before = history.base(schemas_dir.parent, base)
    problems = [
        *tables.check_tables(schemas_dir),
        *events.check_events(schemas_dir),
        *layout.check_layout(schemas_dir),
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
    from dataclasses import asdict

    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    from jobs.lake.contracts import contract

    promised = contract(table, Settings.from_env().schemas_dir)
    rows = [asdict(column) | {"grain": column.name in promised.grain} for column in promised.columns]
    if format is Format.json:
        _print(rows)
        return
    typer.echo(f"{table} {promised.version}: {promised.description}\n{promised.row_meaning}", err=True)
    shown = Table("column", "type", "", "privacy", "meaning", box=SIMPLE)
    for row in rows:
        part = "grain" if row["grain"] else "required" if row["required"] else ""
        shown.add_row(row["name"], row["type"], part, row["privacy"], row["description"])
    Console().print(shown)


def _report(problems: list[Problem], format: Format) -> None:
    """One line per problem; exit code 2 when there is one."""
    from dataclasses import asdict

    if format is Format.json:
        _print([asdict(problem) for problem in problems])
    for problem in problems:
        typer.echo(f"ContractError: {problem}", err=True)
    if problems:
        raise typer.Exit(2)


def _print(rows: list[dict[str, Any]]) -> None:
    import json

    typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
