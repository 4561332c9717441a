"""A funnel on an analyst's file, without server or Spark: the events read, judged and ready to be looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobs.definitions import compiled
from jobs.definitions.funnel.columns import EventColumns
from jobs.definitions.funnel.on_file import Row, as_columns, asked_of, events_of
from jobs.serve.event_file import EventFile, read_event_file, rows_of

if TYPE_CHECKING:
    from jobs.definitions.funnel.model import Definition
    from jobs.definitions.funnel.views import Judged

FEW_EVENTS = 3_000  # up to here plain Python is faster than loading the compiler
MOST_NAMED = 10


def read_for(definition: Definition, events: Path, *, skip_bad: bool) -> EventFile:
    """The file's events with what the definition asks about; errors as `read_event_file`."""
    return read_event_file(events, asked_of(definition), skip_bad=skip_bad)


def events_of_subject(events: Path, found: EventFile, subject: str) -> list[Row]:
    """The events of one subject, be it a number or a text; none where the file has none."""
    told = found.events
    mine = [code for code, known in enumerate(told.subjects) if str(known) == subject]
    return rows_of(events, told.line[np.isin(told.subject, mine)])


def judged_rows(definition: Definition, file: Path, rows: Sequence[Row], schemas_dir: Path) -> Judged:
    """Some events judged; errors as `judged_columns`."""
    return judged_columns(definition, file, as_columns(rows, asked_of(definition)), schemas_dir)


def judged_columns(
    definition: Definition,
    file: Path,
    told: EventColumns,
    schemas_dir: Path,
    watermark: int | None = None,
    threads: int = 1,
) -> Judged:
    """Events judged, `watermark` epoch µs; DefinitionError for words that neither the file nor a contract knows."""
    compiled.is_plain = told.line.size <= FEW_EVENTS
    from jobs.definitions.funnel.in_threads import judge_in_threads
    from jobs.definitions.funnel.views import Judged

    arrays = events_of(definition, str(file), told, schemas_dir)
    entries, attempts = judge_in_threads(definition, arrays, threads)
    shown = (told.subjects, told.event_id, told.time, arrays.mask, watermark, arrays.xmask)
    return Judged(definition, entries, attempts, *shown)


def remarks(judged: Judged, told: EventColumns) -> Iterator[str]:
    """What the numbers do not show: entries that open nothing (rule 16), and why a file has none at all."""
    definition, nulls = judged.definition, judged.entries.nulls.size
    steps = definition.steps if definition.mode == "unordered" else definition.steps[:1]
    openers = [name for step in steps for name in step.events]
    if nulls:
        yield f"{nulls} entries open nothing, for want of {' or '.join(definition.hold)} (hold)"
    elif told.names and not {*openers} & {*told.names}:
        more = ", …" if len(told.names) > MOST_NAMED else ""
        yield f"no event is called {' or '.join(openers)}; the file has {', '.join(told.names[:MOST_NAMED])}{more}"
