"""taobao: page views, favourites, carts and buys of two hours (Taobao User Behavior, Tianchi 649).

A row: user_id, item_id, category_id, behaviour (pv, fav, cart, buy), epoch seconds. No header, price, session, order.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from jobs.replay.telling.local_time import SECOND, days_to, moved, start_of_day
from jobs.replay.telling.log import UNKNOWN, Log, Stream
from jobs.replay.telling.orders import lines_of_one
from jobs.replay.telling.rows import Rows, cut_lines, earliest, files, latest, typed

ZONE = "Asia/Shanghai"
COLUMNS = ["user_id", "item_id", "category_id", "behaviour", "seconds"]
FACTS = (("pv", "views", "product_view"), ("fav", "likes", "favourite"), ("cart", "likes", "add_to_cart"))
TEN_DIGITS = 1_000_000_000  # seconds: a shorter number is a time that was cut off
WHERE = {"scene": pl.lit("mall"), "source": pl.lit("recommend")}  # not in the log; the contract asks for them
ORDER_ID = pl.format("taobao-{}-{}-{}", "user_id", "product_id", "seconds")


def read(path: Path, shift_to: date | None = None) -> Log:
    """Read the log, moved so that its last local day is `shift_to`."""
    rows = _rows(path)
    days = days_to(latest(rows.table, "seconds") * SECOND, shift_to, ZONE)
    at = moved(pl.col("seconds") * SECOND, days, ZONE)
    acts = rows.table.select(
        "user_id", "category_id", "behaviour", "seconds", event_time=at, arrival=at, product_id=pl.col("item_id")
    )
    return Log("taobao", ZONE, rows.count, tuple(_streams(acts)), rows.unreadable, latest(acts, "event_time"))


def _rows(path: Path) -> Rows:
    found = cut_lines(files(path, "", "Taobao log"), COLUMNS, ",", has_header=False)
    return typed(found, {"seconds": pl.Int64()}, {
        "not_allowed:behaviour": pl.col("behaviour").is_in(["buy", *(behaviour for behaviour, _, _ in FACTS)]),
        "out_of_range:seconds": pl.col("seconds") >= TEN_DIGITS,
    })  # fmt: skip


def _streams(acts: pl.DataFrame) -> Iterator[Stream]:
    yield Stream("products", "listed", _products(acts))
    acts = acts.with_columns(**WHERE)
    for behaviour, topic, kind in FACTS:
        yield Stream(topic, kind, acts.filter(behaviour=behaviour).drop("behaviour", "seconds"))
    buys = (
        acts.filter(behaviour="buy")
        .with_columns(order_id=ORDER_ID, lines=lines_of_one(pl.lit(0), pl.col("product_id")))
        .drop("behaviour", "seconds", "product_id")
    )
    yield Stream("orders", "placed", buys)
    yield Stream("orders", "paid", buys)


def _products(acts: pl.DataFrame) -> pl.DataFrame:
    """Every item that occurs, there since the first midnight; its category is all the log knows."""
    since = start_of_day(earliest(acts, "event_time"), ZONE)
    items = acts.group_by("product_id", maintain_order=True).agg(category=pl.first("category_id"))
    return items.with_columns(
        event_time=since, arrival=since, merchant_id=pl.lit(UNKNOWN), list_price_fen=pl.lit(0, pl.Int64)
    )
