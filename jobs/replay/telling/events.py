"""A log's events as bodies, in the order in which the log had them."""

import heapq
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import polars as pl

from jobs.lake.topics import FACTS
from jobs.produce.envelope import id_of
from jobs.replay.telling.log import Log, Stream


class Told(NamedTuple):
    """One event, and when the log had it (µs)."""

    arrival: int
    stream: int
    topic: str
    body: dict[str, Any]


def told(log: Log) -> Iterator[Told]:
    """Every event of the log by arrival; what arrives together, entities before facts.

    An event's id is made from its topic, content and time, so a log replayed twice has the same ids, and a row that the
    log repeats exactly is a repeated event.
    """
    each = (_told(stream, number) for number, stream in enumerate(log.streams))
    return heapq.merge(*each, key=lambda event: (event.arrival, event.stream))


def _told(stream: Stream, number: int) -> Iterator[Told]:
    rows = stream.rows.sort("arrival", "event_time", maintain_order=True)
    names = [name for name in rows.columns if name != "arrival"]
    for arrival, row in zip(rows["arrival"], rows.select(names).iter_rows(), strict=True):
        content = {name: value for name, value in zip(names, row, strict=True) if value is not None}
        body = {"kind": stream.kind, **content}
        identity = f"{stream.topic}/{orjson.dumps(body).decode()}"
        body["event_id"] = id_of(identity, body["event_time"])
        yield Told(arrival, number, stream.topic, body)


def complete_at_arrival(log: Log) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Arrivals in order, and from each on up to when (µs) the facts sent before it are complete."""
    facts = [stream.rows.select("arrival", "event_time") for stream in log.streams if stream.topic in FACTS]
    rows = pl.concat(facts).sort("arrival")
    least_to_come = np.minimum.accumulate(rows["event_time"].to_numpy()[::-1])[::-1]
    return rows["arrival"].to_numpy(), least_to_come
