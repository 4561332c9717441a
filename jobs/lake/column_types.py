"""Column types as the contracts write them: Spark DDL text, read without a Spark session.

One small grammar, three readers: Spark (`to_spark`), Arrow and with it delta-rs (`to_arrow`), and people (the text).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from jobs.lake.errors import ContractError

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import DataType

SCALARS = ("string", "binary", "boolean", "int", "bigint", "double", "date", "timestamp")
LOGICAL = {  # Spark's word -> ODCS's word
    "string": "string", "binary": "string", "boolean": "boolean", "int": "integer", "bigint": "integer",
    "double": "number", "decimal": "number", "date": "date", "timestamp": "timestamp",
    "array": "array", "map": "object", "struct": "object",
}  # fmt: skip
_TOKEN = re.compile(r"\s*(decimal\(\s*\d+\s*,\s*\d+\s*\)|\w+|[<>:,])")


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type as a tree: `kind` is Spark's word; `children` are its (name, type) parts, unnamed in arrays and maps."""

    kind: str
    children: tuple[tuple[str, ColumnType], ...] = ()
    precision: int = 0
    scale: int = 0

    @property
    def logical(self) -> str:
        """The ODCS logical type that belongs to this physical one."""
        return LOGICAL[self.kind]

    def __str__(self) -> str:
        if self.kind == "decimal":
            return f"decimal({self.precision},{self.scale})"
        parts = ",".join(f"{name}:{part}" if name else str(part) for name, part in self.children)
        return f"{self.kind}<{parts}>" if parts else self.kind


@cache
def parse(text: str) -> ColumnType:
    """Read one type; ContractError when the text is none of ours."""
    tokens = _TOKEN.findall(text)
    if "".join(tokens).replace(" ", "") != re.sub(r"\s", "", text):
        raise _unknown(text)
    found = _one_type(tokens, text)
    if tokens:
        raise _unknown(text)
    return found


def _one_type(tokens: list[str], text: str) -> ColumnType:
    """Take one type off the front of `tokens`."""
    word = tokens.pop(0) if tokens else ""
    if word in SCALARS:
        return ColumnType(word)
    if word.startswith("decimal("):
        precision, scale = (int(digits) for digits in re.findall(r"\d+", word))
        return ColumnType("decimal", (), precision, scale)
    if word in ("array", "map", "struct") and tokens[:1] == ["<"]:
        children = _children(tokens, text, named=word == "struct")
        if word == "struct" or len(children) == (1 if word == "array" else 2):
            return ColumnType(word, children)
    raise _unknown(text)


def _children(tokens: list[str], text: str, *, named: bool) -> tuple[tuple[str, ColumnType], ...]:
    """Take `<a,b>` or `<name:a,name:b>` off the front of `tokens`."""
    children = []
    while tokens and tokens.pop(0) in ("<", ","):
        name = ""
        if named:
            if len(tokens) < 2 or tokens[1] != ":":
                raise _unknown(text)
            name = tokens.pop(0)
            tokens.pop(0)
        children.append((name, _one_type(tokens, text)))
        if tokens[:1] == [">"]:
            tokens.pop(0)
            return tuple(children)
    raise _unknown(text)


def _unknown(text: str) -> ContractError:
    known = ", ".join(SCALARS)
    return ContractError(
        f"type {text!r} is none we use; write one of {known}, decimal(p,s), array<…>, map<…,…>, struct<name:…>"
    )


def to_spark(kind: ColumnType) -> DataType:
    """The Spark type; parts inside arrays, maps and structs may be null."""
    from pyspark.sql import types as spark

    scalars = {
        "string": spark.StringType(), "binary": spark.BinaryType(), "boolean": spark.BooleanType(),
        "int": spark.IntegerType(), "bigint": spark.LongType(), "double": spark.DoubleType(),
        "date": spark.DateType(), "timestamp": spark.TimestampType(),
    }  # fmt: skip
    parts = [to_spark(part) for _, part in kind.children]
    match kind.kind:
        case "array":
            return spark.ArrayType(parts[0])
        case "map":
            return spark.MapType(parts[0], parts[1])
        case "struct":
            names = [name for name, _ in kind.children]
            return spark.StructType([spark.StructField(name, part) for name, part in zip(names, parts, strict=True)])
        case "decimal":
            return spark.DecimalType(kind.precision, kind.scale)
    return scalars[kind.kind]


def to_arrow(kind: ColumnType) -> pa.DataType:
    """The Arrow type that delta-rs writes as the same Delta type; timestamps are UTC microseconds."""
    import pyarrow as pa

    scalars = {
        "string": pa.string(), "binary": pa.binary(), "boolean": pa.bool_(), "int": pa.int32(), "bigint": pa.int64(),
        "double": pa.float64(), "date": pa.date32(), "timestamp": pa.timestamp("us", tz="UTC"),
    }  # fmt: skip
    parts = [to_arrow(part) for _, part in kind.children]
    match kind.kind:
        case "array":
            return pa.list_(parts[0])
        case "map":
            return pa.map_(parts[0], parts[1])
        case "struct":
            names = [name for name, _ in kind.children]
            return pa.struct([pa.field(name, part) for name, part in zip(names, parts, strict=True)])
        case "decimal":
            return pa.decimal128(kind.precision, kind.scale)
    return scalars[kind.kind]
