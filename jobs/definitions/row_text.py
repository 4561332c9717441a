"""A row as one text that differs whenever the row does, on any engine."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, TimestampType

from jobs.definitions.json_text import json_text


def row_text(rows: DataFrame, without: tuple[str, ...] = ()) -> Column:
    """The row as JSON, columns by their names, so that their order does not matter; instants as microseconds.

    Left to itself JSON tells of an instant no more than its thousandth, and each engine in its own way.
    """
    told = sorted((field for field in rows.schema if field.name not in without), key=lambda field: field.name)
    return json_text(F.struct(*[_exact(F.col(field.name), field.dataType).alias(field.name) for field in told]))


def _exact(column: Column, kind: DataType) -> Column:
    if isinstance(kind, TimestampType):
        return F.unix_micros(column)
    if isinstance(kind, ArrayType) and isinstance(kind.elementType, TimestampType):
        return F.transform(column, F.unix_micros)
    return column
