"""`reelhouse produce`: anybody's events into Kafka."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import typer

from jobs.serve.printing import Format


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(rich_help_panel="Events in")(produce)


def produce(
    topic: Annotated[str, typer.Argument(help="views, likes, orders, users, videos, products, merchants or control.")],
    file: Annotated[str, typer.Argument(metavar="FILE.jsonl", help="One JSON object a line; - reads standard input.")],
    raw: Annotated[bool, typer.Option("--raw", help="Send each line's bytes as they are, unchecked.")] = False,
    version: Annotated[
        int,
        typer.Option("--contract-version", min=1, help="Of the event contract: schemas/events/…/v<N>.json."),
    ] = 1,
    source: Annotated[str, typer.Option(help="Who says so: the header ce_source.")] = "app:produce",
    spool: Annotated[Path | None, typer.Option(help="The spool; default <home>/spool/produce.")] = None,
    patience: Annotated[float, typer.Option(min=0, help="Seconds to wait for a broker that is away.")] = 60,
    format: Annotated[Format, typer.Option(help="How to print the counts.")] = Format.table,
) -> None:
    """Send a file of events: each is completed (id, times, producer), checked against its contract and sent.

    A refused event is kept with its reasons, and the rest goes on; exit code 1 when all were refused. What the broker
    did not take waits in the spool for the next run. With --raw the key is `user_id` or the entity's id where the line
    can be read, else null.

    Example: reelhouse produce likes likes.jsonl
    """
    from jobs.lake.errors import UsageError
    from jobs.lake.event_contracts import all_topics
    from jobs.lake.settings import Settings
    from jobs.produce.lines import each_line, send_lines, send_raw
    from jobs.produce.producer import Producer

    settings = Settings.from_env()
    if topic not in (known := all_topics(settings.schemas_dir)):
        raise UsageError(f"no topic {topic!r}; use one of {', '.join(known)}")
    folder = spool or settings.home / "spool" / "produce"
    with (
        _opened(file) as lines,
        Producer(settings, source=source, spool=folder, patience_seconds=patience) as producer,
    ):
        left_over = producer.left_over
        count = (send_raw if raw else send_lines)(producer, topic, each_line(lines), version=version)
        producer.flush()
        too_large = producer.refused.reasons["too_large"]
        kept = producer.refused.path if producer.refused.count else None
        reasons = dict(producer.refused.reasons)
    row = {"topic": topic, "sent": count.sent - too_large, "refused": count.refused + too_large, "reasons": reasons}
    _print(row, format)
    if left_over:
        typer.echo(f"{left_over} records that an earlier run left in {folder} were sent first", err=True)
    if kept:
        typer.echo(f"refused ones are kept with their reasons: {kept}", err=True)
    if row["refused"] and not row["sent"]:
        raise typer.Exit(1)


@contextmanager
def _opened(file: str) -> Iterator[IO[bytes]]:
    from jobs.lake.errors import UsageError

    if file == "-":
        yield sys.stdin.buffer
        return
    try:
        stream = Path(file).open("rb")  # noqa: SIM115  closed below
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}; name a file with one JSON object a line") from error
    with stream:
        yield stream


def _print(row: dict[str, object], format: Format) -> None:
    from rich.console import Console
    from rich.table import Table

    if format is Format.json:
        typer.echo(json.dumps([row]))
        return
    table = Table("topic", "sent", "refused", "reasons")
    reasons = row["reasons"]
    said = ", ".join(f"{reason} {count}" for reason, count in reasons.items()) if isinstance(reasons, dict) else ""
    table.add_row(str(row["topic"]), str(row["sent"]), str(row["refused"]), said)
    Console().print(table)
