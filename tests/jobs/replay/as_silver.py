"""The real logs as one silver, without a broker: what ingest would make of their events, a frame per table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from jobs.lake.contracts import contract
from jobs.replay import kuairand, olist, rees46, taobao
from jobs.replay.telling.log import Log, Stream

LOGS = {"kuairand": kuairand, "olist": olist, "rees46": rees46, "taobao": taobao}
FACTS = ("views", "likes", "orders")
THINGS = {"users": "user_id", "videos": "video_id", "products": "product_id"}
TIMES = ("registered_at", "published_at", "promised_by")
Frames = dict[str, pl.DataFrame]


def silver_of(find: Callable[[str], Path], day: date, zone: ZoneInfo, schemas_dir: Path) -> Frames:
    """All logs, each moved so that its last local day is `day`; nobody's id meets another log's."""
    logs = [reader.read(find(name), day) for name, reader in LOGS.items()]
    frames = {name: _facts(logs, name, zone, _empty(name, schemas_dir)) for name in FACTS}
    return frames | {name: _things(logs, name, _empty(name, schemas_dir)) for name in THINGS}


def _empty(name: str, schemas_dir: Path) -> pl.DataFrame:
    """No row, with the columns of the contract that are not maps."""
    schema = contract(f"silver.{name}", schemas_dir).arrow_schema()
    known = [field.name for field in schema if not str(field.type).startswith("map")]
    frame = pl.from_arrow(schema.empty_table().select(known))
    assert isinstance(frame, pl.DataFrame)
    return frame


def _facts(logs: list[Log], name: str, zone: ZoneInfo, empty: pl.DataFrame) -> pl.DataFrame:
    """Events of a topic; a row that the log repeats exactly is one event."""
    parts = [_typed(stream, empty) for log in logs for stream in _streams(log, name)]
    local = pl.col("event_time").dt.convert_time_zone(zone.key).dt.date()
    return pl.concat([empty, *parts], how="diagonal").with_columns(event_date=local, ingest_seq=pl.lit(1, pl.Int64))


def _things(logs: list[Log], name: str, empty: pl.DataFrame) -> pl.DataFrame:
    """Versions of things: each holds until the next of its key."""
    key = THINGS[name]
    parts = [
        _typed(stream, empty.rename({"valid_from": "event_time"})) for log in logs for stream in _streams(log, name)
    ]
    rows = pl.concat(parts, how="diagonal").rename({"event_time": "valid_from"}).sort(key, "valid_from", "event_id")
    until = pl.col("valid_from").shift(-1).over(key)
    told = rows.with_columns(valid_to=until, is_deleted=pl.lit(value=False), ingest_seq=pl.lit(1, pl.Int64))
    return pl.concat([empty, told], how="diagonal")


def _streams(log: Log, topic: str) -> Iterator[tuple[Log, int, Stream]]:
    return ((log, number, stream) for number, stream in enumerate(log.streams) if stream.topic == topic)


def _typed(part: tuple[Log, int, Stream], empty: pl.DataFrame) -> pl.DataFrame:
    """The columns of a stream that silver has, with their types; an event's id is its log and place."""
    log, number, stream = part
    rows = stream.rows.drop("arrival").unique(maintain_order=True)
    known: dict[str, Any] = {name: kind for name, kind in empty.schema.items() if name in rows.columns}
    place = pl.format(
        "{}-{}-{}", pl.lit(log.format), pl.lit(number), pl.int_range(pl.len()).cast(pl.String).str.zfill(8)
    )
    columns = [_cast(name, kind) for name, kind in known.items() if name != "user_id"]
    if "user_id" in rows.columns:
        columns.append(pl.format("{}:{}", pl.lit(log.format), "user_id").alias("user_id"))
    return rows.select(*columns, event_id=place, kind=pl.lit(stream.kind))


def _cast(name: str, kind: Any) -> pl.Expr:
    """A column as its contract types it; lines get the parts that the log does not know."""
    column = pl.col(name)
    if name in ("event_time", *TIMES):
        return column.cast(pl.Datetime("us", "UTC"))
    if name == "lines":
        parts = [pl.element().struct.field(field.name) for field in kind.inner.fields if field.name != "discount_fen"]
        return column.list.eval(pl.struct(*parts, pl.lit(None, pl.Int64).alias("discount_fen")))
    return column.cast(kind)
