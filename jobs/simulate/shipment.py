"""From planned records to what Kafka takes: per topic an Arrow table of topic, key, value, headers."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from jobs.simulate.bodies import Writer, variants
from jobs.simulate.breakages import BREAKAGES, FOREIGN_ID, Parts
from jobs.simulate.columns import NONE, Columns, Flags, Ints, dice, height, take
from jobs.simulate.envelope import HEADER_TYPE, RECORD_SCHEMA, headers, source_of
from jobs.simulate.identity import Text, strings, uuid7
from jobs.simulate.period import DAY, GRACE, Period
from jobs.simulate.records import LOST, PRODUCERS, QUARANTINED
from jobs.simulate.world import FACTS, TOPICS, Block

VERSION_PLACE = 14  # of the digit that says which kind of UUID it is
CHUNK = 100_000  # records rendered at once
PAST = 40 * 365 * DAY  # how far back entities may reach


@dataclass(frozen=True)
class Shipment:
    """Records of one topic in order of sending; all of `until` (an instant by an honest clock) or earlier."""

    topic: str
    table: pa.Table


def event_ids(seed: int, block: Block, records: Columns) -> Text:
    """An id for each record: that of its event, whose time is what the device's clock said."""
    text = np.empty((height(records), 36), dtype=np.uint8)
    for topic, frame in block.events.items():
        mine = np.flatnonzero(records["topic"] == TOPICS.index(topic))
        offset = np.zeros(height(frame), dtype=np.int64)
        offset[records["row"][mine]] = records["offset_us"][mine]
        made = uuid7(frame["time"] + offset, dice(seed, "ids", topic, block.people.first))
        text[mine] = made[records["row"][mine]]
    text[records["breakage"] == FOREIGN_ID, VERSION_PLACE] = ord("4")
    return text


def waves(records: Columns, period: Period) -> list[slice]:
    """Cut the records by day of sending: what is older, each day with its grace, and what comes after all."""
    bounds = np.searchsorted(records["sent"], [period.start, *(period.midnights[1:] + GRACE)])
    edges = [0, *bounds.tolist(), height(records)]
    return [slice(a, b) for a, b in pairwise(edges)]


class Packer:
    """Renders the records of one block."""

    def __init__(self, seed: int, block: Block, records: Columns, ids: Text, writer: Writer, period: Period) -> None:
        """`records` as planned, with an id for each."""
        self._block, self._records, self._ids, self._writer, self._period = block, records, ids, writer, period
        self._source = source_of(seed)
        shard = block.people.first
        self._producers = pa.array(
            [f"sim-{seed}-{shard}-{p}" for p in range(PRODUCERS)] + [f"sim-{seed}-{shard}-entities"]
        )

    def shipments(self, wave: slice) -> Iterator[Shipment]:
        """The records of a wave that leave their producer, topic by topic, entities first."""
        rows = np.arange(wave.start, wave.stop)
        rows = rows[self._records["fate"][rows] != LOST]
        for topic in sorted(self._block.events, key=FACTS.__contains__):
            mine = rows[self._records["topic"][rows] == TOPICS.index(topic)]
            for start in range(0, len(mine), CHUNK):
                yield Shipment(topic, self._render(topic, mine[start : start + CHUNK]))

    def _render(self, topic: str, rows: Ints) -> pa.Table:
        records = take(self._records, rows)
        events = take(self._block.events[topic], records["row"])
        if topic in FACTS:
            events = variants(topic, events, records["is_variant"])
        claimed = claimed_times(records)
        envelope = {
            "event_id": strings(self._ids[rows]),
            "event_time": pa.array(claimed),
            "sent_time": pa.array(records["sent"] + records["offset_us"]),
            "producer_id": pa.DictionaryArray.from_arrays(
                pa.array(records["producer"].astype(np.int32)), self._producers
            ),
            "epoch": pa.array(records["epoch"]),
            "seq": pa.array(records["seq"]),
        }
        parts = [
            self._writer.keys(topic, events),
            self._writer.bodies(topic, events, envelope),
            headers(topic, self._source, self._reach(topic), self._ids[rows], claimed, records["sent"]),
        ]
        return _spoilt(topic, parts, records, self._closed(topic, events))

    def _reach(self, topic: str) -> tuple[int, int]:
        return self._period.start - (0 if topic in FACTS else PAST), self._period.end

    def _closed(self, topic: str, events: Columns) -> Flags:
        """Which records are tombstones that withdraw an entity."""
        deleted = events.get("is_deleted", np.zeros(height(events)))
        closed: Flags = deleted == 1
        return closed


def claimed_times(records: Columns) -> Ints:
    """What the body says as `event_time`: the device's clock, or for some a wild claim."""
    clocks = np.array([0 if breakage.clock is None else breakage.clock for breakage in BREAKAGES] + [0])
    lies = clocks[records["breakage"]]  # NONE takes the last: no lie
    claimed: Ints = np.where(lies != 0, records["sent"] + lies, records["time"] + records["offset_us"])
    return claimed


def _spoilt(topic: str, parts: list[pa.Array], records: Columns, is_closed: Flags) -> pa.Table:
    """The table, with the few records that are broken or tombstones put in place of the sound ones."""
    bad = np.flatnonzero((records["fate"] == QUARANTINED) | is_closed)
    names = RECORD_SCHEMA.names[1:]
    if len(bad):
        changed = [_changed(parts, int(row), int(records["breakage"][row]), bool(is_closed[row])) for row in bad]
        columns = zip(*changed, strict=True)
        types = (pa.binary(), pa.binary(), HEADER_TYPE)
        parts = [
            _spliced(part, pa.array(column, kind), bad)
            for part, column, kind in zip(parts, columns, types, strict=True)
        ]
    topics = pa.array([topic]).take(pa.array(np.zeros(height(records), dtype=np.int32)))
    return pa.table([topics, *parts], names=["topic", *names])


def _spliced(whole: pa.Array, others: pa.Array, places: Ints) -> pa.Array:
    """The array with `others` at the (rising) places: whole stretches are copied, never single rows."""
    pieces, start = [], 0
    for number, place in enumerate(places.tolist()):
        pieces += [whole.slice(start, place - start), others.slice(number, 1)]
        start = place + 1
    return pa.concat_arrays([*pieces, whole.slice(start)])


def _changed(parts: list[pa.Array], row: int, breakage: int, is_closed: bool) -> tuple[object, object, object]:
    key, value, pairs = (part[row].as_py() for part in parts)
    record: Parts = (key, value, [(pair["key"], pair["value"]) for pair in pairs])
    if breakage != NONE:
        record = BREAKAGES[breakage].change(record)
    if is_closed:
        record = (record[0], None, record[2])
    return record[0], record[1], [{"key": name, "value": content} for name, content in record[2]]
