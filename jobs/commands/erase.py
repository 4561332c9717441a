"""`reelhouse erase`: nothing about a person stays; and the proof of it."""

from typing import Annotated, Any

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Upkeep"
SHOWN = ("what", "where", "count")
NEXT = "`reelhouse build`, `check` and `release` each family, then `reelhouse upkeep`; `--prove` tells what is left"


def register(app: typer.Typer) -> None:
    """Add the command of this group."""
    app.command(rich_help_panel=PANEL)(erase)


def erase(
    user: Annotated[str, typer.Argument(metavar="USER", help="The id as the app sends it, or a pseudonym.")],
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; names no person.")] = "asked for",
    refuse_later: Annotated[
        bool, typer.Option("--refuse-later", help="Erase what comes after today as well, for ever.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    prove: Annotated[
        bool, typer.Option("--prove", help="Erase nothing: look through every file for the person.")
    ] = False,
    run_id: Annotated[str, typer.Option("--run-id", help="Name of the run in the ledger.")] = "",
    format: Annotated[Format, typer.Option("--format", help="A table, or an array of JSON objects.")] = Format.table,
) -> None:
    """Erase a person from bronze and silver; the next builds follow in gold, and upkeep removes the old files.

    Records keep their place and batch and lose all else; the books count them as `erased`. With the person go the
    devices that nobody else logged in on. Records of before the erasure that come later are erased as well.

    `--prove` ends with exit code 3 while any file that readers or jobs see holds the id or a pseudonym of it.
    docs/erasure.md says what is not erased.

    Example: reelhouse erase u00000042 --reason "request 17" --dry-run
    """
    from jobs.serve.printing import print_rows

    if prove and dry_run:
        raise UsageError("--prove erases nothing; write it without --dry-run")
    settings = Settings.from_env()
    if prove:
        _prove(settings, user, format)
        return
    rows, words = _erased(settings, user, reason, run_id, is_later_refused=refuse_later, dry_run=dry_run)
    if rows or format is Format.json:
        print_rows(rows, SHOWN, format)
    typer.echo(words, err=True)


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
    from jobs.lake.session import open_session

    at = now()
    name = run_id or f"by-hand-{at:%Y%m%dT%H%M%S}"
    ingest = Ingest(settings, name, now, lambda known: open_session(known, "reelhouse erase"))
    if dry_run:
        found, words = find(ingest.lake(), user), "nothing was erased"
    else:
        asked = Asked(user, reason, getpass.getuser(), at, is_later_refused)
        found, done = carry_out(ingest, asked)
        words = f"erased, as batch {done.ingest_seq}; then {NEXT}" if done else "nothing of them is left to erase"
    counts = [("records", found.records), ("rows", found.rows)]
    return [
        {"what": what, "where": where, "count": n} for what, told in counts for where, n in sorted(told.items())
    ], words


def _prove(settings: Settings, user: str, format: Format) -> None:
    """Print where the person is still found; UnerasedError while readers or jobs may see them."""
    from dataclasses import asdict

    from jobs.lake.errors import UnerasedError
    from jobs.serve.printing import print_rows
    from jobs.upkeep.proving import COLUMNS, LIVE, traces

    found = traces(settings, user)
    if found or format is Format.json:
        print_rows([asdict(trace) for trace in found], COLUMNS, format)
    live = [trace for trace in found if trace.where == LIVE]
    if live:
        places = ", ".join(sorted({f"{trace.table}.{trace.column}" for trace in live}))
        raise UnerasedError(f"the person is still in {places}")
    typer.echo(
        f"no live file holds them; {'older files do, until `reelhouse upkeep`' if found else 'nor does an older one'}",
        err=True,
    )
