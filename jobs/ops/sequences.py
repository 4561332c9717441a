"""ops.sequences: which numbers of which producers an ingest batch received; what is missing among them was lost.

Grain: ingest_seq x producer_id x producer_epoch x first_seq x topic x source_uri.
"""

from collections.abc import Mapping
from datetime import datetime

import numpy as np
import pyarrow as pa

Unnumbered = Mapping[tuple[str, str | None], int]  # topic, source → records


RUNS = ("producer_id", "producer_epoch", "first_seq", "last_seq", "record_count", "refused_count")
BARE = pa.schema(
    [("topic", pa.string()), ("source_uri", pa.string()), ("record_count", pa.int64()), ("refused_count", pa.int64())]
)


def build(received: pa.Table, unnumbered: Unnumbered, *, ingest_seq: int, at: datetime) -> pa.Table:
    """A row for each run of numbers without a gap, and one for each topic and source whose records say none.

    `received` has a row per record: producer_id, producer_epoch, producer_seq, is_refused. Arrow, for where each
    device numbers for itself, or one lost much, there are as many runs as records.
    """
    bare = [
        {"topic": topic, "source_uri": source, "record_count": records, "refused_count": 0}
        for (topic, source), records in sorted(unnumbered.items(), key=str)
    ]
    told = [runs(received), pa.Table.from_pylist(bare, BARE)]
    rows = pa.concat_tables(told, promote_options="default")
    when = pa.scalar(at, pa.timestamp("us", "UTC"))
    return rows.append_column("ingest_seq", pa.repeat(ingest_seq, rows.num_rows)).append_column(
        "recorded_at", pa.repeat(when, rows.num_rows)
    )


def runs(received: pa.Table) -> pa.Table:
    """Numbers that follow on each other (RUNS), by producer and epoch: first, last, how many records, and refused."""
    if not received.num_rows:
        return pa.table({name: pa.array([], pa.int64() if n else pa.string()) for n, name in enumerate(RUNS)})
    ids = received["producer_id"].combine_chunks().dictionary_encode()
    codes, epochs, numbers = (
        np.asarray(column) for column in (ids.indices, received["producer_epoch"], received["producer_seq"])
    )
    order = np.lexsort((numbers, epochs, codes))
    codes, epochs, numbers = codes[order], epochs[order], numbers[order]
    is_new = (np.diff(codes) != 0) | (np.diff(epochs) != 0) | (np.diff(numbers) > 1)
    starts = np.concatenate([[0], np.flatnonzero(is_new) + 1])
    ends = np.concatenate([starts[1:], [len(numbers)]])
    refused = np.add.reduceat(np.asarray(received["is_refused"]).astype(np.int64)[order], starts)
    senders = ids.dictionary.take(pa.array(codes[starts]))
    return pa.table([senders, epochs[starts], numbers[starts], numbers[ends - 1], ends - starts, refused], names=RUNS)
