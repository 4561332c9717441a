"""olist: the life of orders, 2016 to 2018, in a marketplace of many sellers (Olist, Brazil).

A folder of CSV files: orders with five times, their items, payments and reviews; customers, sellers, products. Times
are local without a zone (America/Sao_Paulo, with its clock changes); money is centavos, carried in the `_fen` fields.
"""

from datetime import date
from pathlib import Path

import polars as pl

from jobs.lake.errors import UsageError
from jobs.replay.telling.local_time import SECOND, days_to, instant
from jobs.replay.telling.log import UNKNOWN, Log, Stream
from jobs.replay.telling.orders import fen, line, lines_of_one
from jobs.replay.telling.rows import Rows, latest, quoted_table, typed

ZONE = "America/Sao_Paulo"
TIMES = {
    "placed": "order_purchase_timestamp",
    "paid": "order_approved_at",
    "shipped": "order_delivered_carrier_date",
    "delivered": "order_delivered_customer_date",
}
PROMISED = "order_estimated_delivery_date"
REVIEWED = "review_answer_timestamp"
COLUMNS = {  # the files, and the columns that must be there
    "orders": ["order_id", "customer_id", "order_status", *TIMES.values(), PROMISED],
    "order_items": ["order_id", "order_item_id", "product_id", "seller_id", "price", "freight_value"],
    "order_payments": ["order_id", "payment_sequential", "payment_type", "payment_value"],
    "order_reviews": ["review_id", "order_id", "review_score", REVIEWED],
    "customers": ["customer_id", "customer_unique_id", "customer_city", "customer_state"],
    "sellers": ["seller_id", "seller_state"],
    "products": ["product_id", "product_category_name"],
}
TRANSLATION = "product_category_name_translation.csv"
WHOSE = ["order_id", "user_id", "region"]  # what every step of an order carries
WHAT = ["lines", "is_item_known", "freight_fen", "payment_method", "payment_types", "ship_from_region",
        "ship_to_region", "promised_by"]  # fmt: skip
CARRIED = {
    "placed": [*WHAT, "final_status"],
    "paid": WHAT,
    "shipped": ["ship_from_region", "ship_to_region", "promised_by"],
    "delivered": ["ship_to_region", "promised_by"],
}

Frames = dict[str, pl.DataFrame]


def read(path: Path, shift_to: date | None = None) -> Log:
    """Read the log, moved so that its last local day is `shift_to`."""
    folder = path if path.is_dir() else path.parent
    rows = {name: _table(folder, name) for name in COLUMNS}
    tables = {name: found.table for name, found in rows.items()}
    days = days_to(_last(tables, 0), shift_to, ZONE)
    items = _items(tables)
    orders = _orders(tables, items, days)
    steps = [_step(orders, kind) for kind in TIMES]
    entities = (_users(orders), _merchants(items, orders), _products(tables, items, orders, folder))
    streams = (*entities, *steps, _cancelled(orders), _reviewed(tables, orders, days))
    unreadable = tuple(row for found in rows.values() for row in found.unreadable)
    return Log("olist", ZONE, sum(found.count for found in rows.values()), streams, unreadable, _last(tables, days))


def _table(folder: Path, name: str) -> Rows:
    """One file; rows without their ids, times, amounts or score go aside."""
    path = folder / f"olist_{name}_dataset.csv"
    if not path.is_file():
        raise UsageError(f"{path}: no such file; name the folder with Olist's CSV files")
    rules = {f"empty:{column}": pl.col(column).is_not_null() for column in COLUMNS[name] if column.endswith("_id")}
    times = {"orders": [TIMES["placed"], PROMISED], "order_reviews": [REVIEWED]}.get(name, [])
    amounts = {"order_items": ["price", "freight_value"], "order_payments": ["payment_value"]}.get(name, [])
    rules |= {f"wrong_type:{column}": _local(column).is_not_null() for column in times}
    rules |= {f"wrong_type:{column}": fen(column) >= 0 for column in amounts}
    if name == "order_reviews":
        rules["out_of_range:review_score"] = pl.col("review_score").cast(pl.Int64, strict=False).is_between(1, 5)
    return typed(quoted_table(path, COLUMNS[name]), {}, rules)


def _local(column: str) -> pl.Expr:
    return pl.col(column).str.to_datetime("%Y-%m-%d %H:%M:%S", time_unit="us", strict=False)


def _at(column: str, days: int) -> pl.Expr:
    """A local time of the log as an instant (µs), so many days later."""
    return instant(_local(column) + pl.duration(days=days), ZONE)


def _last(tables: Frames, days: int) -> int:
    """The last time (µs) at which anything happened; what was only promised does not count."""
    steps = tables["orders"].select(at=pl.max_horizontal(_at(column, days) for column in TIMES.values()))
    return max(latest(steps, "at"), latest(tables["order_reviews"].select(at=_at(REVIEWED, days)), "at"))


def _items(tables: Frames) -> pl.DataFrame:
    """Order items with the state of their seller, in the order of their numbers."""
    known = tables["order_items"].join(tables["sellers"], on=["seller_id"], how="left", validate="m:1")
    number = pl.col("order_item_id").cast(pl.Int64, strict=False)
    return known.with_columns(price_fen=fen("price"), freight=fen("freight_value")).sort("order_id", number)


def _orders(tables: Frames, items: pl.DataFrame, days: int) -> pl.DataFrame:
    """One row per order: the times of its steps, what was bought, by whom, and how it was paid."""
    bought = line(pl.col("order_item_id"), pl.col("product_id"), pl.col("seller_id"), pl.col("price_fen"))
    baskets = items.group_by("order_id", maintain_order=True).agg(
        lines=bought, freight_fen=pl.sum("freight"), ship_from_region=pl.first("seller_state")
    )
    times = {step: _at(column, days) for step, column in TIMES.items()}
    orders = tables["orders"].select(
        "order_id", "customer_id", promised_by=_at(PROMISED, days), final_status="order_status", **times
    )
    customers = tables["customers"].select(
        "customer_id", "customer_city", region="customer_state", user_id="customer_unique_id"
    )
    orders = orders.join(customers, on=["customer_id"], how="left", validate="m:1")
    for other in (baskets, _payments(tables["order_payments"])):
        orders = orders.join(other, on=["order_id"], how="left", validate="1:1")
    # for an order whose items the log does not have, one line worth what was paid
    instead = lines_of_one(pl.col("paid_fen").fill_null(0), pl.lit(UNKNOWN))
    return orders.with_columns(
        is_item_known=pl.col("lines").is_not_null(),
        lines=pl.coalesce("lines", instead),
        user_id=pl.coalesce("user_id", "customer_id"),
        ship_to_region=pl.col("region"),
    )


def _payments(payments: pl.DataFrame) -> pl.DataFrame:
    """Per order the way most of the money took, all ways, and the sum."""
    paid = payments.with_columns(paid_fen=fen("payment_value"))
    largest_first = paid.sort("order_id", "paid_fen", "payment_sequential", descending=[False, True, False])
    return largest_first.group_by("order_id", maintain_order=True).agg(
        payment_method=pl.first("payment_type"),
        payment_types=pl.col("payment_type").unique(maintain_order=True).str.join("+"),
        paid_fen=pl.sum("paid_fen"),
    )


def _step(orders: pl.DataFrame, kind: str) -> Stream:
    """The orders that came as far as a step, at its time."""
    at = pl.col(kind)
    return Stream(
        "orders", kind, orders.filter(at.is_not_null()).select(*WHOSE, *CARRIED[kind], event_time=at, arrival=at)
    )


def _cancelled(orders: pl.DataFrame) -> Stream:
    """A cancel has no time of its own: a second after the last that is known of the order."""
    at = pl.max_horizontal(*TIMES) + SECOND
    ended = orders.filter(final_status="canceled")
    return Stream("orders", "cancelled", ended.select(*WHOSE, event_time=at, arrival=at))


def _reviewed(tables: Frames, orders: pl.DataFrame, days: int) -> Stream:
    """A review counts from when the customer answered, not from when they were asked."""
    at = _at(REVIEWED, days)
    reviews = tables["order_reviews"].join(orders, on=["order_id"], how="inner", validate="m:1")
    rating = pl.col("review_score").cast(pl.Int64)
    return Stream("orders", "reviewed", reviews.select(*WHOSE, "review_id", rating=rating, event_time=at, arrival=at))


def _users(orders: pl.DataFrame) -> Stream:
    """Every buyer, taken to have registered a second before the first order."""
    since = pl.min("placed") - SECOND
    buyers = orders.sort("placed", maintain_order=True).group_by("user_id", maintain_order=True)
    known = buyers.agg(region=pl.first("region"), city=pl.first("customer_city"), registered_at=since)
    return Stream("users", "registered", known.with_columns(event_time="registered_at", arrival="registered_at"))


def _merchants(items: pl.DataFrame, orders: pl.DataFrame) -> Stream:
    """Every seller, taken to have opened a second before the first order."""
    sold = items.join(orders.select("order_id", "placed"), on=["order_id"], how="inner", validate="m:1")
    known = sold.group_by(merchant_id=pl.col("seller_id"), maintain_order=True).agg(
        region=pl.first("seller_state"), opened_at=pl.min("placed") - SECOND
    )
    return Stream("merchants", "opened", known.with_columns(event_time="opened_at", arrival="opened_at"))


def _products(tables: Frames, items: pl.DataFrame, orders: pl.DataFrame, folder: Path) -> Stream:
    """Every product that was sold, a second before its first order, at its first price; categories in English."""
    sold = items.join(orders.select("order_id", "placed"), on=["order_id"], how="inner", validate="m:1").sort(
        "placed", maintain_order=True
    )
    first = sold.group_by("product_id", maintain_order=True).agg(
        merchant_id=pl.first("seller_id"), list_price_fen=pl.first("price_fen"), event_time=pl.min("placed") - SECOND
    )
    named = tables["products"].select("product_id", category=_in_english("product_category_name", folder))
    known = first.join(named, on=["product_id"], how="left", validate="1:1")
    return Stream("products", "listed", known.with_columns(arrival="event_time"))


def _in_english(column: str, folder: Path) -> pl.Expr:
    path = folder / TRANSLATION
    if not path.is_file():
        return pl.col(column)
    words = quoted_table(path, [column, f"{column}_english"]).table.drop_nulls()
    return pl.col(column).replace(words[column], words[f"{column}_english"])
