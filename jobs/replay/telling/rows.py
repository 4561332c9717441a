"""Rows of text files, typed column by column; a row that does not fit is kept aside with its reason."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from jobs.lake.errors import UsageError
from jobs.replay.telling.log import Unreadable

PLACE = "_place"
LINE = "_line"


@dataclass(frozen=True, slots=True)
class Rows:
    """Typed rows, and those that are not."""

    table: pl.DataFrame
    unreadable: tuple[Unreadable, ...]

    @property
    def count(self) -> int:
        """All rows there were."""
        return self.table.height + len(self.unreadable)


def files(path: Path, expected: str, what: str) -> list[Path]:
    """The file, or those of the folder, whose first line begins as expected; UsageError when there is none."""
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder; name the {what}")
    candidates = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    found = [file for file in candidates if _first_line(file).startswith(expected)]
    if not found:
        raise UsageError(f"{path}: holds no {what}: no first line begins with {expected[:60]!r}; see docs/replay.md")
    return found


def _first_line(path: Path) -> str:
    with path.open("rb") as file:
        return file.readline().decode("utf-8-sig", errors="replace").rstrip("\r\n")


def cut_lines(paths: Iterable[Path], names: list[str], separator: str, *, has_header: bool) -> Rows:
    """Lines without quotes, cut at the separator; a line with another number of fields is unreadable."""
    read = [_lines(path, has_header=has_header) for path in paths]
    lines = pl.concat([table for table, _ in read])
    fields = lines.with_columns(pl.col(LINE).str.split(separator).alias("_fields"))
    fits = pl.col("_fields").list.len() == len(names)
    columns = [pl.col("_fields").list.get(number).alias(name) for number, name in enumerate(names)]
    bad = fields.filter(~fits)
    reason = f"malformed: not {len(names)} fields"
    aside = [row for _, garbled in read for row in garbled]
    return Rows(fields.filter(fits).select(*columns, LINE, PLACE), (*aside, *_aside(bad, reason)))


def typed(rows: Rows, required: Mapping[str, pl.DataType], valid: Mapping[str, pl.Expr] | None = None) -> Rows:
    """Columns as the types they must have; a row that lacks one, or breaks a rule (reason → expression), goes aside."""
    text = rows.table
    table = text.with_columns(pl.col(name).cast(kind, strict=False) for name, kind in required.items())
    rules = {f"wrong_type:{name}": pl.col(name).is_not_null() for name in required} | dict(valid or {})
    aside = list(rows.unreadable)
    for reason, rule in rules.items():
        fits = table.select(rule.fill_null(False).alias("fits"))["fits"]
        if not fits.all():
            aside += _aside(text.filter(~fits), reason)
            text, table = text.filter(fits), table.filter(fits)
    if table.is_empty():
        first = f"; the first, {aside[0].place}: {aside[0].reason}" if aside else ""
        raise UsageError(f"not one of {len(aside)} rows is of this format{first}; see docs/replay.md")
    return Rows(table, tuple(aside))


def _lines(path: Path, *, has_header: bool) -> tuple[pl.DataFrame, list[Unreadable]]:
    """The lines of a file with their places, and those that are no UTF-8."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n")
    if content and not content[-1]:
        content.pop()
    texts, places, garbled = [], [], []
    for number, line in enumerate(content, 1):
        place = f"{path.name}:{number}"
        try:
            texts.append(line.rstrip(b"\r").decode())
            places.append(place)
        except UnicodeDecodeError:
            garbled.append(Unreadable(line, place, "invalid_utf8"))
    start = 1 if has_header else 0
    return pl.DataFrame(
        {LINE: texts[start:], PLACE: places[start:]}, schema=dict.fromkeys((LINE, PLACE), pl.String)
    ), garbled


def _aside(bad: pl.DataFrame, reason: str) -> Iterable[Unreadable]:
    for line, place in bad.select(LINE, PLACE).iter_rows():
        yield Unreadable(line.encode(), place, reason)


def quoted_table(path: Path, names: list[str]) -> Rows:
    """A CSV file with quotes and line breaks inside fields, all text, empty fields null."""
    try:
        table = pl.read_csv(path, infer_schema=False, truncate_ragged_lines=True)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise UsageError(f"{path}: {error}; name a folder with the log's CSV files") from error
    if missing := [name for name in names if name not in table.columns]:
        raise UsageError(f"{path}: column {missing[0]!r} is missing; see docs/replay.md for the columns of this format")
    numbers = pl.int_range(1, pl.len() + 1).cast(pl.String)
    line = pl.concat_str([pl.col(name).fill_null("") for name in table.columns], separator=",")
    return Rows(
        table.with_columns(line.alias(LINE), pl.concat_str(pl.lit(f"{path.name}: row "), numbers).alias(PLACE)), ()
    )


def earliest(table: pl.DataFrame, column: str) -> int:
    """The least of a column of integers that is not empty."""
    return int(table.select(pl.col(column).min()).item())


def latest(table: pl.DataFrame, column: str) -> int:
    """The greatest of a column of integers that is not empty."""
    return int(table.select(pl.col(column).max()).item())
