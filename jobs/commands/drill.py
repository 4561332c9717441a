"""`reelhouse drill`: pull a plug on purpose, on a lake made for it, and see what is left."""

from typing import Annotated, Any

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

PANEL = "Upkeep"
LISTED = ("drill", "hazards", "story")
BOOKED = ("topic", "received", "accepted", "duplicate", "quarantined", "conflict", "lost", "balanced")
RESULT = ("drill", "is_passed", "seconds", "done", "findings", "books", "kept")
DRAWN = ("seed", "schedule", "family", "code", "commit", "played_at", "is_passed", "is_judged", "seconds", "sent",
         "lost", "doubled", "unaccounted", "drawn", "happened", "missed", "unmet", "smallest")  # fmt: skip
FAULTS, MISSED = ("fault", "drawn", "happened"), ("fault", "missed", "happened")
COMPARED = ("what", "contender", "sent", "lost", "doubled", "wrong", "unaccounted", "waiting", "stopped")
app = typer.Typer(no_args_is_help=True, help="Faults on purpose on a scratch lake: what was expected, what was found.")

Rows = Annotated[Format, typer.Option("--format", help="For people, or an array of JSON objects.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="drill", rich_help_panel=PANEL)


@app.command("list")
def list_drills(format: Rows = Format.table) -> None:
    """Name the drills, the hazards each is about (docs/reliability.md), and what happens.

    Example: reelhouse drill list --format json
    """
    from jobs.drills.catalogue import DRILLS
    from jobs.serve.printing import print_rows

    rows = [{"drill": each.name, "hazards": each.hazards, "story": each.story} for each in DRILLS.values()]
    print_rows(rows, LISTED, format)


@app.command()
def run(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Which; `drill list` names them.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, one after the other.")] = False,
    format: Rows = Format.table,
) -> None:
    """Play drills on a lake and a broker of their own under REELHOUSE_HOME/drills; exit code 1 when one fails.

    Yours are not touched. What a failed drill leaves stays there for a look. One takes a minute; those of gold
    and of Airflow some more.

    Example: reelhouse drill run kill-after-write
    """
    from jobs.drills.catalogue import chosen, play_all
    from jobs.serve.printing import print_rows

    if bool(names) == every:
        raise UsageError("name the drills to run, or write --all; `reelhouse drill list` has their names")
    told = (lambda words: typer.echo(words, err=True)) if format is Format.json else typer.echo
    drills, results = chosen(names or []), []
    try:
        for result in play_all(drills, Settings.from_env().home / "drills", told):
            results.append(result)
            if format is Format.table:
                _close(result)
    finally:  # also of those that were played before something ended the run
        if format is Format.json:
            print_rows(results, RESULT, format)
    failed = [result["drill"] for result in results if not result["is_passed"]]
    if failed:
        typer.echo(f"failed: {', '.join(failed)}; see docs/reliability.md", err=True)
        raise typer.Exit(1)


@app.command("random")
def play_random(
    seed: Annotated[int, typer.Option("--seed", min=0, help="The first seed.")] = 1,
    runs: Annotated[int, typer.Option("--runs", min=1, help="How many seeds, from the first on.")] = 10,
    steps: Annotated[str, typer.Option("--steps", metavar="STEPS", help="These steps in place of drawn ones.")] = "",
    family: Annotated[
        str, typer.Option("--family", help="What `--steps` publish: sessions, funnels or profiles.")
    ] = "sessions",
    of_any_code: Annotated[
        bool, typer.Option("--of-any-code", help="Count what passed with other code, too, in place of playing it.")
    ] = False,
    format: Rows = Format.table,
) -> None:
    """Play schedules of faults that are drawn from seeds; exit code 1 when one fails.

    Seeds that passed before, with the code as it is now, are not played again (REELHOUSE_HOME/drills/random.jsonl).
    A fault counts once it came to pass: points that no run passed are listed. Where something breaks before there is
    a verdict, records are not counted. A schedule that fails is shrunk to the fewest steps that do, and the command
    that plays them is printed. One takes some seconds to a minute, those of funnels and profiles longer.

    Example: reelhouse drill random --seed 1 --runs 20
    """
    from jobs.drills.chance.campaign import play_seeds, play_steps
    from jobs.drills.chance.schedule import parse
    from jobs.serve.printing import print_rows

    def told(words: str) -> None:
        typer.echo(words, err=format is Format.json)

    home, results = Settings.from_env().home / "drills", []
    if steps:
        results.append(play_steps(home, parse(steps, family), told))
    else:
        results += play_seeds(home, range(seed, seed + runs), told, of_any_code=of_any_code)
    if format is Format.json:
        print_rows(results, DRAWN, format)
    else:
        _add_up(results)
    failed, judged = (
        [each for each in results if not each["is_passed"]],
        [each for each in results if each["is_judged"]],
    )
    if failed:
        off = f"{len(failed)} of {len(results)} schedules, {len(results) - len(judged)} of them not judged"
        typer.echo(f"failed: {off}; see docs/reliability.md", err=True)
        raise typer.Exit(1)


@app.command()
def compare(
    write: Annotated[bool, typer.Option("--write", help="Put the table into docs/reliability.md too.")] = False,
    format: Rows = Format.table,
) -> None:
    """Play the same records and faults to a plain Spark sink, a Python consumer and our ingest: who loses what.

    Topics lie in files, no broker is needed; it takes some minutes. Exit code 1 when ours lost, doubled, mistook or
    left out a record.

    Example: reelhouse drill compare --write
    """
    from jobs.drills.beside.page import written
    from jobs.drills.beside.playing import are_ours_clean, play_all
    from jobs.lake.clock import now
    from jobs.serve.printing import print_rows

    rows = play_all(Settings.from_env().home / "drills", lambda words: typer.echo(words, err=True))
    print_rows(rows, COMPARED, format)
    if write:
        written(rows, now().date())
    if not are_ours_clean(rows):
        typer.echo("failed: our ingest is not clean; see docs/reliability.md", err=True)
        raise typer.Exit(1)


def _add_up(results: list[dict[str, Any]]) -> None:
    """The faults that happened, those that came to nothing, and the sums over all schedules."""
    from jobs.drills.chance.sums import SUMS, added_up, faults, missed
    from jobs.serve.printing import print_rows

    print_rows(faults(results), FAULTS, "table")
    nothing = missed(results)
    if nothing:
        typer.echo("came to nothing: no run passed the point, or nothing was there to hurt (happened: in other runs)")
        print_rows(nothing, MISSED, "table")
    print_rows([added_up(results)], SUMS, "table")


def _close(result: dict[str, Any]) -> None:
    """The books and the verdict of one drill."""
    from jobs.serve.printing import print_rows

    if result["books"]:
        print_rows(result["books"], BOOKED, "table")
    verdict = "passed" if result["is_passed"] else f"FAILED; its lake stays at {result['kept']}"
    typer.echo(f"{result['drill']}: {verdict} ({result['seconds']:.0f} s)\n")
