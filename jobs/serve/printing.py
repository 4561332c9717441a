"""Rows on the terminal: a table for people, or an array of JSON objects for programs."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

PIPE_WIDTH = 400  # a pipe has no edge to wrap at


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
