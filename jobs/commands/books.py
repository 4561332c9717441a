"""`reelhouse books`: what became of every record received, and whether it adds up."""

from typing import Annotated, Any

import typer

from jobs.lake.errors import BooksError
from jobs.serve.printing import Format

PANEL = "Events in"
RANGES = ("topic", "part", "offsets", "received", "accepted", "duplicate", "quarantined", "erased")
TOTALS = ("topic", "received", "accepted", "duplicate", "quarantined", "conflict", "erased", "lost", "ok")
REASONS = ("topic", "reason", "records")
STREAMS = ("topic", "source", "complete until", "waits for", "topic until")
UNSTORED = "producer sequences: lost and repeated counts are not stored, so nothing is said of them"


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("books", rich_help_panel=PANEL)(books)


def books(
    topic: Annotated[str, typer.Option("--topic", metavar="T", help="Only this topic.")] = "",
    partition: Annotated[int | None, typer.Option("--partition", metavar="N", help="Only this partition.")] = None,
    first: Annotated[str, typer.Option("--from", metavar="OFFSET|DAY", help="First offset, or day of booking.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="OFFSET|DAY", help="End offset (exclusive), or last day.")] = "",
    format: Annotated[Format, typer.Option("--format", help="Tables, or one array of JSON objects.")] = Format.table,
) -> None:
    """Print the books: received = accepted + duplicate + quarantined + erased, per topic, partition and range.

    Conflicts are among the quarantined. Batches that touch the bounds are shown whole; a day is the UTC day on which
    a batch was booked. Exit code 3, with the line named, when anything does not add up or a range does not follow on.

    Example: reelhouse books --topic views --from 2026-11-27
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.books import Asked, book_ranges, streams, totals

    settings = lake_settings()
    ranges = book_ranges(settings, Asked(topic, partition, first, last))
    sums, said = totals(ranges), streams(settings, topic)
    (_print_json if format is Format.json else _print)(ranges, sums, said)
    off = [f"{_place(line)}: {line['problem']}" for line in ranges if not line["balanced"]]
    if off:
        raise BooksError(f"{len(off)} lines do not balance: {' | '.join(off)}; see docs/runbooks/books.md")


def _print_json(ranges: list[dict[str, Any]], sums: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    """One array; `part` tells range, total and stream apart."""
    from jobs.serve.books import RANGE, STREAM
    from jobs.serve.printing import print_rows

    columns = ("part", *RANGE, *(name for name in STREAM if name not in RANGE))
    parts = {"range": ranges, "total": sums, "stream": said}
    rows = [{"part": part} | row for part, found in parts.items() for row in found]
    print_rows([dict.fromkeys(columns) | row for row in rows], columns, "json")


def _print(ranges: list[dict[str, Any]], sums: list[dict[str, Any]], said: list[dict[str, Any]]) -> None:
    """The ranges that hold anything, the sums, the reasons, the streams, and the verdict."""
    if not ranges:
        typer.echo("the books have no such line")
    shown = [line for line in ranges if line["offset_to"] > line["offset_from"] or line["lost"] or not line["balanced"]]
    _titled("by range of offsets (end exclusive)", [_range(line) for line in shown], RANGES)
    _titled("by topic", [line | {"ok": "yes" if line["balanced"] else "NO"} for line in sums], TOTALS)
    reasons = [
        {"topic": line["topic"], "reason": reason, "records": n}
        for line in sums
        for reason, n in sorted(line["reasons"].items(), key=lambda each: (-each[1], each[0]))
    ]
    _titled("why quarantined (a record counts under each of its reasons)", reasons, REASONS)
    for line in (each for each in ranges if each["lost"]):
        typer.echo(f"{_place(line)}: {line['lost']} offsets before it were lost unread")
    _titled("complete strictly below, UTC, as the sources say", [_stream(line) for line in said], STREAMS)
    if not said:
        typer.echo("completeness: no source has said how far it is complete")
    typer.echo(UNSTORED)
    if sums and all(line["balanced"] for line in sums):
        typer.echo(f"balanced: {len(ranges)} ranges, {sum(line['received'] for line in sums)} records")


def _titled(title: str, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> None:
    """A table under its title, if it has rows."""
    from jobs.serve.printing import print_rows

    if rows:
        typer.echo(title)
        print_rows(rows, columns, "table")


def _range(line: dict[str, Any]) -> dict[str, Any]:
    """A range that fits on a terminal."""
    mark = "" if line["balanced"] else " !"
    return line | {"part": line["partition"], "offsets": f"{line['offset_from']}–{line['offset_to']}{mark}"}


def _stream(line: dict[str, Any]) -> dict[str, Any]:
    """A stream that fits on a terminal."""
    until = _minute(line["complete_until"]) + (" (final)" if line["is_final"] else "")
    waits, level = _minute(line["waiting_until"]), _minute(line["topic_complete_until"])
    return line | {"complete until": until, "waits for": waits, "topic until": level}


def _minute(time: Any) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def _place(line: dict[str, Any]) -> str:
    first, last = line["batches"]
    batches = f"batch {first}" if first == last else f"batches {first}–{last}"
    return f"{line['topic']}/{line['partition']} offsets {line['offset_from']}–{line['offset_to']} ({batches})"
