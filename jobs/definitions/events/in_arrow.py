"""Headers and ids in Arrow, for the ids of one batch, which fit into memory: as `reading.header` and `id_date` say."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from jobs.definitions.event_ids import BEYOND, UUID_V7

DIGITS = (*range(8), *range(9, 13))  # of a UUIDv7, those of its milliseconds
ID_BYTES, DAY_MS = 36, 86_400_000


def header_texts(headers: pa.ListArray, name: str) -> pa.Array:
    """By row the first header of that name as text, null for none; ArrowInvalid for one that is not UTF-8."""
    entries, rows = headers.flatten(), np.asarray(pc.list_parent_indices(headers))
    named = np.asarray(pc.indices_nonzero(pc.equal(pc.struct_field(entries, "key"), name)), np.int64)
    owners, firsts = np.unique(rows[named], return_index=True)
    places = np.full(len(headers), -1)
    places[owners] = named[firsts]
    return pc.struct_field(entries, "value").take(pa.array(places, mask=places < 0)).cast(pa.string())


def id_dates(ids: pa.Array) -> pa.Array:
    """By id the UTC date inside it; null for a text that is no UUIDv7, and for null."""
    is_ours = pc.and_(pc.match_substring_regex(ids, UUID_V7), pc.less(ids, BEYOND))
    ours = np.asarray(pc.fill_null(is_ours, False))
    days = np.zeros(len(ids), np.int32)
    days[ours] = _milliseconds(ids.filter(pa.array(ours))) // DAY_MS
    return pa.array(days, mask=~ours).cast(pa.date32())


def _milliseconds(ids: pa.Array) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """What the first twelve hexadecimal digits of each UUIDv7 say."""
    fixed = ids.cast(pa.binary(ID_BYTES))
    letters = np.frombuffer(fixed.buffers()[1] or b"", np.uint8).reshape(-1, ID_BYTES)
    letters = letters[fixed.offset : fixed.offset + len(ids), DIGITS].astype(np.int64)
    digits = np.where(letters >= ord("a"), letters - ord("a") + 10, letters - ord("0"))
    return digits @ (16 ** np.arange(len(DIGITS) - 1, -1, -1))
