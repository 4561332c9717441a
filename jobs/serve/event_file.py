"""An analyst's file of events as columns, JSON Lines or Parquet: a line is read, or named with what is wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.funnel.columns import Asked, EventColumns
from jobs.definitions.funnel.judged import Ints
from jobs.definitions.funnel.on_file import Row
from jobs.lake.errors import UsageError
from jobs.serve.event_json import json_columns, json_rows
from jobs.serve.event_parquet import parquet_columns, parquet_rows
from jobs.serve.event_rows import BadLines

MOST_LISTED = 5
PARQUET = b"PAR1"


@dataclass(frozen=True)
class EventFile:
    """The events of a file, identical repeats dropped, and the lines that are no events with the reason."""

    events: EventColumns
    bad: BadLines
    repeats: int = 0


def read_event_file(path: Path, asked: Asked, *, skip_bad: bool) -> EventFile:
    """Read a file with the properties asked for.

    UsageError for the first bad line unless `skip_bad`, and always for one id with two contents.
    """
    if not path.is_file():
        raise UsageError(f"{path}: is no file; name a JSON Lines (.jsonl) or Parquet (.parquet) file of events")
    try:
        columns_of = parquet_columns if _is_parquet(path) else json_columns
        events, bad = columns_of(path, asked, skip_bad=skip_bad)
        repeats = _repeats(path, events)
    except (OSError, pa.ArrowException) as wrong:
        problem = " ".join(str(wrong).split())
        raise UsageError(f"{path}: cannot be read ({problem}); name a file that is whole and may be read") from wrong
    if bad and not skip_bad:
        line, reason = bad[0]
        raise UsageError(f"{path}:{line}: {reason}; mend the line, or leave such lines out with --skip-bad")
    return EventFile(events.without(repeats), bad, len(repeats))


def rows_of(path: Path, lines: Ints) -> list[Row]:
    """The events of some lines that were read before, in the order of the file."""
    rows = (parquet_rows if _is_parquet(path) else json_rows)(path, {*map(int, lines)})
    return [rows[line] for line in sorted(rows)]


def _is_parquet(path: Path) -> bool:
    """Whether a file says so by its name, or by how it begins."""
    if path.suffix.lower() == ".parquet":
        return True
    with path.open("rb") as file:
        return file.read(len(PARQUET)) == PARQUET


def _repeats(path: Path, events: EventColumns) -> Ints:
    """The events (their places) that repeat an earlier one (rule 21); UsageError for one id with two contents."""
    if _are_all_new(events.event_id):
        return np.empty(0, np.int64)
    first = _first_of_id(events.event_id)
    again = np.flatnonzero(first != np.arange(first.size))
    twins = {row.line: row for row in rows_of(path, events.line[np.union1d(again, first[again])])}
    for place in again:
        _refuse_another_content(path, twins, int(events.line[place]), int(events.line[first[place]]))
    return again


def _are_all_new(ids: pa.ChunkedArray) -> bool:
    """Whether no id comes twice; numbers that grow tell it at a glance."""
    if pa.types.is_integer(ids.type):
        numbers = ids.to_numpy()
        if (numbers[1:] > numbers[:-1]).all():
            return True
    return bool(pc.count_distinct(ids).as_py() == len(ids))


def _first_of_id(ids: pa.ChunkedArray) -> Ints:
    """For each event the place of the first with its id."""
    encoded = ids.dictionary_encode().unify_dictionaries()
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in encoded.chunks])
    firsts: Ints = np.unique(codes, return_index=True)[1][codes]
    return firsts


def _refuse_another_content(path: Path, rows: Mapping[int, Row], line: int, twin: int) -> None:
    if _content(rows[twin]) != _content(rows[line]):
        raise UsageError(
            f"{path}:{line}: event_id {rows[line].event_id!r} stands on line {twin} with another content; "
            "one id is one event: give it an id of its own"
        )


def _content(event: Row) -> tuple[Any, ...]:
    """What makes two events the same; JSON text keeps 1, 1.0 and true apart."""
    told = json.dumps([event.subject, event.properties], sort_keys=True, default=str)
    return event.time, event.event, told


def listed(bad: BadLines) -> str:
    """The first bad lines in a sentence."""
    told = "; ".join(f"line {line}: {reason}" for line, reason in bad[:MOST_LISTED])
    return told + (f"; and {len(bad) - MOST_LISTED} more" if len(bad) > MOST_LISTED else "")
