"""olist: the life of an order, in Brazilian local time."""

from collections import Counter
from datetime import UTC, date, datetime

import pytest

from jobs.lake.errors import UsageError
from jobs.replay.olist import COLUMNS, read

TABLES = {
    "orders": [
        "o1,c1,delivered,2017-07-09 21:57:05,2017-07-09 22:10:13,2017-07-11 14:58:04,2017-07-26 10:57:55,"
        "2017-08-01 00:00:00",
        "o2,c2,canceled,2017-10-15 00:30:00,2017-10-15 01:30:00,,,2017-11-01 00:00:00",
        "o3,c3,created,2018-02-17 23:30:00,,,,2018-03-01 00:00:00",
        "o4,c4,created,once upon a time,,,,2018-03-01 00:00:00",
    ],
    "order_items": ["o1,2,p2,s2,5.00,1.10", "o1,1,p1,s1,99.9,27.65"],
    "order_payments": ["o1,1,voucher,20.00", "o1,2,credit_card,113.65", "o2,1,boleto,10.01"],
    "order_reviews": ['r1,o1,4,"2017-07-30 10:00:00"'],
    "customers": ["c1,ann,recife,PE", "c2,bob,recife,PE", "c3,ann,olinda,PE", "c4,eve,olinda,PE"],
    "sellers": ["s1,SP", "s2,RJ"],
    "products": ["p1,beleza_saude", "p2,"],
}


def utc(*parts: int) -> int:
    """An instant in µs."""
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000


@pytest.fixture
def folder(tmp_path):
    for name, rows in TABLES.items():
        content = "\n".join([",".join(COLUMNS[name]), *rows]) + "\n"
        (tmp_path / f"olist_{name}_dataset.csv").write_text(content)
    words = "product_category_name,product_category_name_english\nbeleza_saude,health_beauty\n"
    (tmp_path / "product_category_name_translation.csv").write_text(words)
    return tmp_path


@pytest.fixture
def orders(folder, bodies):
    return bodies(read(folder), "orders")


def of(orders, order_id, kind):
    (body,) = [body for body in orders if (body["order_id"], body["kind"]) == (order_id, kind)]
    return body


def test_an_order_lives_from_placed_to_reviewed(orders):
    life = [(body["kind"], body["event_time"]) for body in orders if body["order_id"] == "o1"]
    assert life == [
        ("placed", utc(2017, 7, 10, 0, 57, 5)),
        ("paid", utc(2017, 7, 10, 1, 10, 13)),
        ("shipped", utc(2017, 7, 11, 17, 58, 4)),
        ("delivered", utc(2017, 7, 26, 13, 57, 55)),
        ("reviewed", utc(2017, 7, 30, 13, 0, 0)),
    ]
    assert of(orders, "o1", "reviewed")["rating"] == 4


def test_what_was_bought_is_on_placed_and_paid(orders):
    paid = of(orders, "o1", "paid")
    assert [(line["line_id"], line["product_id"], line["unit_price_fen"]) for line in paid["lines"]] == [
        ("1", "p1", 9990), ("2", "p2", 500),
    ]  # fmt: skip
    assert (paid["freight_fen"], paid["payment_method"], paid["payment_types"]) == (
        2875,
        "credit_card",
        "credit_card+voucher",
    )
    assert (paid["ship_from_region"], paid["ship_to_region"]) == ("SP", "PE")
    assert paid["promised_by"] == utc(2017, 8, 1, 3)
    assert paid["user_id"] == "ann"


def test_an_hour_the_clock_skipped_becomes_the_next(orders):
    assert of(orders, "o2", "placed")["event_time"] == utc(2017, 10, 15, 3, 30)  # 00:30 did not exist: 01:30 it was
    assert of(orders, "o2", "paid")["event_time"] == utc(2017, 10, 15, 3, 30)


def test_an_hour_the_clock_repeated_is_the_first_of_the_two(orders):
    assert of(orders, "o3", "placed")["event_time"] == utc(2018, 2, 18, 1, 30)  # still at −02:00


def test_a_cancel_comes_a_second_after_the_last_that_is_known(orders):
    assert of(orders, "o2", "cancelled")["event_time"] == utc(2017, 10, 15, 3, 30, 1)


def test_an_order_without_items_is_one_line_worth_what_was_paid(orders):
    paid = of(orders, "o2", "paid")
    assert [(line["product_id"], line["unit_price_fen"]) for line in paid["lines"]] == [("unknown", 1001)]
    assert (paid["is_item_known"], of(orders, "o1", "paid")["is_item_known"]) == (False, True)


def test_a_row_without_its_time_is_set_aside(folder):
    log = read(folder)
    assert [row.reason for row in log.unreadable] == ["wrong_type:order_purchase_timestamp"]
    assert log.unreadable[0].row.startswith(b"o4,c4,created,once")


def test_buyers_sellers_and_products_are_there_a_second_before_their_first_order(folder, bodies):
    log = read(folder)
    first = utc(2017, 7, 10, 0, 57, 4)
    users = {body["user_id"]: body for body in bodies(log, "users")}
    assert (users["ann"]["event_time"], users["ann"]["region"]) == (first, "PE")
    assert {(body["merchant_id"], body["event_time"]) for body in bodies(log, "merchants")} == {
        ("s1", first),
        ("s2", first),
    }
    products = {body["product_id"]: body for body in bodies(log, "products")}
    assert (products["p1"]["category"], products["p1"]["list_price_fen"]) == ("health_beauty", 9990)
    assert "category" not in products["p2"]


def test_a_moved_log_keeps_the_local_time_of_day_though_the_clock_changes_are_gone(folder, bodies):
    log = read(folder, date(2026, 11, 22))  # the last that happened was on 2018-02-17
    assert [body["event_time"] for body in bodies(log, "orders") if body["order_id"] == "o3"] == [
        utc(2026, 11, 23, 2, 30)
    ]


def test_a_folder_without_the_files_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"olist_orders_dataset\.csv: no such file"):
        read(tmp_path)


def test_the_real_log_is_told_whole(real, bodies):
    log = read(real("olist"))
    assert log.unreadable == ()
    counts = Counter(body["kind"] for body in bodies(log, "orders"))
    assert counts == {
        "placed": 8_135, "paid": 7_989, "shipped": 6_353, "delivered": 5_170, "cancelled": 625, "reviewed": 8_225,
    }  # fmt: skip
    paid = bodies(log, "orders", "paid")
    assert sum(not body["is_item_known"] for body in paid) > 600
    assert len(bodies(log, "users")) == 8_016
