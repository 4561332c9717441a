"""`reelhouse alerts`: which promises of the contracts are broken, as measured now."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.errors import PromiseError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.watch.measuring import Measured

PANEL = "Reading"
COLUMNS = ("table", "property", "promised", "measured", "unit", "detail", "runbook", "measured_at")
SHOWN = ("table", "promise", "promised", "measured", "detail", "remedy")


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("alerts", rich_help_panel=PANEL)(alerts)


def alerts(
    record: Annotated[bool, typer.Option("--record", help="Note it in ops.*, and send what is news.")] = False,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; what is measured is as of now.")] = "",
    result: Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")] = None,
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Measure lag, freshness and checks, and print every broken promise with what to do; exit code 1 when there is one.

    The promises are the slaProperties of the contracts: latency, completeness, quality, availability.

    Example: reelhouse alerts --format json
    """
    from jobs.lake.clock import instant, now
    from jobs.lake.failures import failed
    from jobs.lake.runs import write_result
    from jobs.lake.watch.measuring import measure
    from jobs.serve.asked import lake_settings

    instant(at)
    settings, moment = Settings.from_env() if record else lake_settings(), now()
    run_id = run_id or f"by-hand-{moment:%Y%m%dT%H%M%S}"
    facts = {"command": "alerts", "target": "promises", "run_id": run_id}
    try:
        measured = measure(settings, moment, run_id)
        if record:
            _record(settings, measured)
        _print(measured, format)
        _refuse_broken(measured)
    except Exception as error:
        write_result(result, {**facts, **failed(error, "alerts")})
        raise
    write_result(result, {**facts, "outcome": "done", "message": _count(measured), "tables": []})


def _print(measured: "Measured", format: Format) -> None:
    """What is broken, or that nothing is; JSON stays an array, and nothing else."""
    from jobs.serve.printing import print_rows

    if format is Format.json:
        print_rows(measured.broken, COLUMNS, format)
    elif measured.broken:
        print_rows([_shown(row) for row in measured.broken], SHOWN, format)
    if not measured.broken:
        typer.echo(_count(measured), err=format is Format.json)


def _refuse_broken(measured: "Measured") -> None:
    """PromiseError that says each broken promise, what was measured and where to read on."""
    from jobs.lake.watch.alerting import sentence

    if measured.broken:
        raise PromiseError(f"{_count(measured)}: " + " | ".join(sentence(row) for row in measured.broken))


def _count(measured: "Measured") -> str:
    return f"{len(measured.broken)} of {len(measured.promises)} promises are broken"


def _record(settings: Settings, measured: "Measured") -> None:
    """Note what was found in the ledger, and tell people what is news."""
    from jobs.lake.ledger import Ledger
    from jobs.lake.watch.alerting import broken_before, changes, tell
    from jobs.lake.watch.measuring import record

    ledger = Ledger(settings)
    news = changes(measured.promises, broken_before(ledger, measured.at))
    if news:  # first: killed in between, people hear of it twice rather than never
        typer.echo(f"alerts: {len(news)} news, in {tell(settings, news)}", err=True)
    record(ledger, measured)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A broken promise for people."""
    from jobs.ops.promises import in_words

    return {
        "table": row["table"],
        "promise": row["property"],
        "promised": in_words(row["promised"], row["unit"]),
        "measured": in_words(row["measured"], row["unit"]),
        "detail": row["detail"],
        "remedy": row["runbook"],
    }
