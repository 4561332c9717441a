"""`reelhouse books`: what became of every record received, and whether it adds up."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.errors import BooksError, UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.serve.book_hours import ByHour, Happened
    from jobs.serve.books import Asked

PANEL = "Events in"
TERMS = ("accepted", "duplicate", "conflict", "refused", "erased", "canary")  # of which each record received has one
RARE = TERMS[4:]  # a table in which no record has them leaves them out: with all of them it is wider than a terminal
RANGES = ("topic", "part", "offsets", "received", *TERMS)
TOTALS = ("topic", "received", *TERMS, "lost", "ok")
AGAIN = ("topic", "part", "offsets", "quarantined", "replayed", "undone")
REASONS = ("topic", "reason", "records")
HOURS = ("topic", "part", "hour", "received", *TERMS)
RECONCILED = ("table", "what", "day", "in", "left out", "out", "ok")
STREAMS = ("topic", "source", "complete until", "waits for", "topic until")
BEATS = ("topic", "read until", "partitions")
PRODUCERS = ("producer", "epoch", "received", "refused", "repeated", "lost", "numbers", "missing")
UNNUMBERED = ("topic", "source", "received")
SHOWN_PRODUCERS, SHOWN_GAPS = 20, 3
Lines = list[dict[str, Any]]


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command("books", rich_help_panel=PANEL)(books)


def books(
    topic: Annotated[str, typer.Option("--topic", metavar="T", help="Only this topic.")] = "",
    partition: Annotated[int | None, typer.Option("--partition", metavar="N", help="Only this partition.")] = None,
    first: Annotated[str, typer.Option("--from", metavar="OFFSET|DAY", help="First offset, or day of booking.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="OFFSET|DAY", help="End offset (exclusive), or last day.")] = "",
    by_hour: Annotated[bool, typer.Option("--by-hour", help="By the hour (UTC) in which events happened.")] = False,
    since: Annotated[str, typer.Option("--event-from", metavar="DAY|HOUR", help="Of these: first day or hour.")] = "",
    until: Annotated[str, typer.Option("--event-to", metavar="DAY|HOUR", help="Of these: last day or hour.")] = "",
    gold: Annotated[bool, typer.Option("--gold", help="Of the newest releases: bronze, silver, gold in turn.")] = False,
    format: Annotated[Format, typer.Option("--format", help="Tables, or one array of JSON objects.")] = Format.table,
) -> None:
    """Print the books: received = accepted + duplicate + conflict + refused + erased + canary, by topic and range.

    Conflicts and refused are in quarantine (`quarantined` is both). So are, still, those that `reelhouse quarantine
    replay` has sent again (`replayed`; of them `undone`: taken back): what was sent again is a record of its own, with
    a fate of its own.

    Batches that touch the bounds are shown whole; a day is the UTC day on which a batch was booked. Exit code 3, with
    the line named, when anything does not add up or a range does not follow on. With --by-hour the batches so chosen
    are told by event hour; records that tell no time stand under none. With --event-from and --event-to (2026-11-27 or
    2026-11-27T13, UTC, both inclusive) only those hours. With --gold, instead: what each family's newest release was
    made from, what was left out, and what its tables hold, or why that was not compared.

    Of all that was ever received it also says by producer and epoch which of its numbers came again and which are
    missing; they run over all topics, so not where a topic, a partition or bounds are asked for.

    Example: reelhouse books --topic views --from 2026-11-27
    """
    if gold:
        _refuse_others(topic, partition, first, last, since, until, is_by_hour=by_hour)
        _gold(format)
        return
    from jobs.serve.asked import lake_settings
    from jobs.serve.book_hours import Happened
    from jobs.serve.books import Asked, book_ranges, streams, totals
    from jobs.serve.heartbeats import heartbeats

    settings = lake_settings()
    asked = Asked(topic, partition, first, last)
    if by_hour:
        _by_hour(settings, asked, Happened(since, until), format)
        return
    if since or until:
        raise UsageError("--event-from and --event-to choose among hours; add --by-hour")
    ranges = book_ranges(settings, asked)
    sums, said, beats = totals(ranges), streams(settings, topic), heartbeats(settings, topic)
    if format is Format.json:
        parts = {"range": ranges, "total": sums, "stream": said, "heartbeat": beats}
        _print_json(parts | _of_producers(settings, asked))
    else:
        _print(ranges, sums, said)
        _titled("all read that the broker took before, UTC, by canaries", [_beat(line) for line in beats], BEATS)
        _print_producers(settings, asked)
        _print_verdict(ranges, sums)
    off = [f"{_place(line)}: {line['problem']}" for line in ranges if not line["balanced"]]
    if off:
        raise BooksError(f"{len(off)} lines do not balance: {' | '.join(off)}; see docs/runbooks/books.md")


def _refuse_others(*asked: str | int | None, is_by_hour: bool) -> None:
    """UsageError for what only the ranges of offsets, or their hours, can be asked for."""
    if is_by_hour or any(each not in ("", None) for each in asked):
        raise UsageError("--gold is about releases, which have no offsets and no hours; leave the other options out")


def _gold(format: Format) -> None:
    """Print what the newest releases were made from; BooksError when a line does not add up."""
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows
    from jobs.serve.reconciliations import ROW, newest_reconciliations

    rows = newest_reconciliations(lake_settings())
    if format is Format.json:
        print_rows(rows, ROW, "json")
    elif not rows:
        typer.echo("no release was compared yet")
    else:
        for release in dict.fromkeys(row["release_id"] for row in rows):
            _titled(release, [_reconciled(row) for row in rows if row["release_id"] == release], RECONCILED)
    off = [f"{row['release_id']} {row['table']} {row['day'] or ''}" for row in rows if row["adds_up"] is False]
    if off:
        raise BooksError(f"{len(off)} lines do not add up: {' | '.join(off)}; see docs/runbooks/books.md")


def _reconciled(row: dict[str, Any]) -> dict[str, Any]:
    """A line that fits on a terminal."""
    why = ", ".join(f"{rows} {reason}" for reason, rows in sorted(row["left_out"].items()))
    told = {True: "yes", False: "NO", None: f"not compared: {row['not_compared']}"}[row["adds_up"]]
    return row | {"what": row["equation"], "in": row["rows_in"], "left out": why, "out": row["rows_out"],
                  "ok": told, "day": row["day"] or ""}  # fmt: skip


def _of_producers(settings: Settings, asked: "Asked") -> dict[str, Lines]:
    """What is said of producers' numbers: nothing where only some of the records are asked for."""
    from jobs.serve.sequences import sequences, unnumbered

    if not asked.is_of_all:
        return {}
    return {"sequence": sequences(settings), "unnumbered": unnumbered(settings)}


def _by_hour(settings: Settings, asked: "Asked", happened: "Happened", format: Format) -> None:
    """Print the hours and their sums; BooksError that names the lines of the books to which they do not add up."""
    from jobs.lake.balance import first_of
    from jobs.lake.hours import REMEDY
    from jobs.serve.book_hours import HOUR, book_hours
    from jobs.serve.printing import print_rows

    told = book_hours(settings, asked, happened)
    if format is Format.json:
        rows = [{"part": "hour"} | hour for hour in told.hours] + [{"part": "total"} | sums for sums in told.totals()]
        columns = ("part", *HOUR)
        print_rows([dict.fromkeys(columns) | row for row in rows], columns, "json")
    else:
        _print_hours(told)
    if told.off:
        words = f"{len(told.off)} lines are not what their hours add up to: {first_of(told.off)}"
        raise BooksError(f"{words}; {REMEDY}; see docs/runbooks/books.md")


def _print_hours(told: "ByHour") -> None:
    """The hours, their sums, the reasons, and the verdict."""
    if not told.hours:
        typer.echo(
            "the books have no such hour: --from and --to choose by when batches were booked, --event-from and "
            "--event-to by when events happened"
        )
    hours = [hour | {"part": hour["partition"], "hour": _minute(hour["event_hour"]) or "none"} for hour in told.hours]
    _titled("by event hour, UTC (none: no time can be read, of control, erased, or a canary)", hours, HOURS)
    sums = told.totals()
    _titled("by topic", sums, tuple(name for name in TOTALS if name not in ("lost", "ok")))
    _print_reasons(sums)
    if told.untold_batches:
        typer.echo(f"{told.untold_batches} batches were booked before hours were, and are not among these")
    if told.hours and not told.off:
        typer.echo(f"balanced: {len(told.hours)} hours, {sum(line['received'] for line in sums)} records")


def _print_json(parts: dict[str, Lines]) -> None:
    """One array; `part` tells range, total, stream, heartbeat, sequence and unnumbered apart."""
    from jobs.serve.books import RANGE, STREAM
    from jobs.serve.heartbeats import HEARTBEAT
    from jobs.serve.printing import print_rows
    from jobs.serve.sequences import SEQUENCE

    names = dict.fromkeys(("part", *RANGE, *STREAM, *HEARTBEAT, *SEQUENCE))
    rows = [names | {"part": part} | row for part, found in parts.items() for row in found]
    print_rows(rows, tuple(names), "json")


def _print(ranges: Lines, sums: Lines, said: Lines) -> None:
    """The ranges that hold anything, the sums, the reasons and the streams."""
    if not ranges:
        typer.echo("the books have no such line")
    shown = [line for line in ranges if line["offset_to"] > line["offset_from"] or line["lost"] or not line["balanced"]]
    _titled("by range of offsets (end exclusive)", [_range(line) for line in shown], RANGES)
    _titled("by topic", [line | {"ok": "yes" if line["balanced"] else "NO"} for line in sums], TOTALS)
    _print_reasons(sums)
    again = [_range(line) for line in ranges if line["replayed"]]
    _titled("of the quarantined, sent again since by `reelhouse quarantine replay`", again, AGAIN)
    for line in (each for each in ranges if each["lost"]):
        typer.echo(f"{_place(line)}: {line['lost']} offsets before it were lost unread")
    _titled("complete strictly below, UTC, as the sources say", [_stream(line) for line in said], STREAMS)
    if not said:
        typer.echo("completeness: no source has said how far it is complete")


def _print_producers(settings: Settings, asked: "Asked") -> None:
    """Of each producer's numbers what came, came again and is missing; of many, only where something is."""
    from jobs.lake.ingest.progress import uncounted
    from jobs.lake.ledger import Ledger

    parts = _of_producers(settings, asked)
    if not parts:
        typer.echo("producers' numbers run over all topics: `reelhouse books` without options tells of them")
        return
    found = parts["sequence"]
    lines = [line for line in found if line["lost"] or line["repeated"]] if len(found) > SHOWN_PRODUCERS else found
    _titled("by producer and epoch, over all topics", [_producer(line) for line in lines], PRODUCERS)
    if len(lines) < len(found):
        typer.echo(f"{len(found) - len(lines)} more epochs without loss or repetition: --format json")
    _titled("no number, so loss and repetition are not told", parts["unnumbered"], UNNUMBERED)
    if found:
        repeated, lost = (sum(line[name] for line in found) for name in ("repeated", "lost"))
        bare = min(lost, sum(line["received"] for line in parts["unnumbered"]))
        perhaps = f" (up to {bare} may be among the records without a number)" if bare else ""
        typer.echo(f"producers' numbers: {lost} lost between the first and last received{perhaps}, {repeated} repeated")
    if batches := uncounted(Ledger(settings)):
        typer.echo(
            f"producers' numbers: those of {len(batches)} batches ({batches[0]}–{batches[-1]}) are not counted, and "
            "may be told as lost; `reelhouse repair ops.sequences` counts them"
        )


def _print_verdict(ranges: Lines, sums: Lines) -> None:
    """That everything adds up, if it does."""
    if sums and all(line["balanced"] for line in sums):
        typer.echo(f"balanced: {len(ranges)} ranges, {sum(line['received'] for line in sums)} records")


def _print_reasons(sums: Lines) -> None:
    """Why records of each topic were refused, the commonest first."""
    reasons = [
        {"topic": line["topic"], "reason": reason, "records": n}
        for line in sums
        for reason, n in sorted(line["reasons"].items(), key=lambda each: (-each[1], each[0]))
    ]
    _titled("why conflict or refused (a record counts under each of its reasons)", reasons, REASONS)


def _titled(title: str, rows: Lines, columns: tuple[str, ...]) -> None:
    """A table under its title, if it has rows."""
    from jobs.serve.printing import print_rows

    if rows:
        typer.echo(title)
        told = [name for name in columns if name not in RARE or any(row[name] for row in rows)]
        print_rows(rows, told, "table")


def _range(line: dict[str, Any]) -> dict[str, Any]:
    """A range that fits on a terminal."""
    mark = "" if line["balanced"] else " !"
    return line | {"part": line["partition"], "offsets": f"{line['offset_from']}–{line['offset_to']}{mark}"}


def _producer(line: dict[str, Any]) -> dict[str, Any]:
    """A producer's epoch that fits on a terminal: its first gaps."""
    gaps = [f"{first}" if first == last else f"{first}–{last}" for first, last in line["missing"]]
    more = ["…"] if len(gaps) > SHOWN_GAPS else []
    missing = ", ".join([*gaps[:SHOWN_GAPS], *more])
    return line | {"numbers": f"{line['first_seq']}–{line['last_seq']}", "missing": missing}


def _stream(line: dict[str, Any]) -> dict[str, Any]:
    """A stream that fits on a terminal."""
    until = _minute(line["complete_until"]) + (" (final)" if line["is_final"] else "")
    waits, level = _minute(line["waiting_until"]), _minute(line["topic_complete_until"])
    return line | {"complete until": until, "waits for": waits, "topic until": level}


def _beat(line: dict[str, Any]) -> dict[str, Any]:
    """A topic's heartbeat that fits on a terminal."""
    told, parts = line["with_canary"], line["partitions"]
    until = f"{line['read_until']:%Y-%m-%d %H:%M:%S}" if line["read_until"] else ""
    return line | {"read until": until, "partitions": parts if told == parts else f"{told} of {parts}"}


def _minute(time: Any) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def _place(line: dict[str, Any]) -> str:
    first, last = line["batches"]
    batches = f"batch {first}" if first == last else f"batches {first}–{last}"
    return f"{line['topic']}/{line['partition']} offsets {line['offset_from']}–{line['offset_to']} ({batches})"
