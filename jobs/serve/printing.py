"""Rows on the terminal: a table for people, or an array of JSON objects for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring
from typing import Any

PIPE_WIDTH = 400  # a pipe has no edge to wrap at
WORDS = {None: "null", True: "true", False: "false"}


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], format: str, pipe_width: int = PIPE_WIDTH
) -> None:
    """Print on stdout and nothing else; JSON keeps every digit of a decimal, as text.

    A table is as wide as the terminal; in a pipe it may take `pipe_width` columns.
    """
    if format == "json":
        objects = [{name: plain(row[name]) for name in columns} for row in rows]
        sys.stdout.write(json.dumps(objects, ensure_ascii=False, indent=1) + "\n")
        return
    from rich import box
    from rich.console import Console
    from rich.table import Table

    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in columns:
        table.add_column(str(column), overflow="fold")  # a path or an address cut short is of no use
    for row in rows:
        table.add_row(*(_cell(row[name]) for name in columns))
    Console(markup=False, highlight=False, width=None if sys.stdout.isatty() else pipe_width).print(table)


def print_columns(columns: Mapping[str, Sequence[Any]], format: str) -> None:
    """Print rows that are told as columns of texts, whole numbers, flags and lists of them, as `print_rows` would."""
    if format == "json":
        fields = ",\n".join(f"  {encode_basestring(name)}: %s" for name in columns)
        texts = (map(_text, values) for values in columns.values())
        rows = ",\n".join(map(f" {{\n{fields}\n }}".__mod__, zip(*texts, strict=True)))
        sys.stdout.write(f"[\n{rows}\n]\n" if rows else "[]\n")
        return
    rows_told = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    print_rows(rows_told, list(columns) if rows_told else [], format)


def _text(value: Any) -> str:
    """A value within an object of an array, as `json.dumps` writes it with an indent of one."""
    if isinstance(value, str):
        return encode_basestring(value)
    if isinstance(value, list):
        return "[\n   " + ",\n   ".join(map(_text, value)) + "\n  ]" if value else "[]"
    return WORDS[value] if value is None or isinstance(value, bool) else str(value)


def plain(value: Any) -> Any:
    """A value as JSON has it: instants and days ISO 8601, decimals text, bytes hexadecimal, maps objects."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return value


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    made = plain(value)
    return json.dumps(made, ensure_ascii=False) if isinstance(made, dict | list) else str(made)
