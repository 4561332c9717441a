"""rees46: views, carts and purchases of a store of many categories, with price and session (REES46, October 2019).

A row: event_time (UTC text), event_type, product_id, category_id, category_code, brand, price, user_id, user_session.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from jobs.replay.telling.local_time import days_to, instant, moved, start_of_day
from jobs.replay.telling.log import Log, Stream
from jobs.replay.telling.orders import fen, lines_of_one
from jobs.replay.telling.rows import Rows, cut_lines, earliest, files, latest, typed

ZONE = "UTC"
COLUMNS = ["event_time", "event_type", "product_id", "category_id", "category_code", "brand", "price", "user_id",
           "user_session"]  # fmt: skip
MERCHANT = "rees46-store"
TIME = pl.col("event_time").str.to_datetime("%Y-%m-%d %H:%M:%S UTC", time_unit="us", strict=False)
WHERE = {"scene": pl.lit("mall"), "source": pl.lit("recommend")}  # not in the log; the contract asks for them
ORDER_ID = pl.format("rees46-{}-{}-{}", "session_id", "product_id", "second")


def read(path: Path, shift_to: date | None = None) -> Log:
    """Read the log, moved so that its last UTC day is `shift_to`."""
    rows = _rows(path)
    table = rows.table.with_columns(at=instant(TIME, ZONE))
    at = moved(pl.col("at"), days_to(latest(table, "at"), shift_to, ZONE), ZONE)
    acts = table.select(
        "user_id",
        "product_id",
        "event_type",
        "category_id",
        *(pl.col(name).replace("", None) for name in ("category_code", "brand")),
        price_fen=fen("price"),
        session_id=pl.col("user_session"),
        second=pl.col("at") // 1_000_000,
        event_time=at,
        arrival=at,
    )
    return Log("rees46", ZONE, rows.count, tuple(_streams(acts)), rows.unreadable, latest(acts, "event_time"))


def _rows(path: Path) -> Rows:
    found = cut_lines(files(path, ",".join(COLUMNS), "REES46 log"), COLUMNS, ",", has_header=True)
    return typed(found, {}, {
        "wrong_type:event_time": TIME.is_not_null(),
        "not_allowed:event_type": pl.col("event_type").is_in(["view", "cart", "purchase"]),
        "wrong_type:price": fen("price") >= 0,
        "empty:user_session": pl.col("user_session") != "",
    })  # fmt: skip


def _streams(acts: pl.DataFrame) -> Iterator[Stream]:
    yield Stream("products", "listed", _products(acts))
    acts = acts.with_columns(**WHERE)
    for type_, topic, kind in (("view", "views", "product_view"), ("cart", "likes", "add_to_cart")):
        yield Stream(topic, kind, acts.filter(event_type=type_).drop("event_type", "second"))
    bought = acts.filter(event_type="purchase").with_columns(
        order_id=ORDER_ID, lines=lines_of_one(pl.col("price_fen"), pl.col("product_id"), MERCHANT)
    )
    bought = bought.drop("event_type", "second", "product_id", "price_fen")
    yield Stream("orders", "placed", bought)
    yield Stream("orders", "paid", bought)


def _products(acts: pl.DataFrame) -> pl.DataFrame:
    """Every product that occurs, there since the first midnight, at its first price; unnamed categories by number."""
    since = start_of_day(earliest(acts, "event_time"), ZONE)
    known = acts.sort("event_time", maintain_order=True).group_by("product_id", maintain_order=True)
    products = known.agg(
        category=pl.coalesce(pl.first("category_code"), pl.first("category_id")),
        brand=pl.first("brand"),
        list_price_fen=pl.first("price_fen"),
    )
    return products.with_columns(event_time=since, arrival=since, merchant_id=pl.lit(MERCHANT))
