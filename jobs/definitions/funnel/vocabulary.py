"""The words a definition may use: names of events, and the properties its `where` may ask about.

Both come from the promises in `schemas/`: kinds from the event schemas, properties from the silver contracts.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path

TOPIC_PREFIX = {"views": "", "likes": "", "orders": "order_"}  # an order's kind alone ("paid") would say too little
DERIVED = {"is_valid_view": "boolean", "is_completed_view": "boolean"}  # jobs/definitions/watching.py
FROM_VIDEOS = {"is_advertisement": "boolean", "content_kind": "string"}  # as of the event's time
FROM_USERS = ("generation", "city_tier", "member_tier", "lifecycle")  # as of the entry or its eve; for breakdowns only
FROM_LINES = "product_id"  # of an order, for `hold` only: one for each of its products (order_lines.py)
ACTS = (  # what people do, and what becomes of their orders: every event but what is merely shown to them
    "play", "product_view", "live_enter", "search", "like", "unlike", "favourite", "unfavourite", "comment", "share",
    "follow", "unfollow", "add_to_cart", "remove_from_cart", "not_interested", "report", "order_placed", "order_paid",
    "order_cancelled", "order_shipped", "order_delivered", "order_return_requested", "order_returned",
    "order_refunded", "order_reviewed",
)  # fmt: skip
NEVER_ASKED = {"event_id", "content_hash", "ingest_seq", "kafka_time", "kafka_offset", "kafka_partition"}


@cache
def event_names(schemas_dir: Path) -> dict[str, tuple[str, str]]:
    """Every event a funnel may name, and the topic and kind behind it."""
    names = {}
    for topic, prefix in TOPIC_PREFIX.items():
        newest = sorted((schemas_dir / "events" / topic).glob("v*.json"))[-1]
        kinds = json.loads(newest.read_text(encoding="utf-8"))["properties"]["kind"]["enum"]
        names.update({prefix + kind: (topic, kind) for kind in kinds})
    return names


@cache
def properties(schemas_dir: Path) -> dict[str, str]:
    """Every property of the three facts and its Spark type, the derived ones included."""
    from jobs.lake.contracts import contract

    found = dict(FROM_VIDEOS) | DERIVED
    for topic in TOPIC_PREFIX:
        columns = contract(f"silver.{topic}", schemas_dir).columns
        found |= {column.name: column.type for column in columns if column.name not in NEVER_ASKED}
    return found


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'play'?` for a slip of the pen, else the words there are."""
    words = sorted(known)
    close = difflib.get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"known are {', '.join(words)}"
