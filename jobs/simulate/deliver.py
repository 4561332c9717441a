"""Where the records go: into Kafka through the producer library, into Parquet files, or nowhere (to measure)."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.lake.errors import UsageError
from jobs.simulate.columns import dice
from jobs.simulate.envelope import HEADER_TYPE, RECORD_SCHEMA
from jobs.simulate.identity import rfc3339, strings, uuid7
from jobs.simulate.shipment import Shipment

if TYPE_CHECKING:
    from jobs.produce.producer import Producer
    from jobs.produce.records import Record


class Destination(Protocol):
    """Takes shipments in order, and what the simulator says about their completeness (epoch microseconds per topic)."""

    def take(self, shipment: Shipment) -> None:
        """Send or keep the records."""

    def announce(self, complete_until: Mapping[str, int], *, is_final: bool) -> None:
        """All records taken so far are complete up to these times."""

    def close(self) -> None:
        """Nothing more will come."""


class Nowhere:
    """Only looks: how fast is the simulator itself?"""

    def take(self, shipment: Shipment) -> None:
        """Forget it."""

    def announce(self, complete_until: Mapping[str, int], *, is_final: bool) -> None:
        """Nobody listens."""

    def close(self) -> None:
        """Nothing is open."""


class Files:
    """Parquet files that Spark's Kafka sink takes as they are: topic, key, value, headers; in order of their names."""

    def __init__(self, folder: Path, source: str, seed: int) -> None:
        """A folder that is new or empty; UsageError otherwise, for two worlds must not mix."""
        if folder.exists() and any(folder.iterdir()):
            raise UsageError(f"--to {folder}: the folder is not empty; name a new one")
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._source, self._seed, self._count = folder, source, seed, 0

    def take(self, shipment: Shipment) -> None:
        """Write one file."""
        path = self._folder / f"{self._count:06d}-{shipment.topic}.parquet"
        pq.write_table(shipment.table, path, compression="zstd", compression_level=1, use_dictionary=["topic"])
        self._count += 1

    def announce(self, complete_until: Mapping[str, int], *, is_final: bool) -> None:
        """Only the end is told: nobody knows yet which offsets the records will have, so all must be loaded first."""
        if is_final:
            self.take(Shipment("control", control_table(self._source, self._seed, complete_until)))

    def close(self) -> None:
        """Every file is closed already."""


class Broker:
    """Kafka, through the producer library's fast way; announcements carry the offsets the broker gave us."""

    def __init__(self, producer: "Producer", source: str) -> None:
        """`producer` stays the caller's, who closes it."""
        self._producer, self._source = producer, source

    def take(self, shipment: Shipment) -> None:
        """Send in order; blocks while the broker is behind."""
        self._producer.send_records(kafka_records(shipment))

    def announce(self, complete_until: Mapping[str, int], *, is_final: bool) -> None:
        """Wait until all was acknowledged, then say so on topic `control`."""
        self._producer.announce_complete(complete_until, is_final=is_final, source=self._source)

    def close(self) -> None:
        """Wait for the last acknowledgements."""
        self._producer.flush()


def kafka_records(shipment: Shipment) -> Iterator["Record"]:
    """The rows of a shipment as the producer library's records."""
    from jobs.produce.records import Record

    table = shipment.table.combine_chunks()
    keys, values = (table[name].to_pylist() for name in ("key", "value"))
    lists = table["headers"].chunk(0) if table.num_rows else pa.array([], HEADER_TYPE)
    pairs = lists.flatten()
    own = list(zip(pairs.field(0).to_pylist(), pairs.field(1).to_pylist(), strict=True))
    ends = lists.value_lengths().to_numpy().cumsum().tolist()
    for key, value, start, end in zip(keys, values, [0, *ends], ends, strict=False):
        yield Record(shipment.topic, key, value, own[start:end])


def control_table(source: str, seed: int, complete_until: Mapping[str, int]) -> pa.Table:
    """The last words of a source, for those who load its records before them: no offsets are named."""
    times = pa.array(complete_until.values()).to_numpy()
    ids = strings(uuid7(times, dice(seed, "control"))).to_pylist()
    moments = strings(rfc3339(times)).to_pylist()
    rows = [
        {
            "topic": "control",
            "key": source.encode(),
            "value": orjson.dumps(_last_words(source, topic, until, event_id, place)),
            "headers": _control_headers(source, event_id, moment),
        }
        for place, ((topic, until), event_id, moment) in enumerate(
            zip(complete_until.items(), ids, moments, strict=True)
        )
    ]
    return pa.Table.from_pylist(rows, RECORD_SCHEMA)


def _last_words(source: str, topic: str, until: int, event_id: str, place: int) -> dict[str, object]:
    return {
        "event_id": event_id, "event_time": until, "sent_time": until, "kind": "complete", "source": source,
        "topic": topic, "producer": {"id": f"{source}:control", "epoch": 1, "seq": place}, "complete_until": until,
        "is_final": True, "offsets": [],
    }  # fmt: skip


def _control_headers(source: str, event_id: str, moment: str) -> list[dict[str, object]]:
    named = {
        "ce_specversion": "1.0", "ce_id": event_id, "ce_type": "reelhouse.control.v1", "ce_time": moment,
        "ce_source": source, "ce_dataschema": "reelhouse:/schemas/events/control/v1.json",
        "content-type": "application/json",
    }  # fmt: skip
    return [{"key": name, "value": content.encode()} for name, content in named.items()]
