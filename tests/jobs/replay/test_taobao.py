"""taobao: page views, favourites, carts and buys without prices."""

from datetime import date

import pytest

from jobs.lake.errors import UsageError
from jobs.replay.taobao import read

LOG = """\
7,70,700,pv,1511658000
7,70,700,cart,1511658001
8,71,700,fav,1511658001
7,70,700,buy,1511658002
9,72,701,pv,15"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "UserBehavior.csv"
    file.write_text(LOG)
    return file


def test_each_behaviour_has_its_event(path, bodies):
    told = [(body["kind"], body["event_time"] // 1_000_000 - 1_511_658_000) for body in bodies(read(path))[2:]]
    assert told == [("product_view", 0), ("favourite", 1), ("add_to_cart", 1), ("placed", 2), ("paid", 2)]


def test_a_buy_is_placed_and_paid_at_once_for_nothing(path, bodies):
    placed, paid = bodies(read(path), "orders")
    assert placed["order_id"] == paid["order_id"] == "taobao-7-70-1511658002"
    assert paid["lines"] == [
        {"line_id": "1", "product_id": "70", "merchant_id": "unknown", "quantity": 1, "unit_price_fen": 0}
    ]


def test_items_are_products_before_the_first_look(path, bodies):
    products = bodies(read(path), "products")
    assert [(product["product_id"], product["category"]) for product in products] == [("70", "700"), ("71", "700")]
    assert {product["event_time"] for product in products} == {1_511_625_600_000_000}


def test_a_time_that_was_cut_off_is_no_time(path):
    log = read(path)
    assert [(row.row, row.reason) for row in log.unreadable] == [(b"9,72,701,pv,15", "out_of_range:seconds")]
    assert log.rows_in == 5
    assert log.complete_until == 1_511_658_002_000_001


def test_garbage_is_set_aside_byte_by_byte(path):
    path.write_bytes(LOG.encode() + b"\n\xff\xfe,1\n1,2,3,gaze,1511658002\n\n")
    reasons = {row.row: row.reason for row in read(path).unreadable}
    assert reasons[b"\xff\xfe,1"] == "invalid_utf8"
    assert reasons[b"1,2,3,gaze,1511658002"] == "not_allowed:behaviour"
    assert reasons[b""] == "malformed: not 5 fields"


def test_a_log_without_a_readable_row_is_refused(path):
    path.write_text("hello\n")
    with pytest.raises(UsageError, match="not one of 1 rows is of this format"):
        read(path)


def test_the_last_local_day_becomes_the_day_asked_for(path, bodies):
    told = bodies(read(path, date(2026, 11, 22)), "views")
    assert told[0]["event_time"] == 1_795_309_200_000_000  # 09:00 in Shanghai, as it was


def test_the_real_log_is_told_whole(real, bodies):
    log = read(real("taobao"))
    assert (log.rows_in, [row.row for row in log.unreadable]) == (96_169, [b"301780,543546,4181361,pv,15"])
    assert [stream.rows.height for stream in log.streams] == [75_384, 85_773, 2_959, 5_292, 2_144, 2_144]
    times = [body["event_time"] for body in bodies(log, "views")]
    assert times == sorted(times)
