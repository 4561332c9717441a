"""`reelhouse funnel evaluate | check | explain | show | compare`: funnels on a file, in words, and as published."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.printing import Format

if TYPE_CHECKING:
    from jobs.definitions.funnel.model import Definition
    from jobs.serve.event_file import EventFile

PANEL = "Reading"
app = typer.Typer(help="Funnels: try a definition on a file, have it explained, see the published numbers.")


class View(StrEnum):
    """What to look at."""

    subject_best = "subject_best"
    attempts = "attempts"
    subject_period = "subject_period"
    steps = "steps"


File = Annotated[Path, typer.Argument(metavar="DEFINITION.yaml", help="A funnel definition.")]
Events = Annotated[Path, typer.Option("--events", metavar="FILE", help="JSON Lines or Parquet, one event a row.")]
SkipBad = Annotated[bool, typer.Option("--skip-bad", help="Leave out bad lines, and list them.")]
Rows = Annotated[Format, typer.Option("--format", help="A table for people, or an array of JSON objects.")]


def register(parent: typer.Typer) -> None:
    """Add the commands of this group."""
    parent.add_typer(app, name="funnel", rich_help_panel=PANEL)


@app.command()
def evaluate(
    definition: File,
    events: Events,
    view: Annotated[View, typer.Option("--view", help="Best per subject, attempts, per day, or counts.")] = View.steps,
    watermark: Annotated[str, typer.Option("--watermark", metavar="T", help="Complete strictly below T.")] = "",
    skip_bad: SkipBad = False,
    format: Rows = Format.table,
) -> None:
    """Try a definition on a file of events: no server, no Spark.

    Example: reelhouse funnel evaluate schemas/funnels/content_to_purchase.yaml --events events.jsonl --view steps
    """
    from jobs.definitions.funnel.language import read_definition
    from jobs.serve.funnel_on_file import judged_columns, remarks
    from jobs.serve.printing import print_columns

    meant, until = read_definition(definition), _instant(watermark)
    found, settings = _read(meant, events, skip_bad), Settings.from_env()
    judged = judged_columns(meant, definition, found.events, settings.schemas_dir, until, settings.spark_cores)
    from jobs.definitions.funnel.views import view_columns

    print_columns(view_columns(judged, view), format)
    for remark in remarks(judged, found.events):
        typer.echo(remark, err=True)


@app.command()
def check(definition: File) -> None:
    """Say in sentences what a definition means, or what is wrong with it and on which line.

    Example: reelhouse funnel check schemas/funnels/content_to_purchase.yaml
    """
    from jobs.definitions.funnel.checking import check_words
    from jobs.definitions.funnel.language import read_definition
    from jobs.definitions.funnel.sentences import told

    meant = read_definition(definition)
    check_words(meant, str(definition), Settings.from_env().schemas_dir)
    for sentence in told(meant):
        typer.echo(sentence)


@app.command()
def explain(
    definition: File,
    events: Events,
    subject: Annotated[str, typer.Option("--subject", help="Whose events.")],
    skip_bad: SkipBad = False,
    format: Rows = Format.table,
) -> None:
    """Tell event by event why a subject got as far as they did.

    Example: reelhouse funnel explain funnel.yaml --events events.jsonl --subject u1
    """
    from jobs.definitions.funnel.language import read_definition
    from jobs.serve.funnel_on_file import events_of_subject, judged_rows

    meant = read_definition(definition)
    rows = events_of_subject(events, _read(meant, events, skip_bad), subject)
    if not rows:
        raise UsageError(f"{events}: has no event of subject {subject!r}; name one that it has")
    judged = judged_rows(meant, definition, rows, Settings.from_env().schemas_dir)
    from jobs.definitions.funnel.explaining import explained
    from jobs.serve.printing import print_rows

    print_rows(explained(judged, rows), ["time", "event", "event_id", "fits", "told"], format)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A published funnel.")],
    by: Annotated[str, typer.Option("--by", metavar="BREAKDOWN", help="One table per value, such as scene.")] = "total",
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First entry day.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last entry day.")] = "",
    version: Annotated[int, typer.Option("--version", help="Version of the definition; default the newest.")] = 0,
    as_of: Annotated[str, typer.Option("--as-of", metavar="ISO", help="As it was published then.")] = "",
    release: Annotated[str, typer.Option("--release", metavar="RELEASE", help="As it was when that came out.")] = "",
    format: Rows = Format.table,
) -> None:
    """Show a published funnel: a bar per step, its share of the mature attempts, what is open and what was kept.

    Example: reelhouse funnel show content_to_purchase --by scene --from 2026-11-01
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.funnel_board import draw, funnel_rows
    from jobs.serve.instants import asked_moment
    from jobs.serve.printing import print_rows

    settings = lake_settings()
    rows = funnel_rows(settings, name, by, first, last, version, asked_moment(settings, as_of, release))
    if format is Format.json:
        print_rows(rows, list(rows[0]) if rows else [], format)
    else:
        draw(name, rows)


@app.command()
def compare(
    name: Annotated[str, typer.Argument(help="A published funnel.")],
    one: Annotated[int, typer.Argument(help="A version of it.")],
    other: Annotated[int, typer.Argument(help="Another version.")],
    by: Annotated[
        str, typer.Option("--by", metavar="BREAKDOWN", help="Differences by value, such as scene.")
    ] = "total",
    first: Annotated[str, typer.Option("--from", metavar="DAY", help="First entry day.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DAY", help="Last entry day.")] = "",
    most: Annotated[int, typer.Option("--examples", min=0, help="So many people that differ, and why.")] = 5,
    format: Rows = Format.table,
) -> None:
    """Show where two versions of a funnel differ, by day and value, and people over whom they part ways.

    Example: reelhouse funnel compare content_to_purchase 1 2 --by scene
    """
    from jobs.serve import funnel_compare as comparing
    from jobs.serve.asked import lake_settings
    from jobs.serve.printing import print_rows

    settings, asked = lake_settings(), comparing.Comparison(name, one, other, by, first, last)
    comparing.check(settings, asked)
    differing, people = comparing.differences(settings, asked), comparing.examples(settings, asked, most)
    changes = comparing.changes(settings, asked)
    if format is Format.json:
        columns = ("part", *comparing.DIFFERENCES, *(word for word in comparing.EXAMPLES if word != "entry_date"))
        rows: list[dict[str, Any]] = [{"part": "change", "why": line} for line in changes]
        rows += [{"part": "difference"} | row for row in differing] + [{"part": "example"} | row for row in people]
        print_rows([dict.fromkeys(columns) | row for row in rows], columns, format)
        return
    for line in changes:
        typer.echo(f"changed: {line}")
    typer.echo(f"v{one} (one) and v{other} (other): {len(differing)} counts differ")
    print_rows(differing, comparing.DIFFERENCES, format)
    print_rows(people, comparing.EXAMPLES, format)


@app.command()
def prepare() -> None:
    """Compile the kernels now rather than at their first use; done before, it takes a second.

    Example: reelhouse funnel prepare
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from jobs.definitions.events.prepare import compile_kernel
    from jobs.definitions.funnel.prepare import compile_ordered, compile_unordered

    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as beside:  # the compiler uses one core
        others = [beside.submit(compile_one) for compile_one in (compile_kernel, compile_unordered)]
        compile_ordered()
        for other in others:
            other.result()


def _read(meant: Definition, events: Path, skip_bad: bool) -> EventFile:
    """The file's events; what was left out is told on stderr."""
    from jobs.serve.event_file import listed
    from jobs.serve.funnel_on_file import read_for

    found = read_for(meant, events, skip_bad=skip_bad)
    if found.bad:
        typer.echo(f"{len(found.bad)} bad lines left out: {listed(found.bad)}", err=True)
    if found.repeats:
        typer.echo(f"{found.repeats} identical repeats dropped", err=True)
    return found


def _instant(text: str) -> int | None:
    """Epoch microseconds of the option, in either of its forms."""
    from jobs.serve.event_rows import instant

    if not text:
        return None
    value: Any = int(text) if re.fullmatch("-?[0-9]{1,18}", text) else text
    try:
        return instant(value)
    except ValueError as bad:
        raise UsageError(f"--watermark: {str(bad).replace('event_time ', '')}") from bad
