"""Values as numbers that are equal where the values are, their types included."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from itertools import count, islice
from operator import lt
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from jobs.definitions.funnel.judged import Ints

Column: TypeAlias = Sequence[Any] | pa.Array | pa.ChunkedArray


class Codes:
    """Numbers from 0 for values as they come; values of another type are other values."""

    def __init__(self) -> None:
        self._next = count()
        self._of: dict[str, defaultdict[Hashable, int]] = {}

    def of(self, column: Column) -> Ints:
        """A number for each value, -1 for null."""
        if isinstance(column, pa.Array | pa.ChunkedArray):
            return self._of_numbers(column) if _is_dense(column) else self._of_arrow(column)
        types = {*map(type, column)} - {type(None)}
        number: Callable[[Any], int] = self._number
        if len(types) == 1 and types <= {str, int, bool}:
            number = self._table(*types).__getitem__
        return np.fromiter(map(number, column), np.int64, len(column))

    def words(self) -> list[Any]:
        """The values by their numbers; of texts and whole numbers only."""
        pairs = [(number, value) for table in self._of.values() for value, number in table.items() if number >= 0]
        return [value for _, value in (pairs if len(self._of) == 1 else sorted(pairs))]

    def _of_numbers(self, column: pa.Array | pa.ChunkedArray) -> Ints:
        """Whole numbers that lie close together, by one table of all between the least and the greatest."""
        values: Ints = column.to_numpy()
        least = int(values.min())
        offsets = values - least if least else values
        is_there = np.zeros(int(values.max()) - least + 1, np.bool_)
        is_there[offsets] = True
        places = np.flatnonzero(is_there)
        numbers = np.empty(is_there.size, np.int64)
        numbers[places] = self.of((places + least).tolist())
        return numbers[offsets]

    def _of_arrow(self, column: pa.Array | pa.ChunkedArray) -> Ints:
        """Each distinct value is looked up once."""
        encoded = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
        if not pa.types.is_dictionary(encoded.type):
            encoded = encoded.combine_chunks().dictionary_encode()
            encoded = pa.chunked_array([encoded]) if isinstance(encoded, pa.Array) else encoded
        chunks = encoded.unify_dictionaries().chunks
        words = chunks[0].dictionary if chunks else pa.array([], pa.string())
        numbers: Ints = np.append(self.of(words.to_pylist()), -1)
        return joined([numbers[_without_gaps(chunk.indices, len(words)).to_numpy()] for chunk in chunks])

    def _table(self, kind: type) -> defaultdict[Hashable, int]:
        if kind.__name__ not in self._of:
            self._of[kind.__name__] = defaultdict(self._next.__next__, {None: -1})
        return self._of[kind.__name__]

    def _number(self, value: Any) -> int:
        if value is None:
            return -1
        is_plain = isinstance(value, str | int)
        return self._table(type(value))[value if is_plain else json.dumps(value, sort_keys=True, default=str)]


def _without_gaps(indices: pa.Array, instead: int) -> pa.Array:
    return indices.fill_null(instead) if indices.null_count else indices


def _is_dense(column: Any) -> bool:
    """Whether a column has whole numbers, all of them, and a table of the range they are from is no longer than it."""
    if column.type != pa.int64() or column.null_count or len(column) == 0:
        return False
    import pyarrow.compute as pc

    ends = pc.min_max(column).as_py()
    return bool(ends["max"] - ends["min"] < len(column))


def in_order(words: list[Any]) -> tuple[list[Any], Ints | None]:
    """Words with numbers before texts, each sorted, and the new place of each old one; None where all keep theirs."""
    if _is_ascending(words):
        return words, None
    numbers = [at for at, word in enumerate(words) if isinstance(word, int)]
    texts = [at for at, word in enumerate(words) if isinstance(word, str)]
    order = [*sorted(numbers, key=words.__getitem__), *sorted(texts, key=words.__getitem__)]
    place = np.empty(len(words), np.int64)
    place[order] = np.arange(len(words))
    return [words[at] for at in order], place


def _is_ascending(words: list[Any]) -> bool:
    """Whether words are whole numbers, each greater than the one before."""
    return {*map(type, words)} == {int} and all(map(lt, words, islice(words, 1, None)))


def joined(parts: Sequence[Ints]) -> Ints:
    """Pieces of a column as one."""
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.empty(0, np.int64)
