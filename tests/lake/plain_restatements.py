"""What ops.restatements should say, worked out in plain Python from whole tables: an oracle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deltalake import DeltaTable

from jobs.lake.tables import Lake

FACTS = ("silver.views", "silver.likes", "silver.orders")
ORDER = ("replay", "reversal", "late_data", "correction", "on_time")
Row = dict[str, Any]


def rows_at(lake: Lake, table: str, version: int | None = None) -> list[Row]:
    """Every row of a version."""
    return DeltaTable(lake.path(table), version=version).to_pyarrow_table().to_pylist()


def key_of(row: Row, grain: tuple[str, ...]) -> str:
    return json.dumps({name: row[name] for name in grain}, sort_keys=True, default=str, separators=(",", ":"))


def plain_changes(
    lake: Lake, table: str, old: Mapping[str, int], new: Mapping[str, int]
) -> Iterator[tuple[str, str, int | None, int | None]]:
    """(key, measure, old, new) of every number that differs; nothing counts as 0, and rows of new days do not count."""
    grain, by = lake.contract(table).grain, lake.contract(table).slice_column or ""
    teller = "gold.funnel_daily" if table == "gold.funnel_paths" else table
    days = {(row["funnel"], row["funnel_version"], row[by]) for row in rows_at(lake, teller, old[teller])}
    before, after = (
        {key_of(row, grain): row for row in rows_at(lake, table, versions[table])} for versions in (old, new)
    )
    for key in before.keys() | after.keys():
        was, now = before.get(key, {}), after.get(key, {})
        one = was or now
        if not was and (one["funnel"], one["funnel_version"], one[by]) not in days:
            continue
        for name in one.keys() - {*grain, "window_us"}:
            if name.endswith(("_count", "_us")) and (was.get(name) or 0) != (now.get(name) or 0):
                yield key, name, was.get(name), now.get(name)


def first_steps(lake: Lake, versions: Mapping[str, int]) -> Iterator[tuple[str, str, int]]:
    """(key of gold.funnel_daily, person, attempts): who entered which funnel on which day."""
    for table, number in (("gold.funnel_attempts", None), ("gold.funnel_openings", "attempt_count")):
        for row in rows_at(lake, table, versions[table]):
            if row["set_aside"] == "(none)":
                key = {name: row[name] for name in ("funnel", "funnel_version", "entry_date")}
                total = {"breakdown": "total", "breakdown_value": "(all)", "step_number": 1}
                yield key_of(key | total, (*key, *total)), row["user_id"], row[number] if number else 1


def causes_of(lake: Lake, since: int, watermark: datetime) -> dict[str, str]:
    """Person → the first cause of their news after a batch."""
    again = {row["event_id"] for row in rows_at(lake, "ops.replays")}
    found: dict[str, set[str]] = {}
    facts = [row for table in FACTS for row in rows_at(lake, table)]
    for row in facts:
        if row["ingest_seq"] > since:
            late = "late_data" if row["event_time"] < watermark else "on_time"
            undone = "reversal" if row["kind"] in ("cancelled", "refunded") else late
            found.setdefault(row["user_id"], set()).add("replay" if row["event_id"] in again else undone)
    for row in rows_at(lake, "silver.users"):
        if row["ingest_seq"] > since:
            found.setdefault(row["user_id"], set()).add(described(row, watermark))
    for row in rows_at(lake, "silver.videos"):
        for fact in facts if row["ingest_seq"] > since else ():
            is_in = row["valid_to"] is None or fact["event_time"] < row["valid_to"]
            if fact["video_id"] == row["video_id"] and row["valid_from"] <= fact["event_time"] and is_in:
                found.setdefault(fact["user_id"], set()).add(described(row, watermark))
    return {user: min(causes, key=ORDER.index) for user, causes in found.items()}


def described(row: Row, watermark: datetime) -> str:
    return "correction" if (row["valid_to"] or row["valid_from"]) < watermark else "on_time"
