"""An order's money: the first payment counts, refunds come off whenever they come, and nothing absurd is summed."""

from collections.abc import Callable
from typing import Any

import pytest
from pyspark.sql import DataFrame, Row

from jobs.definitions.orders import settled
from tests.jobs.stories import read_act

LINE = ("l1", "p1", "m1", 2, 1_000, 100)  # 19 yuan
HUGE = ("l2", "p1", "m1", 2**40, 2**40, 0)
DEAR = ("l2", "p1", "m1", 1, 10**12 + 1, 0)
LESS = ("l2", "p1", "m1", -1, 1_000, 0)
GIFT = ("l2", "p1", "m1", 1, 100, 9_000)  # the discount is above the price
PAID = {"lines": [LINE], "freight_fen": 100}
Step = tuple[str, dict[str, Any]]
CANCELLED: Step = ("cancelled 11:00", {})


def refund(fen: int, clock: str = "12:00") -> Step:
    """A refund of that much."""
    return f"refunded {clock}", {"refund_fen": fen}


CASES: dict[str, tuple[list[Step], tuple[Any, ...]]] = {  # steps -> (paid, believable, gross, net, refunded too much)
    "paid": ([("paid 10:00", PAID)], (True, True, 2_000, 2_000, False)),
    "only placed": ([("placed 10:00", PAID)], (False, False, None, None, None)),
    "refunded in part": ([("paid 10:00", PAID), refund(500)], (True, True, 2_000, 1_500, False)),
    "refunded twice": ([("paid 10:00", PAID), refund(500), refund(700)], (True, True, 2_000, 800, False)),
    "refunded whole": ([("paid 10:00", PAID), refund(2_000)], (True, True, 2_000, 0, False)),
    "refunded too much": ([("paid 10:00", PAID), refund(2_001)], (True, True, 2_000, 0, True)),
    "refunded beyond counting": ([("paid 10:00", PAID), *[refund(2**63 - 1)] * 3], (True, True, 2_000, 0, True)),
    "refunded less than nothing": ([("paid 10:00", PAID), refund(-500)], (True, True, 2_000, 2_000, False)),
    "refund came first": ([refund(500, "09:00"), ("paid 10:00", PAID)], (True, True, 2_000, 1_500, False)),
    "cancelled after payment": ([("paid 10:00", PAID), CANCELLED], (True, True, 2_000, 0, False)),
    "cancelled, part refunded": ([("paid 10:00", PAID), CANCELLED, refund(1_900)], (True, True, 2_000, 100, False)),
    "cancelled, then paid after all": (
        [("cancelled 09:00", {}), ("paid 10:00", PAID)],
        (True, True, 2_000, 2_000, False),
    ),
    "paid twice": ([("paid 10:00", PAID), ("paid 10:05", {"lines": [LINE, LINE]})], (True, True, 2_000, 2_000, False)),
    "beyond 64 bits": ([("paid 10:00", {"lines": [LINE, HUGE]})], (True, False, None, None, None)),
    "beyond belief": ([("paid 10:00", {"lines": [DEAR]})], (True, False, 10**12 + 1, 10**12 + 1, False)),
    "below zero": ([("paid 10:00", {"lines": [GIFT]})], (True, False, -8_900, 0, True)),
    "pieces below zero": ([("paid 10:00", {"lines": [LESS]})], (True, False, -1_000, 0, True)),
    "no lines": ([("paid 10:00", {})], (True, False, None, None, None)),
}


@pytest.fixture(scope="module")
def orders(table: Callable[[str, list[dict[str, Any]]], DataFrame]) -> dict[str, Row]:
    rows = [
        read_act(act)[1] | columns | {"user_id": "u", "order_id": name, "event_id": f"{name} {place}"}
        for name, (steps, _) in CASES.items()
        for place, (act, columns) in enumerate(steps)
    ]
    return {row.order_id: row for row in settled(table("silver.orders", rows)).collect()}


@pytest.mark.parametrize("name", CASES)
def test_an_order_is_worth_what_is_left_of_it(orders: dict[str, Row], name: str) -> None:
    row = orders[name]
    assert (row.is_paid, row.is_believable, row.gross_fen, row.net_fen, row.is_over_refunded) == CASES[name][1]
