"""Profiles and interests recomputed from silver by DuckDB SQL (profiles.sql), and where a lake says something else."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.dataset as ds

SCRIPT = Path(__file__).with_name("profiles.sql")
SILVER = ("views", "likes", "orders", "users", "videos", "products")
ACTS = ("like", "unlike", "favourite", "unfavourite", "comment", "share", "follow", "unfollow", "add_to_cart",
        "remove_from_cart", "not_interested", "report")  # fmt: skip
KEYS = {"profiles": ("user_id",), "interests": ("user_id", "topic_kind", "topic_name")}
Differences = dict[str, int]


def recomputed(silver: Mapping[str, pa.Table | ds.Dataset], day: date, zone: str) -> duckdb.DuckDBPyConnection:
    """A connection with want_profiles and want_interests, made of rows of silver."""
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    for name in SILVER:
        connection.register(name, silver[name])
    connection.execute("SET VARIABLE day = ?::DATE", [day])
    connection.execute("SET VARIABLE zone = ?", [zone])
    script = SCRIPT.read_text(encoding="utf-8")
    for place, columns in (("act", _acts()), ("session", _sessions()), ("order", _orders())):
        script = script.replace(f"{{{place}_windows}}", ",\n    ".join(columns))
    connection.execute(script)
    return connection


def differences(connection: duckdb.DuckDBPyConnection, what: str, have: pa.Table | ds.Dataset) -> Differences:
    """Column of the built `profiles` or `interests` → rows where SQL says otherwise; `(rows)` are on one side only."""
    connection.register("have", have)
    keys = KEYS[what]
    columns = [name for name in have.schema.names if name not in keys]
    counts = [f'count(*) FILTER (is_both AND h."{name}" IS DISTINCT FROM w."{name}") AS "{name}"' for name in columns]
    query = f"""
        SELECT count(*) FILTER (NOT is_both) AS "(rows)", {", ".join(counts)}
        FROM (SELECT h, w, h.user_id IS NOT NULL AND w.user_id IS NOT NULL AS is_both
            FROM have AS h FULL JOIN (SELECT * FROM want_{what}) AS w USING ({", ".join(keys)}))"""
    found = connection.execute(query).to_arrow_table().to_pylist()[0]
    return {name: count for name, count in found.items() if count}


def _acts() -> list[str]:
    """Counts by window: a day belongs to a window of n days when it is less than n days ago."""
    counted = {f"{act}_count": f"kind = '{act}'" for act in ACTS} | {"completed_view_count": "is_whole"}
    columns = []
    for days in (7, 30, 90):
        inside = _within("on_day", days)
        columns.append(f"count(DISTINCT on_day) FILTER ({inside}) AS active_days_{days}d")
        columns.append(f"coalesce(sum(watched) FILTER ({inside}), 0) // 1000 AS watch_seconds_{days}d")
        columns += [f"count(*) FILTER ({inside} AND {what}) AS {name}_{days}d" for name, what in counted.items()]
    return columns


def _sessions() -> list[str]:
    return [f"count(*) FILTER ({_within('on_day', days)}) AS session_count_{days}d" for days in (7, 30, 90)]


def _orders() -> list[str]:
    return [
        column
        for days in (7, 30, 90)
        for column in (
            f"count(*) FILTER (counts AND {_within('paid_day', days)}) AS order_count_{days}d",
            f"sum(gross) FILTER (counts AND {_within('paid_day', days)}) AS gross_gmv_fen_{days}d",
            f"sum(net) FILTER (counts AND {_within('paid_day', days)}) AS net_gmv_fen_{days}d",
        )
    ]


def _within(day: str, days: int) -> str:
    return f"getvariable('day') - {day} < {days}"
