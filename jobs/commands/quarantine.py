"""`reelhouse quarantine [show|replay|undo]`: what was refused, why, since when; examples that show nobody; mending."""

import shlex
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format, inert

if TYPE_CHECKING:
    from jobs.lake.lineage.declared import Declared
    from jobs.produce.again import Replay

T = TypeVar("T")

PANEL = "Events in"
REPLAYED = ("replay", "patch", "version", "passing", "sent", "sent_before", "still_wrong", "days")
REPLAYED_SHOWN = tuple(name for name in REPLAYED if name not in ("patch", "version"))  # `replay` has them in its name
MOVES = ("table", "row", "row_is", "measure", "old", "new", "by")
SHOWN_ROWS = 8
UNDONE = ("replay", "topic", "sent", "in_silver", "days", "undone")
DESCRIBED = ("record", "came", "reasons", "remedy", "detail", "twin", "key", "value")
SHOWN = ("reason", "topic", "v", "source", "producer", "first", "last", "records")
app = typer.Typer(
    help="What was refused, why, and since when; `show` gives examples, `replay` mends, `undo` takes back.\n\n"
    "A record counts under each of its reasons.\n\nExample: reelhouse quarantine --reason missing --topic views"
)

Reason = Annotated[str, typer.Option("--reason", metavar="R", help="A reason, with its field or without.")]
Topic = Annotated[str, typer.Option("--topic", metavar="T", help="Only this topic.")]
Rows = Annotated[Format, typer.Option("--format", help="For people, or an array of JSON objects.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="quarantine", rich_help_panel=PANEL)


@app.callback(invoke_without_command=True)
def quarantine(context: typer.Context, reason: Reason = "", topic: Topic = "", format: Rows = Format.table) -> None:
    """Count refused records by reason, topic, contract version, source and producer, first and last arrival (UTC)."""
    if context.invoked_subcommand:
        if reason or topic or format is not Format.table:
            raise UsageError("options stand after the command: write `reelhouse quarantine show --reason R`")
        return
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows
    from jobs.serve.quarantine import OVERVIEW, count, overview

    settings = lake_settings()
    rows = overview(settings, reason, topic)
    if format is Format.json:
        print_rows(rows, OVERVIEW, format)
        return
    if rows:
        print_rows([_short(row) for row in rows], SHOWN, format, pipe_width=80)
    typer.echo(f"{count(settings, reason, topic)} records refused; `reelhouse quarantine show` has examples")


@app.command()
def show(
    reason: Reason = "",
    topic: Topic = "",
    limit: Annotated[int, typer.Option("--limit", min=1, max=100, help="So many, the newest first.")] = 5,
    format: Rows = Format.table,
) -> None:
    """Show refused records: where they lie, why, what to do, and the form of their bytes.

    A broken record may hold a person's id anywhere, so its bytes are never shown as they are: brackets, the contract's
    field names and the values it lists for a field stay; of all else a letter is x, a digit 9, a byte beyond ASCII ?,
    and it is cut at 400 characters. Of the key only the length is told; a source of no kind
    we know is masked.

    Example: reelhouse quarantine show --reason malformed_json --limit 3
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import plain_console, print_line_by_line, print_rows
    from jobs.serve.quarantine import EXAMPLE, examples

    rows = examples(lake_settings(), reason, topic, limit)
    if format is Format.json:
        print_rows(rows, EXAMPLE, format)
        return
    print_line_by_line(plain_console(), DESCRIBED, [_described(row) for row in rows])
    if not rows:
        typer.echo("0 records refused")


@app.command()
def replay(
    reason: Annotated[str, typer.Option("--reason", metavar="R", help="Why they were refused.")],
    patch: Annotated[str, typer.Option("--with", metavar="PATCH", help="A file of infra/patches, without .yaml.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would pass, and its days.")] = False,
    numbers: Annotated[
        bool, typer.Option("--numbers", help="With --dry-run: also which published numbers would change (a minute).")
    ] = False,
    format: Rows = Format.table,
) -> None:
    """Patch refused records and send those that now keep the contract again, as new arrivals under their old ids.

    The next ingest takes them in, books them, and has their days built again. What a patch has sent it does not send
    twice. The records refused at first stay in quarantine; ops.replays says which were sent again.
    `reelhouse quarantine undo` takes a replay back, by the name that is printed.

    `--dry-run --numbers` plays it on a copy of the lake, and tells which published numbers would change by how much.

    Example: reelhouse quarantine replay --reason missing:watch_ms --with watched_ms --dry-run --numbers
    """
    from jobs.lake.clock import now
    from jobs.lake.lineage.declared import of_replay
    from jobs.lake.patches import read_patch
    from jobs.produce.again import send_again, tried
    from jobs.serve.printing import print_rows
    from jobs.serve.quarantine import refuse_unknown_reason

    if numbers and not dry_run:
        raise UsageError("--numbers tells what a replay would change; write it with --dry-run")
    settings = Settings.from_env()
    refuse_unknown_reason(settings, reason)
    found = tried(settings, read_patch(patch, settings.schemas_dir), reason)
    moves = _moves(settings, found) if numbers else None
    sent = 0 if dry_run else _told(settings, of_replay(found.patch.topic), "quarantine replay", found.replay_id,
                                   lambda: send_again(settings, found, now()))  # fmt: skip
    days = {day.isoformat(): n for day, n in sorted(found.days(settings.business_zone).items())}
    row = {"replay": found.replay_id, "patch": found.patch.name, "version": found.patch.version}
    row |= {
        "passing": len(found.passing),
        "sent": sent,
        "sent_before": found.sent_before,
        "still_wrong": dict(found.faults),
        "days": days,
    }
    if format is Format.json:
        print_rows([row if moves is None else row | {"moves": moves}], (*REPLAYED, *["moves"] * numbers), format)
        return
    _print_facts(row, REPLAYED_SHOWN)
    if moves is not None:
        _print_moves(moves)
    elif dry_run and found.passing:
        typer.echo(inert(f"which published numbers would change, and by how much: {_with_numbers(reason, patch)}"))


@app.command()
def undo(
    replay_id: Annotated[str, typer.Argument(metavar="REPLAY", help="As `replay` printed it, and ops.replays has it.")],
    why: Annotated[str, typer.Option("--why", metavar="TEXT", help="What was wrong with it; names no person.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go, and its days.")] = False,
    format: Rows = Format.table,
) -> None:
    """Take a replay back: the next ingest removes from silver what it brought in, and has the days built again.

    The records refused at first are as before it: the same patch, or a better one, may be tried on them. Events that
    came by themselves too, and were repeats of a replayed one, take its place. What the replay sent stays in
    quarantine, for the reason `retracted`; ops.retractions says what was undone, and why.

    Example: reelhouse quarantine undo watched_ms-1.1 --why "seconds were taken for milliseconds" --dry-run
    """
    from jobs.lake.clock import now
    from jobs.lake.lineage.declared import of_undoing
    from jobs.produce.undoing import retract, sent_by
    from jobs.serve.printing import print_rows

    settings = Settings.from_env()
    found = sent_by(settings, replay_id)
    if not dry_run:
        _told(settings, of_undoing(found.topic), "quarantine undo", replay_id,
              lambda: retract(settings, found, why, now()))  # fmt: skip
    days = {day.isoformat(): n for day, n in sorted(found.days.items())}
    row = {"replay": replay_id, "topic": found.topic, "sent": found.sent, "in_silver": found.days.total()}
    row |= {"days": days, "undone": not dry_run}
    if format is Format.json:
        print_rows([row], UNDONE, format)
    else:
        _print_facts(row, UNDONE)


def _told(settings: Settings, moves: "Declared", command: str, run_id: str, work: Callable[[], T]) -> T:
    """Do it between its run events."""
    from jobs.lake.ledger import Ledger
    from jobs.lake.lineage.telling import tell_of

    return tell_of(Ledger(settings), moves, command, run_id, work)


def _moves(settings: Settings, found: "Replay") -> list[dict[str, Any]]:
    """The numbers a replay would change, as rows in MOVES; a spinner tells which step is on."""
    from rich.console import Console

    from jobs.lake.clock import now
    from jobs.lake.session import open_session
    from jobs.produce.foretelling import foretold

    with Console(stderr=True).status("beginning") as status:
        moves = foretold(settings, found, now(), open_session, lambda step: status.update(f"on a copy: {step}"))
    return [{name: getattr(move, name) for name in MOVES} for move in moves]


def _with_numbers(reason: str, patch: str) -> str:
    """The dry run that tells which numbers would change, as a shell takes it."""
    words = ["reelhouse", "quarantine", "replay", "--reason", reason, "--with", patch, "--dry-run", "--numbers"]
    return f"`{shlex.join(words)}`"


def _print_facts(row: dict[str, Any], names: Sequence[str]) -> None:
    """One row for people, a line for each of its columns; what is counted by something stands side by side."""
    for name in names:
        value = row[name]
        counts = ", ".join(f"{key} {n:,}" for key, n in value.items()) if isinstance(value, dict) else value
        typer.echo(inert(f"{name.replace('_', ' '):12} {counts if counts != '' else 'none'}"))


def _print_moves(moves: list[dict[str, Any]]) -> None:
    """The rows with the greatest changes for people, a line and its numbers each; whole days before breakdowns."""
    from jobs.produce.foretelling import CHANGED

    by_row: dict[tuple[str, str], list[str]] = {}
    fates: dict[tuple[str, str], str] = {}
    for move in sorted(moves, key=lambda move: "breakdown" in move["row"] and move["row"]["breakdown"] != "total"):
        keys = " ".join(f"{name}={value}" for name, value in move["row"].items())
        was, now = ("nothing" if value is None else f"{value:,}" for value in (move["old"], move["new"]))
        by_row.setdefault((move["table"], keys), []).append(f"{move['measure']} {was} → {now} ({move['by']:+,})")
        fates[move["table"], keys] = move["row_is"]
    for (table, keys), numbers in list(by_row.items())[:SHOWN_ROWS]:
        fate = fates[table, keys]
        typer.echo(inert(f"\n{table} {keys}{'' if fate == CHANGED else f': row {fate}'}"))
        for number in numbers:
            typer.echo(f"  {number}")
    more = len(by_row) - SHOWN_ROWS
    rest = f"; {more} more rows with --format json" if more > 0 else ""
    typer.echo(f"\n{len(moves)} published numbers of {len(by_row)} rows would change{rest}")
    whole = Counter(fate for fate in fates.values() if fate != CHANGED)
    if whole:
        typer.echo("rows that would be " + ", ".join(f"{fate}: {n}" for fate, n in sorted(whole.items())))


def _short(row: dict[str, Any]) -> dict[str, Any]:
    """A row that fits on a narrow terminal: days without their hours, a reason that may break before its field."""
    days = {name: f"{row[f'{name}_seen']:%m-%d}" for name in ("first", "last")}
    reason = row["reason"].replace(":", ": ", 1)
    return (
        row
        | days
        | {
            "reason": reason,
            "v": row["contract_version"],
            "source": _plain(row["source"]),
            "producer": _plain(row["producer"]),
        }
    )


def _described(row: dict[str, Any]) -> list[str]:
    """One record in the words of DESCRIBED; what is not told is empty."""
    twin = row["twin"]
    size = "null, or no longer in bronze" if row["value_bytes"] is None else f"{row['value_bytes']} bytes"
    version = "?" if row["contract_version"] is None else row["contract_version"]
    return [
        f"{row['topic']}/{row['partition']} offset {row['offset']}, {row['kafka_time']:%Y-%m-%d %H:%M:%S} UTC",
        f"batch {row['ingest_seq']}, v{version}, source {_plain(row['source']) or '?'}, {_sender(row)}",
        ", ".join(row["reasons"]),
        "\n".join(row["remedies"]),
        _plain(row["detail"]),
        f"{row['topic']}/{twin['partition']} offset {twin['offset']}" if twin else "",
        f"{'none' if row['key_bytes'] is None else str(row['key_bytes']) + ' bytes'}; value {size}",
        row["value_masked"] or "",
    ]


def _sender(row: dict[str, Any]) -> str:
    """Who sent a record and under which number, in words."""
    if row["producer"] is None:
        return "producer ?"
    return f"producer {_plain(row['producer'])} epoch {row['producer_epoch']} number {row['producer_seq']}"


def _plain(text: str | None) -> str:
    """A text without what a terminal would obey."""
    return "".join(each if each.isprintable() else "?" for each in text or "")
