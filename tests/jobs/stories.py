"""Stories in a sentence: `"play 10:00, like 10:05:30, placed 10:22 order_id=o1, paid +1d 09:00"` becomes silver rows.

Each act is `<kind> [+Nd] HH:MM[:SS] [column=value …]`: local time in Asia/Shanghai, N days after 2026-03-02. A story's
user is its name. `view` is short for a valid play (10 of 20 s watched), `order` for placed; a column's value is read by
its type, and one order belongs to the whole story unless `order_id=` says otherwise.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

ZONE = ZoneInfo("Asia/Shanghai")
FIRST_DAY = date(2026, 3, 2)
SHORT = {"view": "play", "order": "placed"}
KINDS = {
    "views": {"impression", "play", "product_view", "live_enter", "search"},
    "likes": {"like", "unlike", "favourite", "unfavourite", "comment", "share", "follow", "unfollow", "add_to_cart",
              "remove_from_cart", "not_interested", "report"},
    "orders": {"placed", "paid", "cancelled", "shipped", "delivered", "return_requested", "returned", "refunded",
               "reviewed"},
}  # fmt: skip
ACT = re.compile(r"(?P<kind>\w+)(?: \+(?P<days>\d+)d)? (?P<clock>\d\d:\d\d(?::\d\d)?)(?P<rest>(?: \w+=\S+)*)")
INTEGERS = re.compile(r"_ms$|_fen$|^(position|heartbeats|rating|points_used|ingest_seq)$")
Row = dict[str, Any]


def tell(stories: dict[str, str]) -> dict[str, list[Row]]:
    """Rows of silver.views, silver.likes and silver.orders for all stories, by topic."""
    tables: dict[str, list[Row]] = {topic: [] for topic in KINDS}
    for number, (name, story) in enumerate(stories.items()):
        for step, act in enumerate(part.strip() for part in story.split(",") if part.strip()):
            topic, row = read_act(act)
            tables[topic].append({"event_id": f"{number:04d}-{step:04d}", "user_id": name, "ingest_seq": 1} | row)
            if topic == "orders":
                tables[topic][-1].setdefault("order_id", f"order of {name}")
    return tables


def read_act(act: str) -> tuple[str, Row]:
    """One act as its topic and the columns it states."""
    found = ACT.fullmatch(act)
    if not found:
        raise ValueError(f"{act!r}: write <kind> [+Nd] HH:MM[:SS] [column=value …]")
    kind = SHORT.get(found["kind"], found["kind"])
    topic = next((topic for topic, kinds in KINDS.items() if kind in kinds), None)
    if topic is None:
        raise ValueError(f"{act!r}: {kind!r} is no kind of views, likes or orders")
    clock = time.fromisoformat(found["clock"])
    local = datetime.combine(FIRST_DAY + timedelta(days=int(found["days"] or 0)), clock, ZONE)
    row: Row = {"kind": kind, "event_time": local.astimezone(UTC), "event_date": local.date()}
    row |= {"scene": "short_video", "source": "recommend"}
    if found["kind"] == "view":
        row |= {"watch_ms": 10_000, "duration_ms": 20_000}
    stated = (pair.split("=", 1) for pair in found["rest"].split())
    return topic, row | {name: int(text) if INTEGERS.search(name) else text for name, text in stated}
