"""Frames under one another by the names of their columns, some of which only some of them have."""

from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import DataType


def together(*frames: DataFrame) -> DataFrame:
    """The rows of all (one at least), in the columns of all; null where a frame lacks one, in the others' type.

    Not left to `allowMissingColumns`: what it puts in has no type until Spark has seen the other side, and the engine
    of small runs (docs/adr/0025) does not look there.
    """
    types: dict[str, DataType] = {}
    known = [{field.name: field.dataType for field in frame.schema} for frame in frames]
    for each in known:
        types |= {name: kind for name, kind in each.items() if name not in types}
    full = [
        frame.select(
            *[F.col(name) if name in have else F.lit(None).cast(kind).alias(name) for name, kind in types.items()]
        )
        for frame, have in zip(frames, known, strict=True)
    ]
    return reduce(DataFrame.unionByName, full)
