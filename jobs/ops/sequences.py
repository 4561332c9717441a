"""ops.sequences: which numbers of which producers an ingest batch received; what is missing among them was lost.

Grain: ingest_seq x producer_id x producer_epoch x first_seq x topic x source_uri.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

Unnumbered = Mapping[tuple[str, str | None], int]  # topic, source → records


def build(received: pa.Table, unnumbered: Unnumbered, *, ingest_seq: int, at: datetime) -> list[dict[str, Any]]:
    """A row for each run of numbers without a gap, and one for each topic and source whose records say none.

    `received` has a row per record: producer_id, producer_epoch, producer_seq, is_refused.
    """
    common = {"ingest_seq": ingest_seq, "recorded_at": at}
    bare = [
        {"topic": topic, "source_uri": source, "record_count": records, "refused_count": 0} | common
        for (topic, source), records in sorted(unnumbered.items(), key=str)
    ]
    return [row | common for row in runs(received)] + bare


def runs(received: pa.Table) -> list[dict[str, Any]]:
    """Numbers that follow on each other, by producer and epoch: first, last, how many records, how many refused."""
    if not received.num_rows:
        return []
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
    columns = {
        "producer_id": ids.dictionary.take(pa.array(codes[starts])).to_pylist(),
        "producer_epoch": epochs[starts].tolist(),
        "first_seq": numbers[starts].tolist(),
        "last_seq": numbers[ends - 1].tolist(),
        "record_count": (ends - starts).tolist(),
        "refused_count": refused.tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
