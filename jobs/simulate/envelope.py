"""CloudEvents headers of whole columns of records, as Kafka and Spark's Kafka sink take them."""

import numpy as np
import pyarrow as pa

from jobs.simulate.columns import Ints
from jobs.simulate.identity import Text, digits, rfc3339

HEADER_TYPE = pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())]))
RECORD_SCHEMA = pa.schema(
    [("topic", pa.string()), ("key", pa.binary()), ("value", pa.binary()), ("headers", HEADER_TYPE)]
)
_FIXED = (
    ("ce_specversion", "1.0"), ("ce_type", "reelhouse.{noun}.v1"), ("ce_source", "{source}"),
    ("ce_dataschema", "reelhouse:/schemas/events/{topic}/v1.json"), ("content-type", "application/json"),
    ("ce_replayrange", "{reach}"),
)  # fmt: skip
_OWN = ("ce_id", "ce_time", "ce_replaytime")  # differ from record to record
NAMES = (*(name for name, _ in _FIXED), *_OWN)


def source_of(seed: int) -> str:
    """The simulator as a source of events: its days are replayed."""
    return f"replay:simulator:{seed}"


def headers(topic: str, source: str, reach: tuple[int, int], ids: Text, claimed: Ints, sent: Ints) -> pa.Array:
    """The headers of each record of one topic; `reach` is the range of times the source may speak about."""
    words = {"noun": topic.removesuffix("s"), "topic": topic, "source": source, "reach": f"{reach[0]}/{reach[1]}"}
    fixed = [text.format(**words).encode() for _, text in _FIXED]
    size = len(claimed)
    shared = np.broadcast_to(np.frombuffer(b"".join(fixed), dtype=np.uint8), (size, sum(map(len, fixed))))
    block = np.concatenate([shared, ids, rfc3339(claimed), digits(sent)], axis=1)
    widths = [*map(len, fixed), ids.shape[1], block.shape[1] - shared.shape[1] - ids.shape[1] - 16, 16]
    return _as_lists(block, np.array(widths))


def _as_lists(block: Text, widths: Ints) -> pa.Array:
    """Rows of bytes cut by `widths` into the values of a list of named headers."""
    size, count = len(block), len(widths)
    ends = np.arange(size)[:, None] * block.shape[1] + np.cumsum(widths)
    offsets = np.concatenate([[0], ends.ravel()]).astype(np.int32)
    values = pa.Array.from_buffers(
        pa.binary(), size * count, [None, pa.py_buffer(offsets), pa.py_buffer(np.ascontiguousarray(block))]
    )
    places = pa.array(np.tile(np.arange(count, dtype=np.int32), size))
    names = pa.array(NAMES, pa.string()).take(places)
    pairs = pa.StructArray.from_arrays([names, values], fields=list(HEADER_TYPE.value_type))
    return pa.ListArray.from_arrays(pa.array(np.arange(size + 1, dtype=np.int32) * count), pairs)
