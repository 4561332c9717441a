"""Random histories of shoppers, cut into batches that come late and out of order, for funnels on a real lake."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

from pyspark.sql import DataFrame

from jobs.lake.contracts import Contract, contract
from jobs.lake.families import funnels
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, families, publish, release_id, releases
from jobs.lake.settings import Settings
from jobs.lake.small_engine import small_lake
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work

START = datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight of 2 March in Shanghai
ZONE = ZoneInfo("Asia/Shanghai")
HOURS = 381  # from the first event that may be to the last
TABLES = (
    "gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily", "gold.funnel_conversions", "gold.funnel_paths",
)  # fmt: skip
FACTS = ("silver.views", "silver.likes", "silver.orders")
EMPTY = {"string": "", "boolean": False, "bigint": 0, "int": 0, "date": date(2026, 3, 2), "timestamp": START}
KINDS = {
    "silver.views": ("play", "play", "play", "product_view", "product_view", "search", "live_enter"),
    "silver.likes": ("like", "add_to_cart", "remove_from_cart"),
    "silver.orders": ("placed", "paid", "paid", "cancelled", "refunded"),
}
PRODUCTS, ROOMS = ("p1", "p2"), ("r1", None)
Row = dict[str, Any]


def frame(lake: Lake, table: str, rows: list[Row]) -> DataFrame:
    """Rows typed by the contract; required columns left out get an empty value."""
    promised: Contract = lake.contract(table)
    values = [
        tuple(row.get(c.name, EMPTY.get(c.type) if c.required else None) for c in promised.columns) for row in rows
    ]
    return lake.spark.createDataFrame(values, promised.spark_schema(enforced=False))


def filled(table: str, **values: Any) -> Row:
    """A row of any table of ours, with something in each column that must have something."""
    columns = contract(table, Settings().schemas_dir).columns
    return {column.name: EMPTY.get(column.type, []) for column in columns if column.required} | values


def facts(draw: Random, users: int, batches: int) -> dict[str, list[Row]]:
    """Every event of everybody with the batch (`ingest_seq`) it comes in: mostly in order, some much later.

    Some people stay away for a while: what they did before stands apart from what they do later.
    """
    rows: dict[str, list[Row]] = {table: [] for table in FACTS}
    for user in range(users):
        away = (0, 0, 24, 240)[user % 4]
        for number in range(draw.randint(1, 40)):
            table = draw.choice(("silver.views", "silver.views", "silver.likes", "silver.orders"))
            hours = draw.choice((draw.randint(0, 140), 24 * draw.randint(0, 5)))
            hours += away if hours > 70 else 0
            at = START + timedelta(hours=hours, seconds=draw.choice((0, 0, 1)))
            on_time = min(batches, 1 + hours * batches // HOURS)
            rows[table].append(
                fact(draw, table, user, number, at) | {"ingest_seq": draw.choice((on_time, on_time, batches))}
            )
    return rows


def fact(draw: Random, table: str, user: int, number: int, at: datetime) -> Row:
    kind = draw.choice(KINDS[table])
    row: Row = {
        "event_id": f"{user:04}-{number:04}", "user_id": f"k1:{user:032}", "event_time": at, "kind": kind,
        "event_date": at.astimezone(ZONE).date(), "scene": draw.choice(("mall", "live")), "source": "recommend",
        "video_id": draw.choice(("v1", "v2", "v3")), "live_room_id": draw.choice(ROOMS),
    }  # fmt: skip
    if table != "silver.orders":
        row["product_id"] = draw.choice(PRODUCTS)
    if table == "silver.views":
        row |= {"watch_ms": draw.choice((500, 9_000)), "duration_ms": 30_000}
    if table == "silver.orders":
        refund = {"refund_fen": draw.choice((50, 100))} if kind == "refunded" else {}
        row |= {
            "order_id": f"o{user}-{draw.randint(0, 1)}",
            "lines": lines(*draw.choice((PRODUCTS, PRODUCTS[:1], PRODUCTS[1:])))
            if kind in ("placed", "paid")
            else None,
        } | refund
    return row


def lines(*products: str) -> list[Row]:
    """A line of 100 fen for each product."""
    return [
        {"line_id": str(place), "product_id": product, "merchant_id": "m", "quantity": 1, "unit_price_fen": 100,
         "discount_fen": 0}
        for place, product in enumerate(products)
    ]  # fmt: skip


def versions(key: str, name: str, told: list[tuple[datetime, int, Row]], seq: int) -> list[Row]:
    """The versions of an entity as of batch `seq`; told = (valid from, batch, columns).

    A row bears the batch that last changed it.
    """
    known = sorted((one for one in told if one[1] <= seq), key=lambda one: one[0])
    rows = []
    for place, (since, batch, columns) in enumerate(known):
        after = known[place + 1] if place + 1 < len(known) else None
        rows.append(
            {key: name, "event_id": f"{name}-{place}-{batch}", "valid_from": since,
             "valid_to": after[0] if after else None,
             "is_current": after is None, "is_deleted": False, "is_superseded": False,
             "ingest_seq": max(batch, after[1] if after else 0)} | columns
        )  # fmt: skip
    return rows


def people(draw: Random, users: int, batches: int) -> list[tuple[str, list[tuple[datetime, int, Row]]]]:
    """Some people move, join the staff or turn out to be children, in any batch."""
    told = []
    for user in range(users):
        history: list[tuple[datetime, int, Row]] = [
            (START - timedelta(days=9), 1, {"birth_year": 1990, "city_tier": "tier_1"})
        ]
        if draw.random() < 0.3:
            change = draw.choice(
                ({"is_staff": True}, {"birth_year": 2015}, {"city_tier": "tier_3", "birth_year": 1950})
            )
            history.append((START + timedelta(hours=draw.randint(-20, 140)), draw.randint(1, batches), change))
        told.append((f"k1:{user:032}", history))
    return told


def films(draw: Random, batches: int) -> list[tuple[str, list[tuple[datetime, int, Row]]]]:
    """Videos, one of which is found out to be an advertisement."""
    return [
        ("v1", [(START - timedelta(days=9), 1, {"content_kind": "PGC", "is_advertisement": False})]),
        ("v2", [(START - timedelta(days=9), 1, {"content_kind": "UGC", "is_advertisement": False}),
                (START + timedelta(hours=draw.randint(0, 100)), batches,
                 {"is_advertisement": True, "content_kind": "UGC"})]),
    ]  # fmt: skip


def work(seq_from: int, seq_to: int, watermark: datetime | None, last: datetime | None, *, full: bool = False) -> Work:
    return Work(
        family="funnels", run_id="test", full=full, days=(), ingest_seq_from=seq_from, ingest_seq_to=seq_to,
        watermark=watermark, last_watermark=last, known_from=START, silver_versions={},
    )  # fmt: skip


def release(lake: Lake, task: Work, app: str) -> list[Staged]:
    """Stage and write at once, as the runner does in three steps; all but the first by the engine of small runs."""
    done = []
    for staged in funnels.stage(lake, task) if task.ingest_seq_from < 0 else staged_small(lake, task):
        lake.ensure(staged.table)
        if staged.mode == "replace_all":
            lake.replace_all(staged.table, staged.frame, app=app, version=task.ingest_seq_to)
        else:
            column = lake.contract(staged.table).slice_column or ""
            lake.replace_slices(staged.table, staged.frame, column, staged.slices, app=app, version=task.ingest_seq_to)
        done.append(staged)
    return done


def staged_small(lake: Lake, task: Work) -> list[Staged]:
    """What the engine of small runs stages, as frames of Spark."""
    with small_lake(lake.settings) as small:
        made = [(staged, staged.frame.toArrow()) for staged in funnels.stage(small, task)]
    return [replace(staged, frame=lake.spark.createDataFrame(rows)) for staged, rows in made]


def make_public(lake: Lake, task: Work, staged: list[Staged]) -> None:
    """Publish what `release` wrote, as a release of its own."""
    ledger, written = Ledger(lake.settings), {one.table: one for one in staged}
    number = len(releases(ledger, "funnels")) + 1
    lines = [
        Publication(
            release_id=release_id("funnels", number), family="funnels", table=table, version=lake.version(table),
            slices=written[table].slices if table in written else (), ingest_seq=task.ingest_seq_to,
            watermark=task.watermark, contract_version="1.0.0", verdict="passed", run_id=f"run-{number}",
            known_from=START + timedelta(days=30 + number), rows=0,
        )
        for table in families(lake.settings.schemas_dir)["funnels"]
    ]  # fmt: skip
    publish(ledger, "funnels", number, lines)


def book_replays(lake: Lake, event_ids: list[str]) -> None:
    """Say that these events had been refused, and were sent again."""
    place = {"patch": "mended", "patch_version": 1, "topic": "likes", "kafka_topic_id": "t", "kafka_partition": 0}
    rows = [
        place | {"kafka_offset": number, "event_id": event_id, "run_id": "replay", "recorded_at": START}
        for number, event_id in enumerate(event_ids)
    ]
    Ledger(lake.settings).append("ops.replays", rows)


def told(frame: DataFrame) -> list[str]:
    """Rows as sorted text, every value in full."""
    columns = sorted(frame.columns)
    return sorted(json.dumps([row[c] for c in columns], default=str) for row in frame.collect())
