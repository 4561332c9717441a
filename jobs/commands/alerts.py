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
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; only recorded.")] = "",
    result: Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")] = None,
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Measure lag, freshness and checks, and print every broken promise with what to do; exit code 1 when there is one.

    The promises are the slaProperties of the contracts: latency, completeness, quality, availability.

    Example: reelhouse alerts --format json
    """
    from jobs.lake.clock import instant, now
    from jobs.lake.runs import write_result
    from jobs.lake.watch.alerting import sentence
    from jobs.lake.watch.measuring import measure
    from jobs.serve.printing import print_rows

    instant(at)
    settings, moment = Settings.from_env(), now()
    run_id = run_id or f"by-hand-{moment:%Y%m%dT%H%M%S}"
    measured = measure(settings, moment, run_id)
    if record:
        _record(settings, measured)
    rows = measured.broken if format is Format.json else [_shown(row) for row in measured.broken]
    if rows or format is Format.json:
        print_rows(rows, COLUMNS if format is Format.json else SHOWN, format)
    told = f"{len(measured.broken)} of {len(measured.promises)} promises are broken"
    facts = {"command": "alerts", "target": "promises", "run_id": run_id}
    if not measured.broken:
        write_result(result, {**facts, "outcome": "done", "message": f"{told}: all are kept", "tables": []})
        typer.echo(f"alerts: {told}", err=True)
        return
    message = f"{told}: " + " | ".join(sentence(row) for row in measured.broken)
    write_result(result, {**facts, "outcome": "failed", "message": message, "error": PromiseError.__name__})
    raise PromiseError(message)


def _record(settings: Settings, measured: "Measured") -> None:
    """Note what was found in the ledger, and tell people what is news."""
    from jobs.lake.ledger import Ledger
    from jobs.lake.watch.alerting import broken_before, changes, tell
    from jobs.lake.watch.measuring import record

    ledger = Ledger(settings)
    news = changes(measured.promises, broken_before(ledger))
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
