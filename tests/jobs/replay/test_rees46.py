"""rees46: sessions with prices."""

import pytest

from jobs.replay.rees46 import COLUMNS, read

LOG = [
    "2019-10-01 00:00:00 UTC,view,70,900,electronics.clock,casio,35.79,7,s1",
    "2019-10-01 00:00:05 UTC,cart,70,900,electronics.clock,casio,35.79,7,s1",
    "2019-10-01 00:00:09 UTC,purchase,70,900,electronics.clock,casio,35.79,7,s1",
    "2019-10-01 00:00:09 UTC,view,71,901,,,0.00,8,s2",
    "2019-10-01 00:00:09 UTC,view,71,901,,",
    "2019-10-01 00:00:09,view,71,901,,,1.00,8,s2",
    "2019-10-01 00:00:09 UTC,view,71,901,,,dear,8,s2",
]


@pytest.fixture
def log(tmp_path):
    (tmp_path / "log.csv").write_bytes("\r\n".join([",".join(COLUMNS), *LOG]).encode() + b"\r\n")
    return read(tmp_path / "log.csv")


def test_views_carts_and_purchases_keep_session_price_and_brand(log, bodies):
    view, empty = bodies(log, "views")
    assert (view["session_id"], view["price_fen"], view["brand"], view["category_code"]) == (
        "s1", 3579, "casio", "electronics.clock",
    )  # fmt: skip
    assert "brand" not in empty
    assert [act["kind"] for act in bodies(log, "likes")] == ["add_to_cart"]


def test_a_purchase_is_placed_and_paid_at_its_price(log, bodies):
    placed, paid = bodies(log, "orders")
    assert (placed["kind"], paid["kind"]) == ("placed", "paid")
    assert placed["event_time"] == paid["event_time"]
    assert paid["lines"][0]["unit_price_fen"] == 3579
    assert paid["session_id"] == "s1"


def test_products_carry_their_first_price_and_a_category_by_name_or_number(log, bodies):
    first, second = bodies(log, "products")
    assert (first["list_price_fen"], first["category"]) == (3579, "electronics.clock")
    assert (second["list_price_fen"], second["category"]) == (0, "901")


def test_rows_that_do_not_fit_are_set_aside(log):
    assert [row.reason for row in log.unreadable] == [
        "malformed: not 9 fields", "wrong_type:event_time", "wrong_type:price",
    ]  # fmt: skip
    assert log.unreadable[0].row == LOG[4].encode()


def test_the_real_log_is_told_whole(real, bodies):
    log = read(real("rees46"))
    assert (log.rows_in, len(log.unreadable)) == (17_435, 1)
    assert log.unreadable[0].row.endswith(b"elenberg,25.71,52040330")
    assert [stream.rows.height for stream in log.streams] == [6_493, 17_055, 165, 214, 214]
    facts = bodies(log, "views") + bodies(log, "likes") + bodies(log, "orders", "placed")
    assert len(facts) - len({body["event_id"] for body in facts}) == 5  # surplus exact duplicates
