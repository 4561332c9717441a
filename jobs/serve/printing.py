"""Rows on the terminal: a table for people, or an array of JSON objects for programs."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from json.encoder import encode_basestring
from shutil import get_terminal_size
from textwrap import fill
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 400  # a pipe has no edge to wrap at
Padding = tuple[int, int, int, int]  # above, right, below, left
PADDINGS: tuple[Padding, ...] = ((0, 1, 0, 1), (0, 1, 0, 0), (0, 0, 0, 0))  # the widest that fits
# Controls but tab and end of line; other ends of lines; what turns the direction of writing; halves of characters.
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")
WORDS = {None: "null", True: "true", False: "false"}


class Format(StrEnum):
    """How rows are printed."""

    table = "table"
    json = "json"


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Sequence[str], format: str, pipe_width: int = PIPE_WIDTH
) -> None:
    """Print on stdout and nothing else; JSON keeps every digit of a decimal, as text.

    A table is as wide as the terminal; in a pipe it may take `pipe_width` columns. Where its words have no room side by
    side, each row is told line by line, less what is empty.
    """
    if format == "json":
        objects = [{name: plain(row[name]) for name in columns} for row in rows]
        sys.stdout.write(inert_json(json.dumps(objects, ensure_ascii=False, indent=1)) + "\n")
        return
    from rich import box
    from rich.table import Table

    console = plain_console(width=None if sys.stdout.isatty() else pipe_width)
    cells = [[_cell(row[name]) for name in columns] for row in rows]
    padding, widths = _fitted([*zip(map(str, columns), *cells, strict=True)], console.width)
    if padding is None:
        print_line_by_line(console, list(map(str, columns)), cells)
        return
    table = Table(box=box.SIMPLE, pad_edge=False, padding=padding)
    for number, column in enumerate(columns):
        width = widths[number] if widths else None
        side = _side(row[column] for row in rows)
        table.add_column(str(column), overflow="fold", width=width, justify=side)  # a path cut short is of no use
    for row in cells:
        table.add_row(*row)
    console.print(table)


def print_columns(columns: Mapping[str, Sequence[Any]], format: str) -> None:
    """Print rows that are told as columns of texts, whole numbers, flags and lists of them, as `print_rows` would."""
    if format == "json":
        fields = ",\n".join(f"  {encode_basestring(name)}: %s" for name in columns)
        texts = (map(_text, values) for values in columns.values())
        rows = ",\n".join(map(f" {{\n{fields}\n }}".__mod__, zip(*texts, strict=True)))
        sys.stdout.write(inert_json(f"[\n{rows}\n]\n" if rows else "[]\n"))
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


def inert(value: Any) -> Any:
    """The same with all that a terminal would obey, in any text of it, spelled out."""
    if isinstance(value, str):
        return OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), value)
    if isinstance(value, dict):
        return {inert(key): inert(part) for key, part in value.items()}
    return [inert(part) for part in value] if isinstance(value, list | tuple) else value


def inert_json(text: str) -> str:
    """The same JSON without a character that a terminal would obey: they stand in texts, which may spell them."""
    return OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


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


def remark(words: str) -> None:
    """Say something on stderr; on a terminal its lines end between words."""
    words = inert(words)
    if sys.stderr.isatty():
        room = get_terminal_size().columns
        words = "\n".join(
            fill(line, room, break_long_words=False, break_on_hyphens=False) for line in words.splitlines()
        )
    sys.stderr.write(f"{words}\n")


def plain_console(**more: Any) -> "Console":
    """A console that prints words as they are: neither brackets nor colons in them mean anything to it."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False, **more)


def print_line_by_line(console: "Console", columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A line for each value under the name of its column, and an empty one between rows."""
    from rich.table import Table

    for row in rows:
        lines = Table.grid("", "", padding=(0, 2, 0, 0))
        lines.columns[1].overflow = "fold"
        for name, value in zip(columns, row, strict=True):
            if value:
                lines.add_row(name, value)
        console.print(lines, "")


def _fitted(columns: Sequence[Sequence[str]], room: int) -> tuple[Padding | None, list[int]]:
    """Padding and widths at which no word is cut; no widths where all fits as it is, no padding where nothing does."""
    from rich.cells import cell_len

    widest = [max(cell_len(line) for text in column for line in text.split("\n")) for column in columns]
    lines = len(columns) + 1  # what the box draws between and beside the columns
    if sum(widest) + 2 * len(columns) + lines <= room:
        return PADDINGS[0], []
    widths = [max(cell_len(word) for text in column for word in text.split() or [""]) for column in columns]
    for padding in PADDINGS:
        spare = room - sum(widths) - sum(padding) * len(columns) - lines
        if spare >= 0:
            return padding, _widened(widths, widest, spare)
    return None, []


def _widened(widths: list[int], widest: list[int], spare: int) -> list[int]:
    """What is spare, given column by column to the one that lacks most."""
    for _ in range(spare):
        lacking = [most - width for most, width in zip(widest, widths, strict=True)]
        if max(lacking) > 0:
            widths[lacking.index(max(lacking))] += 1
    return widths


def _side(values: Iterable[Any]) -> Literal["left", "right"]:
    """Numbers stand under each other by their last digit."""
    kinds = {type(value) for value in values if value is not None}
    return "right" if kinds and kinds <= {int, float, Decimal} else "left"


def _cell(value: Any) -> str:
    """The words of a value; nothing for what is unknown, and for a list of nothing."""
    if value is None or value == []:
        return ""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    made = plain(value)
    told: str = inert(json.dumps(made, ensure_ascii=False) if isinstance(made, dict | list) else str(made))
    return told
