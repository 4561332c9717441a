"""JSON Lines as columns, many lines at a time; lines that are not plainly right are read one by one."""

from __future__ import annotations

from codecs import BOM_UTF8
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.funnel.columns import ENVELOPE, Asked, EventColumns
from jobs.definitions.funnel.gathering import Gatherer
from jobs.definitions.funnel.judged import Ints
from jobs.definitions.funnel.on_file import Row, gather
from jobs.serve.event_rows import FURTHEST_US, BadLines, good_and_bad

BYTES_AT_ONCE = 1 << 18  # some thousand rows, which stay in the processor's cache while they become columns
# ISO 8601 as programs write it, read alike by Arrow and Python; other ways to write an instant are read one by one.
PLAIN_INSTANT = r"^[12]\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3}|\.\d{6})?(Z|[+-][01]\d:[0-5]\d)$"


def json_columns(path: Path, asked: Asked, *, skip_bad: bool) -> tuple[EventColumns, BadLines]:
    """The events of a file, and its bad lines; without `skip_bad` only what stands before the first bad one."""
    gathered, bad = Gatherer(asked), BadLines()
    for first, lines in _pieces(path):
        if _add_plain(gathered, asked, first, lines):
            continue
        rows, wrong = good_and_bad(_parsed(enumerate(lines, first)), skip_bad=skip_bad)
        gather(gathered, rows, asked)
        bad += wrong
        if bad and not skip_bad:
            break
    return gathered.done(), bad


def json_rows(path: Path, wanted: Collection[int]) -> dict[int, Row]:
    """The events of some lines that are known to be right."""
    some = ((line, text) for first, lines in _pieces(path) for line, text in enumerate(lines, first) if line in wanted)
    rows, _ = good_and_bad(_parsed(some), skip_bad=True)
    return {row.line: row for row in rows}


def _pieces(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Some lines at a time, with the number of the first."""
    first = 1
    with path.open("rb") as file:
        while lines := file.readlines(BYTES_AT_ONCE):
            if first == 1:
                lines[0] = lines[0].removeprefix(BOM_UTF8)  # as some editors begin a file
            yield first, lines
            first += len(lines)


def _parsed(lines: Iterable[tuple[int, bytes]]) -> Iterator[tuple[int, Any]]:
    """Each line's value, or the error that reading it gave."""
    for line, text in lines:
        if not text.strip():
            continue
        try:
            yield line, orjson.loads(text)
        except orjson.JSONDecodeError as bad:
            yield line, bad


def _add_plain(gathered: Gatherer, asked: Asked, first: int, lines: list[bytes]) -> bool:
    """Append lines of which every one is an event, its values of the usual types; False when some may not be."""
    try:
        rows = [*map(orjson.loads, lines)]
        subjects, times, ids, events = ([row[name] for row in rows] for name in ENVELOPE)
    except (ValueError, KeyError, TypeError):
        return False
    are_named = _types(subjects) <= {str, int} and _types(ids) <= {str, int} and _types(events) == {str}
    instants = _instants(times)
    if not are_named or "" in subjects or "" in ids or "" in events or instants is None:
        return False
    numbers = np.arange(first, first + len(lines))
    texts = ids if _types(ids) == {str} else [*map(str, ids)]
    gathered.add(numbers, subjects, instants, pa.array(texts, pa.string()), events)
    for name in asked.names:
        values = [None] * len(rows) if name in ENVELOPE else [row.get(name) for row in rows]
        gathered.add_property(name, values, numbers)
    gathered.given.update(*rows)
    return True


def _types(values: list[Any]) -> set[type]:
    return {*map(type, values)}


def _instants(times: list[Any]) -> Ints | None:
    """Epoch microseconds, or None when some of these is not plainly a time."""
    if _types(times) == {int}:
        return np.array(times, np.int64) if min(times) >= -FURTHEST_US and max(times) <= FURTHEST_US else None
    if _types(times) != {str}:
        return None
    texts = pa.array(times, pa.string())
    if not pc.all(pc.match_substring_regex(texts, PLAIN_INSTANT)).as_py():
        return None
    try:
        return texts.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()  # type: ignore[no-any-return]
    except pa.ArrowInvalid:
        return None
