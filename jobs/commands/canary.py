"""`reelhouse canary`: whether records would come through, told by records that stand for nothing else."""

from pathlib import Path
from typing import Annotated, Any

import typer

from jobs.lake.errors import PromiseError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Reading"
COLUMNS = (
    "topic", "partition", "state", "canary_sent_at", "canary_read_at", "newest_record_at", "behind", "state_reason",
)  # fmt: skip
SHOWN = ("topic", "part", "state", "canary sent", "read", "newest record", "behind")


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("canary", rich_help_panel=PANEL)(canary)


def canary(
    send: Annotated[bool, typer.Option("--send", help="Send one to each partition of each topic.")] = False,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")] = "",
    at: Annotated[str, typer.Option("--at", metavar="ISO", help="The run's time; what is sent is of now.")] = "",
    result: Annotated[Path | None, typer.Option("--result", metavar="FILE", help="Write how it ended as JSON.")] = None,
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Print of each partition whether its records come through: flowing, silent or broken (exit code 1).

    --send sends a canary to each: a record that ingest counts and makes no row of. One that is not read in time tells
    that records would not be either; where it was read and nothing else came, the stream is silent, not broken. The DAG
    `watch` sends them every five minutes.

    Example: reelhouse canary --send
    """
    from jobs.lake.clock import instant, now
    from jobs.lake.failures import failed
    from jobs.lake.runs import write_result

    instant(at)
    moment = now()
    run_id = run_id or f"by-hand-{moment:%Y%m%dT%H%M%S}"
    facts = {"command": "canary", "target": "topics", "run_id": run_id}
    try:
        message = _send(run_id, format) if send else _show(run_id, format)
    except Exception as error:
        write_result(result, {**facts, **failed(error, "canary")})
        raise
    write_result(result, {**facts, "outcome": "done", "message": message, "tables": []})


def _send(run_id: str, format: Format) -> str:
    """Send them and note it; in words, how many."""
    from jobs.lake.clock import now
    from jobs.lake.ingest.progress import CANARIES
    from jobs.lake.ledger import Ledger
    from jobs.produce.canaries import send
    from jobs.serve.printing import print_rows

    settings = Settings.from_env()
    rows = send(settings, now(), run_id)
    Ledger(settings).append(CANARIES, rows)
    words = f"{len(rows)} canaries sent, to {len({row['topic'] for row in rows})} topics"
    if format is Format.json:
        print_rows(rows, tuple(rows[0]), format)
    else:
        typer.echo(f"{words}; `reelhouse canary` tells whether they came through")
    return words


def _show(run_id: str, format: Format) -> str:
    """Print the states and return them in words; PromiseError that names the partitions that are broken."""
    from collections import Counter

    from jobs.lake.balance import first_of
    from jobs.lake.clock import now
    from jobs.lake.errors import BrokerError
    from jobs.lake.ledger import Ledger
    from jobs.lake.watch.measuring import measure_lag
    from jobs.ops.lag import broken
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows

    settings = lake_settings()
    rows = measure_lag(Ledger(settings), settings, now(), run_id)
    if not rows:
        raise BrokerError(f"Kafka at {settings.bootstrap} does not answer, or has no topics; `make up` starts it")
    words = ", ".join(f"{n} {state}" for state, n in sorted(Counter(row["state"] for row in rows).items()))
    if format is Format.json:
        print_rows(rows, COLUMNS, format)
    else:
        print_rows([_shown(row) for row in rows], SHOWN, format)
        typer.echo(f"partitions: {words}")
    if named := broken(rows):
        raise PromiseError(f"{len(named)} partitions are broken: {first_of(named)}; see docs/runbooks/canaries.md")
    return words


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A partition for people; times are UTC."""
    times = {"canary sent": "canary_sent_at", "read": "canary_read_at", "newest record": "newest_record_at"}
    told = {word: f"{row[name]:%m-%d %H:%M:%S}" if row[name] else "" for word, name in times.items()}
    return {"topic": row["topic"], "part": row["partition"], "state": row["state"], **told, "behind": row["behind"]}
