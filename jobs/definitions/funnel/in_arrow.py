"""The kernel between Spark and the tables: Arrow batches of events by user in, attempts out (for `mapInArrow`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from jobs.definitions.funnel.acts import Acts, acts_after
from jobs.definitions.funnel.calendar import local_days
from jobs.definitions.funnel.engine import judge
from jobs.definitions.funnel.in_spark import IN_SCOPE, IS_OPENING, event_breakdowns
from jobs.definitions.funnel.judged import Attempts, Entries, Events
from jobs.definitions.funnel.model import Definition
from jobs.definitions.workers import settle

Ints = NDArray[np.int64]
EVENTS_AT_ONCE = 400_000  # a worker holds this many and one user's more; about 100 bytes each
MOST_A_DAY = 20_000  # events of one user on one local day; above it nobody looks at a screen
PARTS = ("steps", "exclusions", "flags")  # of a definition's columns, those that are bits
NO_HOLD_KEY, TOO_MANY_EVENTS = "no_hold_key", "too_many_events"
FIELDS = {
    "definition": pa.int32(), "user_id": pa.string(), "hold_key": pa.string(),
    "entry_event_id": pa.string(), "entry_at": pa.int64(), "entry_day": pa.int32(),
    "deliberation_event_id": pa.string(), "deliberation_at": pa.int64(), "deliberation_day": pa.int32(),
    "entry_count": pa.int64(), "attempt_count": pa.int64(), "reached": pa.int64(),
    "step_event_ids": pa.list_(pa.string()), "step_times": pa.list_(pa.int64()),
    "is_converted": pa.bool_(), "converted_at": pa.int64(), "conversion_day": pa.int32(),
    "decision_us": pa.int64(), "deliberation_us": pa.int64(), "is_excluded": pa.bool_(),
    "reversed_at": pa.int64(), "matures_at": pa.int64(), "set_aside": pa.string(),
    "acts_after": pa.list_(pa.list_(pa.string())),
}  # fmt: skip


def outcome_schema(definitions: Sequence[Definition]) -> pa.Schema:
    """The columns of what comes out: times in epoch µs, days since 1970, a column by_<name> per event breakdown."""
    named = [(f"by_{name}", pa.string()) for name in event_breakdowns(definitions)]
    return pa.schema([*FIELDS.items(), *named])


@dataclass(frozen=True)
class Judging:
    """All definitions over batches of events sorted by user; a plain value that Spark sends to its workers."""

    definitions: tuple[Definition, ...]
    acts: tuple[str, ...] = ()
    most_a_day: int = MOST_A_DAY

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """The attempts of every definition over one partition."""
        schema = outcome_schema(self.definitions)
        for some in whole_users(batches):
            users = some.append_column("subject", pa.array(_codes(some["user_id"])))
            acts = Acts.of(_numbers(users["subject"]), _numbers(users["at"]), _numbers(users["act"]), self.acts)
            for number, definition in enumerate(self.definitions):
                for table in self.outcomes(number, definition, users, acts):
                    yield from table.select(schema.names).cast(schema).to_batches()
        settle("judging")

    def outcomes(self, number: int, definition: Definition, users: pa.Table, acts: Acts) -> Iterator[pa.Table]:
        """The attempts of one definition, and what was set aside, of whole users."""
        asked = [pc.not_equal(users[name], 0) for name in _asked(users, number)]
        mine = users.filter(reduce(pc.or_, asked)).combine_chunks()
        if mine.num_rows:
            mine, too_many = _within_reason(mine, definition, self.most_a_day)
            yield from _aside(too_many, TOO_MANY_EVENTS, number, self.definitions)
        if mine.num_rows:
            events = _events(mine, number)
            entries, attempts = judge(definition, events)
            yield _attempt_rows(definition, number, mine, entries, attempts, self.definitions, acts)
            nulls = _user_days(mine.take(entries.nulls), definition)
            yield from _aside(nulls, NO_HOLD_KEY, number, self.definitions)


def whole_users(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Cut the stream into tables that hold every event of each of their users."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(part.num_rows for part in waiting) < EVENTS_AT_ONCE:
            continue
        table = pa.Table.from_batches(waiting)
        names = table["user_id"].combine_chunks()
        last = pc.index(names, names[-1]).as_py()  # sorted by user: the first row of the last one, who may go on
        if last:
            yield table.slice(0, last)
        waiting = table.slice(last).combine_chunks().to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting)


def _asked(users: pa.Table, number: int) -> list[str]:
    """The columns that say whether an event matters to a definition; only `steps` is always there."""
    return [name for part in PARTS if (name := f"{part}_{number}") in users.column_names]


def _codes(column: pa.ChunkedArray | pa.Array) -> Ints:
    """A number per distinct value, nulls -1."""
    one = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    encoded = one.dictionary_encode()
    indices = encoded.chunk(0).indices if isinstance(encoded, pa.ChunkedArray) else encoded.indices
    return np.array(pc.fill_null(indices, -1).to_numpy(zero_copy_only=False), np.int64)


def _numbers(column: pa.ChunkedArray) -> Ints:
    return np.array(column.to_numpy(), np.int64)


def _events(mine: pa.Table, number: int) -> Events:
    """One definition's view of the events."""
    nothing = np.zeros(mine.num_rows, np.int64)
    _, xmask, flags = (
        _numbers(mine[f"{p}_{number}"]) if f"{p}_{number}" in mine.column_names else nothing for p in PARTS
    )
    hold = mine[f"hold_{number}"] if f"hold_{number}" in mine.column_names else None
    has_objects = mine["object"].null_count < mine.num_rows
    return Events(
        subject=_numbers(mine["subject"]),
        time=_numbers(mine["at"]),
        event_id=_flat(mine["event_id"]),
        mask=_numbers(mine[f"steps_{number}"]),
        xmask=xmask,
        in_scope=(flags & IN_SCOPE).astype(np.bool_),
        is_opening=(flags & IS_OPENING).astype(np.bool_),
        hold=None if hold is None else _codes(hold),
        object_key=_codes(mine["object"]) if has_objects else None,
    )


def _flat(column: pa.ChunkedArray) -> pa.Array:
    """One array of a table's column."""
    flat = column.combine_chunks()
    return flat.chunk(0) if isinstance(flat, pa.ChunkedArray) else flat


def _within_reason(mine: pa.Table, definition: Definition, most: int) -> tuple[pa.Table, pa.Table]:
    """Leave out the user-days with more than `most` events, and name them."""
    days = mine.append_column("day", pa.array(local_days(_numbers(mine["at"]), definition.zone)[0]))
    counts = days.group_by(["user_id", "day"]).aggregate([("at", "count")])
    too_many = counts.filter(pc.greater(counts["at_count"], most))
    if too_many.num_rows == 0:
        return mine, too_many
    kept = days.join(too_many, keys=["user_id", "day"], join_type="left anti").drop_columns(["day"])
    return kept.sort_by([("user_id", "ascending"), ("at", "ascending")]).combine_chunks(), too_many


def _user_days(rows: pa.Table, definition: Definition) -> pa.Table:
    """Rows counted by user and local day."""
    days = rows.append_column("day", pa.array(local_days(_numbers(rows["at"]), definition.zone)[0]))
    return days.group_by(["user_id", "day"]).aggregate([("at", "count")])


def _aside(counted: pa.Table, reason: str, number: int, definitions: Sequence[Definition]) -> Iterator[pa.Table]:
    """Rows for what no attempt was made of: `attempt_count` says how many events, `reached` is 0."""
    size = counted.num_rows
    if size == 0:
        return
    schema = outcome_schema(definitions)
    known: dict[str, Any] = {
        "definition": pa.array(np.full(size, number)),
        "user_id": counted["user_id"],
        "entry_day": counted["day"],
        "attempt_count": counted["at_count"],
        "reached": pa.array(np.zeros(size, np.int64)),
        "set_aside": pa.array([reason] * size),
    }
    yield pa.table({field.name: known.get(field.name, pa.nulls(size, field.type)) for field in schema})


def _attempt_rows(
    definition: Definition, number: int, mine: pa.Table, entries: Entries, attempts: Attempts,
    definitions: Sequence[Definition], acts: Acts,
) -> pa.Table:  # fmt: skip
    """One row per attempt."""
    identity, steps, first = attempts.identity, attempts.steps, attempts.first
    size, ids, times = identity.size, _flat(mine["event_id"]), _numbers(mine["at"])
    converted = entries.is_converted[identity]
    entry_at, deliberation_at, got_at = entries.time[identity], entries.time[first], entries.got_at[identity]
    lasting = entries.chain[identity, len(definition.steps) - 1]
    days = {name: local_days(at, definition.zone)[0] for name, at in
            (("entry", entry_at), ("deliberation", deliberation_at), ("conversion", got_at))}  # fmt: skip
    has_hold, row = f"hold_{number}" in mine.column_names, entries.row[identity]
    columns = {
        "definition": pa.array(np.full(size, number)),
        "user_id": _flat(mine["user_id"]).take(row),
        "hold_key": _flat(mine[f"hold_{number}"]).take(row) if has_hold else pa.nulls(size, pa.string()),
        "entry_event_id": ids.take(row),
        "entry_at": pa.array(entry_at),
        "entry_day": pa.array(days["entry"]),
        "deliberation_event_id": ids.take(entries.row[first]),
        "deliberation_at": pa.array(deliberation_at),
        "deliberation_day": pa.array(days["deliberation"]),
        "entry_count": pa.array(attempts.size),
        "attempt_count": pa.array(np.ones(size, np.int64)),
        "reached": pa.array(entries.reached[steps]),
        **_step_lists(entries.chain[steps], ids, times),
        "is_converted": pa.array(converted),
        "converted_at": pa.array(got_at, mask=~converted),
        "conversion_day": pa.array(days["conversion"], mask=~converted),
        "decision_us": pa.array(got_at - entry_at, mask=~converted),
        "deliberation_us": pa.array(got_at - deliberation_at, mask=~converted),
        "is_excluded": pa.array(entries.is_excluded[steps]),
        "reversed_at": _reversed(mine, lasting, converted, got_at),
        "matures_at": pa.array(entries.deadline[attempts.last]),
        "set_aside": pa.nulls(size, pa.string()),
        "acts_after": acts_after(definition, entries, attempts, _numbers(mine["subject"]), times, acts),
    }
    read_at = _read_at(definition, entries, steps)
    by = {f"by_{name}": _taken(mine[f"by_{name}"], read_at) for name in event_breakdowns(definitions)}
    return pa.table(columns | by)


def _step_lists(chains: Ints, ids: pa.Array, times: Ints) -> dict[str, pa.Array]:
    """Event ids and times up to the furthest filled step, null where one was skipped."""
    filled = chains >= 0
    width = chains.shape[1]
    lengths = np.where(filled.any(axis=1), width - np.argmax(filled[:, ::-1], axis=1), 0)
    inside = np.arange(width)[None, :] < lengths[:, None]
    flat = chains[inside]
    places = pa.array(flat, mask=flat < 0)
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
    return {
        "step_event_ids": pa.ListArray.from_arrays(offsets, ids.take(places)),
        "step_times": pa.ListArray.from_arrays(offsets, pa.array(times).take(places)),
    }


def _reversed(mine: pa.Table, lasting: Ints, converted: NDArray[np.bool_], got_at: Ints) -> pa.Array:
    """When the conversion's order was undone; nothing undoes an order before it is one."""
    at = _flat(mine["reversed_at"]).take(pa.array(lasting, mask=~converted))
    return pc.if_else(pc.greater_equal(at, pa.array(got_at)), at, None)


def _read_at(definition: Definition, entries: Entries, steps: Ints) -> Ints:
    """The event whose properties the breakdowns are; -1 where the chain has no such step."""
    where = definition.breakdown_at
    if where in ("entry", "profile"):
        return np.asarray(entries.row[steps])
    names = [step.name for step in definition.steps]
    place = len(names) - 1 if where == "conversion" else names.index(where)
    return np.asarray(entries.chain[steps, place])


def _taken(column: pa.ChunkedArray, rows: Ints) -> pa.Array:
    return _flat(column).take(pa.array(rows, mask=rows < 0))
