"""`reelhouse services` and `reelhouse doctor`: what runs beside our jobs, and whether this machine can carry it."""

from typing import Annotated

import typer

from jobs.lake.settings import Settings
from jobs.serve.printing import Format

Names = Annotated[list[str] | None, typer.Argument(metavar="[kafka|connect|airflow]…", help="Which; none means all.")]
Rows = Annotated[Format, typer.Option("--format", help="A table for people, or an array of JSON objects.")]

group = typer.Typer(no_args_is_help=True, help="Start, stop and look at Kafka, Spark Connect and Airflow.")


def register(app: typer.Typer) -> None:
    """Add the commands of this group."""
    app.add_typer(group, name="services")
    app.command("doctor")(doctor)


def doctor(
    lake: Annotated[bool, typer.Option("--lake", help="Look at tables and topics in place of the machine.")] = False,
    format: Rows = Format.table,
) -> None:
    """Say what this machine lacks, or what is wrong with the lake, and what to do; exit code 1 when something blocks.

    `--lake` reads every file of every table: torn logs, garbled checkpoints, data files that are gone or changed; looks
    for tables, commits and rows that the books and the publications tell of and that are not there; and asks the broker
    for topics that were made anew and records that retention took.

    Example: reelhouse doctor --lake --format json
    """
    from jobs.lake.doctor import Verdict, examine, examine_lake
    from jobs.serve.asked import lake_settings

    findings = examine_lake(lake_settings()) if lake else examine(Settings.from_env())
    _print([finding.row() for finding in findings], format)
    if any(finding.verdict is Verdict.blocks for finding in findings):
        raise typer.Exit(1)


@group.command("up")
def up(names: Names = None, format: Rows = Format.table) -> None:
    """Start services side by side and wait until they serve.

    Example: reelhouse services up kafka connect
    """
    from jobs.lake.services import control, services

    chosen = services(Settings.from_env(), names or [])
    control.up(chosen, _say)
    _print(control.status(chosen), format)


@group.command("down")
def down(names: Names = None, format: Rows = Format.table) -> None:
    """Stop services to their last process, also after a crash.

    Example: reelhouse services down airflow
    """
    from jobs.lake.services import control, services

    chosen = services(Settings.from_env(), names or [])
    control.down(chosen, _say)
    if format is Format.json:
        _print(control.status(chosen), format)


@group.command("status")
def status(names: Names = None, format: Rows = Format.table) -> None:
    """Tell how each service is; exit code 1 when one is not serving.

    Example: reelhouse services status --format json
    """
    from jobs.lake.services import control, services

    rows = control.status(services(Settings.from_env(), names or []))
    _print(rows, format)
    if any(row["state"] not in ("serving", "outside") for row in rows):
        raise typer.Exit(1)


def _say(name: str, news: str) -> None:
    typer.echo(f"{name:8} {news}", err=True)


def _print(rows: list[dict[str, object]], format: Format) -> None:
    from jobs.serve.printing import print_rows

    print_rows(rows, list(rows[0]), format.value)
