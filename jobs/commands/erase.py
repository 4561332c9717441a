"""`reelhouse erase`: nothing about a person stays; and the proof of it."""

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.lake.ingest.erasing import Asked
    from jobs.lake.ingest.finding import Found

PANEL = "Upkeep"
SHOWN = ("what", "where", "count")
NEXT = """Then, for each of {families}: `reelhouse build`, `check` and `release` (the DAGs do it).
Then `reelhouse upkeep`: old files go once they are seven days old, with --keep-days 0 --despite-readers at once.
Then the same command with --prove: what is left?
Kafka is not ours: ask the owner of `users`, which is compacted, for a tombstone of the id, and erase \
again once it is taken in (docs/erasure.md)."""


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command(rich_help_panel=PANEL)(erase)


def erase(
    user: Annotated[str, typer.Argument(metavar="USER", help="The id as the app sends it, or a pseudonym.")],
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why; it is kept, so it must not name the person.")
    ] = "asked for",
    refuse_later: Annotated[
        bool, typer.Option("--refuse-later", help="Erase what they do from now on as well, for ever.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove", help="Erase nothing; look through every file for the person.")
    ] = False,
    run_id: Annotated[str, typer.Option("--run-id", metavar="NAME", help="Name of the run in the ledger.")] = "",
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Erase a person: from bronze and silver now, from gold by its next builds, from old files by upkeep.

    Of their records the place stays, and the books count them as `erased`.
    Devices that nobody else logged in on go with them.
    Records of before now that are still to come are erased as they come.

    Say it once more for a second request: then all of before that one goes.
    `--prove` ends with exit code 3 while a file that readers or jobs see has them.
    docs/erasure.md says what is not erased.

    Example: reelhouse erase u00000042 --reason "request 17" --dry-run
    """
    from jobs.serve.printing import print_rows, remark

    if prove and (dry_run or refuse_later):
        raise UsageError("--prove erases nothing; write it without --dry-run and --refuse-later")
    settings = Settings.from_env()
    if prove:
        _prove(settings, user, format)
        return
    rows, words = _erased(settings, user, reason, run_id, is_later_refused=refuse_later, dry_run=dry_run)
    if rows or format is Format.json:
        print_rows(rows, SHOWN, format)
    remark(words)


def _erased(
    settings: Settings, user: str, reason: str, run_id: str, *, is_later_refused: bool, dry_run: bool
) -> tuple[list[dict[str, Any]], str]:
    """What went, or would go, as rows in SHOWN, and what to say of it."""
    import getpass

    from jobs.lake.clock import now
    from jobs.lake.ingest.erasing import Asked
    from jobs.lake.ingest.erasing import erase as carry_out
    from jobs.lake.ingest.finding import find
    from jobs.lake.ingest.loop import Ingest
    from jobs.lake.lineage.declared import of_erasure
    from jobs.lake.lineage.telling import tell_of
    from jobs.lake.publications import families
    from jobs.lake.session import open_session

    at = now()
    name = run_id or f"by-hand-{at:%Y%m%dT%H%M%S}"
    ingest = Ingest(settings, name, now, lambda known: open_session(known, "reelhouse erase"))
    if dry_run:
        found = find(ingest.lake(), user)
        return counts(found), f"{absence(found) or 'This would go.'} Nothing was erased: it was a dry run."
    asked = Asked(user, reason, getpass.getuser(), at, is_later_refused)
    moves = of_erasure(settings.schemas_dir)
    found, done = tell_of(ingest.ledger, moves, "erase", name, lambda: carry_out(ingest, asked))
    words = [absence(found), until(asked, done.ingest_seq if done else None)]
    if found.was_erased or not found.is_nothing:
        words.append(NEXT.format(families=", ".join(families(settings.schemas_dir))))
    return counts(found), "\n".join(filter(None, words))


def counts(found: "Found") -> list[dict[str, Any]]:
    """What there is of a person, as rows in SHOWN: devices, records by topic, rows by table."""
    by_topic = Counter[str]()
    for place, n in found.records.items():
        by_topic[place.partition("/")[0]] += n
    told = [("devices", {"theirs alone": found.devices} if found.devices else {})]
    told += [("records", {f"bronze.events: {topic}": n for topic, n in by_topic.items()}), ("rows", dict(found.rows))]
    return [{"what": what, "where": where, "count": n} for what, each in told for where, n in sorted(each.items())]


def absence(found: "Found") -> str:
    """What to say where nothing was found; an id may be mistyped."""
    if not found.is_nothing:
        return ""
    return (
        "Nothing of them is left in the lake." if found.was_erased else "Nobody of that id is in the lake; is it right?"
    )


def until(asked: "Asked", batch: int | None) -> str:
    """Which of their records are erased from now on."""
    before = f"what they did before {asked.at:%Y-%m-%d %H:%M:%S} UTC"
    noted = "That was said before" if batch is None else f"Erased, as batch {batch}"
    return (
        f"{noted}. If more comes of {'them, whatever it is' if asked.is_later_refused else before}, it is erased, too."
    )


def _prove(settings: Settings, user: str, format: Format) -> None:
    """Print where the person is still found; UnerasedError while readers or jobs may see them."""
    from dataclasses import asdict

    from jobs.lake.errors import UnerasedError
    from jobs.serve.printing import print_rows, remark
    from jobs.upkeep.proving import COLUMNS, LIVE, is_all_seen, traces

    found = traces(settings, user)
    if found or format is Format.json:
        print_rows([asdict(trace) for trace in found], COLUMNS, format)
    live = [trace for trace in found if trace.where == LIVE]
    if live:
        places = ", ".join(sorted({f"{trace.table}.{trace.column}" for trace in live}))
        raise UnerasedError(f"the person is still in {places}")
    older = "older ones do, until `reelhouse upkeep` takes them" if found else "nor does an older one"
    if not is_all_seen(settings):
        older = "older ones, which lie in a store, were not looked through: `reelhouse upkeep` takes them"
    remark(f"No file that readers or jobs see has them; {older}.")
