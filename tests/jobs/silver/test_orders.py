"""silver.orders: the life of an order, its money in whole fen."""

import pytest

from jobs.silver.orders import build
from tests.lake.logs import LINE

BODIES = {
    1: {},
    2: {"kind": "refunded", "lines": None, "refund_fen": 500},
    3: {"kind": "refunded", "lines": None},
    4: {"lines": []},
    5: {"lines": [LINE | {"unit_price_fen": -1}]},
    6: {"lines": [LINE | {"quantity": 1.5}]},
    7: {"lines": [LINE, LINE | {"line_id": "l2", "discount_fen": 30}], "invited_by": "u2"},
    8: {"lines": [LINE | {"unit_price_fen": 10**19}]},
    9: {"kind": "refunded", "lines": None, "refund_fen": -1},
    10: {"lines": [LINE | {"quantity": -1}]},
}


@pytest.fixture(scope="module")
def orders(facts):
    return facts(build, "orders", BODIES)


def test_lines_are_typed_and_whole(orders):
    assert [(line.line_id, line.quantity, line.unit_price_fen, line.discount_fen) for line in orders[7].lines] == [
        ("l1", 2, 500, None),
        ("l2", 2, 500, 30),
    ]


def test_who_invited_is_a_pseudonym_too(orders):
    assert orders[7].invited_by == "k1:u2"


def test_a_refund_says_how_much(orders):
    assert orders[2].refund_fen == 500
    assert 3 not in orders


IMPOSSIBLE = {
    "no lines": 4,
    "negative": 5,
    "half a piece": 6,
    "beyond 64 bits": 8,
    "negative refund": 9,
    "negative pieces": 10,
}


@pytest.mark.parametrize("number", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_money_is_refused(orders, number):
    assert number not in orders
