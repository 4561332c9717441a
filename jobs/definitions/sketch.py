"""Sketches of times: how many fell into which bucket, in whole numbers, so that sketches add up in any order.

An octave (a doubling) has 32 buckets; below 64 every number has its own. A value read from a sketch is the middle of
its bucket, at most a 64th off. Why not one of the known sketches: docs/adr/0011-times-in-buckets.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column

BUCKETS = 32  # of an octave, a power of two
EXACT_BELOW = 2 * BUCKETS
BITS = EXACT_BELOW.bit_length() - 1  # of the greatest number that has a bucket of its own
SKETCH = "array<struct<bucket:int,count:bigint>>"
Bucket = Mapping[str, int]  # {"bucket": …, "count": …}


def bucket_of(value: int) -> int:
    """The bucket of a whole number from 0; the same as `bucket` in Spark."""
    shift = max(value.bit_length() - BITS, 0)
    return shift * BUCKETS + (value >> shift)


def middle_of(bucket: int) -> int:
    """The whole number in the middle of a bucket: what a value that fell into it is taken for."""
    if bucket < EXACT_BELOW:
        return bucket
    shift = bucket // BUCKETS - 1
    return ((bucket % BUCKETS + BUCKETS) << shift) + (1 << shift) // 2


def merged(sketches: Iterable[Sequence[Bucket]]) -> list[dict[str, int]]:
    """One sketch of all that the sketches hold."""
    counts: Counter[int] = Counter()
    for sketch in sketches:
        for part in sketch:
            counts[part["bucket"]] += part["count"]
    return [{"bucket": bucket, "count": counts[bucket]} for bucket in sorted(counts)]


def quantile(sketch: Sequence[Bucket], percent: int) -> int | None:
    """The value within which `percent` of all lie (nearest rank), at most a 64th off; None of an empty sketch."""
    rank = -(-sum(part["count"] for part in sketch) * percent // 100)
    for part in sketch:
        rank -= part["count"]
        if rank <= 0:
            return middle_of(part["bucket"])
    return None


def bucket(value: Column) -> Column:
    """The bucket of a bigint from 0, as an int; null of null."""
    from pyspark.sql import functions as F

    shift = F.greatest(F.length(F.bin(value)) - BITS, F.lit(0))
    return (shift * BUCKETS + F.call_function("shiftright", value, shift)).cast("int")


def sketch(times: Column) -> Column:
    """The sketch of a sorted array of bigints from 0."""
    from pyspark.sql import functions as F

    nothing = F.struct(
        F.array().cast(SKETCH).alias("done"), F.lit(-1).alias("bucket"), F.lit(0).cast("bigint").alias("n")
    )
    return F.aggregate(F.transform(times, bucket), nothing, _add, _done)


def _add(so_far: Column, one: Column) -> Column:
    """The same bucket again counts one more; another closes it."""
    from pyspark.sql import functions as F

    is_same = so_far["bucket"] == one
    count = F.when(is_same, so_far["n"] + 1).otherwise(F.lit(1).cast("bigint"))
    done = F.when(is_same, so_far["done"]).otherwise(_done(so_far))
    return F.struct(done.alias("done"), one.alias("bucket"), count.alias("n"))


def _done(so_far: Column) -> Column:
    """All buckets counted, the open one included."""
    from pyspark.sql import functions as F

    last = F.struct(so_far["bucket"].alias("bucket"), so_far["n"].alias("count"))
    return F.when(so_far["n"] > 0, F.concat(so_far["done"], F.array(last))).otherwise(so_far["done"])
