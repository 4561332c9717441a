"""What becomes of an order: paid, cancelled, shipped, delivered, refunded, reviewed: topic `orders`."""

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue, draw_products
from jobs.simulate.columns import NONE, Columns, Flags, Ints, dice, height, take
from jobs.simulate.people import People
from jobs.simulate.period import DAY, HOUR, MINUTE, SECOND

LINES = 3  # at most so many lines in an order
UNPAID_AFTER = 30 * MINUTE
LINE_COLUMNS = tuple(f"{name}_{i}" for i in range(LINES) for name in ("product", "quantity", "discount"))
REFUND_COLUMNS = tuple(f"{name}_{i}" for i in range(LINES) for name in ("refund_quantity", "refund"))
HEADS = ("user", "device", "order", "scene", "source", "campaign", "video", "room", "is_fake")


def fill_orders(seed: int, people: People, catalogue: Catalogue, orders: Columns) -> Columns:
    """Add what an order holds: its lines, freight, coupon, places, and what will happen to it."""
    chance = dice(seed, "orders", people.first)
    size = height(orders)
    filled = {**orders, "order": people.first * 4096 + np.arange(size), **_lines(chance, catalogue, orders)}
    merchant = catalogue.products["merchant"][orders["product"]]
    filled |= {
        "ship_from": catalogue.merchants["region"][merchant],
        "ship_to": people.who["region"][orders["user"]],
        "is_own_brand": catalogue.merchants["is_own_brand"][merchant],
        "is_cross_border": (chance.random(size) < 0.04).astype(np.int64),
        "freight": np.where(chance.random(size) < 0.6, 0, chance.integers(5, 20, size) * 100),
        "coupon": np.where(chance.random(size) < 0.15, chance.integers(0, 50, size), NONE),
        "points": np.where(chance.random(size) < 0.1, chance.integers(1, 30, size) * 10, 0),
        "pay": people.who["pay"][orders["user"]],
        "group_buy": np.where(chance.random(size) < 0.05, chance.integers(0, 10_000, size), NONE),
        "invited_by": np.where(chance.random(size) < 0.04, chance.integers(0, people.size, size), NONE),
    }
    return filled


def _lines(chance: np.random.Generator, catalogue: Catalogue, orders: Columns) -> Columns:
    size = height(orders)
    count = 1 + (chance.random(size) < 0.22) + (chance.random(size) < 0.07)
    category = catalogue.products["category"][orders["product"]]
    lines: Columns = {"line_count": count}
    for i in range(LINES):
        product = draw_products(chance, catalogue, category) if i else orders["product"]
        quantity = 1 + (chance.random(size) < 0.12)
        discount = np.where(chance.random(size) < 0.3, catalogue.products["price"][product] // 10 * quantity, 0)
        for name, values in (("product", product), ("quantity", quantity), ("discount", discount)):
            lines[f"{name}_{i}"] = np.where(i < count, values, NONE)
    return lines


def line_amounts(catalogue: Catalogue, orders: Columns) -> list[Ints]:
    """Fen of each line after discount; 0 where an order has fewer lines."""
    return [
        np.where(
            orders[f"product_{i}"] >= 0,
            orders[f"quantity_{i}"] * catalogue.products["price"][orders[f"product_{i}"]] - orders[f"discount_{i}"],
            0,
        )
        for i in range(LINES)
    ]


def fulfil(seed: int, people: People, catalogue: Catalogue, orders: Columns) -> list[Columns]:
    """All events of the orders, from placed on."""
    chance = dice(seed, "fulfilment", people.first)
    is_paid = orders["paid_at"] >= 0
    unpaid = take(orders, ~is_paid & (chance.random(height(orders)) < 0.8))
    paid = take(orders, is_paid)
    is_regretted = (chance.random(height(paid)) < 0.04) & (paid["is_fake"] != 1)
    regretted, kept = take(paid, is_regretted), take(paid, ~is_regretted)
    regretted["cancelled_at"] = regretted["paid_at"] + chance.integers(MINUTE, 10 * HOUR, height(regretted))
    return [
        _event(orders, words.PLACED, orders["placed_at"], with_lines=True),
        _event(unpaid, words.CANCELLED, unpaid["placed_at"] + UNPAID_AFTER),
        _event(paid, words.PAID_ORDER, paid["paid_at"], with_lines=True),
        _event(regretted, words.CANCELLED, regretted["cancelled_at"]),
        _refund(
            chance, catalogue, take(regretted, chance.random(height(regretted)) < 0.7), "cancelled_at", is_whole=True
        ),
        *_on_the_way(chance, catalogue, kept),
    ]


def _on_the_way(chance: np.random.Generator, catalogue: Catalogue, paid: Columns) -> list[Columns]:
    """Shipping takes hours to days, the way depends on the region; fakes arrive at once."""
    size = height(paid)
    is_fake = paid["is_fake"] == 1
    packing = (chance.lognormal(-0.4, 0.7, size) * np.where(paid["is_own_brand"], 0.5, 1.0) * DAY).astype(np.int64)
    shipped = paid["paid_at"] + np.where(is_fake, 10 * SECOND, packing + HOUR)
    way = (words.REGION_DAYS[paid["ship_to"]] * chance.gamma(8.0, 1 / 8.0, size) * DAY).astype(np.int64)
    paid["delivered_at"] = shipped + np.where(is_fake, MINUTE, way)
    paid["promised_by"] = paid["paid_at"] + 4 * DAY
    reviewers = take(paid, is_fake | (chance.random(size) < 0.35))
    review = _event(
        reviewers, words.REVIEWED, reviewers["delivered_at"] + chance.integers(MINUTE, 2 * DAY, height(reviewers))
    )
    stars = 1 + chance.binomial(4, 0.8, height(reviewers))
    return [
        _event(paid, words.SHIPPED, shipped, "promised_by"),
        _event(paid, words.DELIVERED, paid["delivered_at"]),
        {**review, "rating": np.where(reviewers["is_fake"] == 1, 5, stars)},
        *_sent_back(chance, catalogue, take(paid, ~is_fake & (chance.random(size) < 0.12))),
    ]


def _sent_back(chance: np.random.Generator, catalogue: Catalogue, orders: Columns) -> list[Columns]:
    """Asked to return, sent back, refunded: wholly or only the first line; some get money without sending back."""
    size = height(orders)
    asked = orders["delivered_at"] + chance.integers(HOUR // 2, 2 * DAY, size)
    orders["returned_at"] = asked + chance.integers(HOUR, 2 * DAY, size)
    is_whole = chance.random(size) < 0.7
    returned = take(orders, chance.random(size) < 0.8)
    return [
        _event(orders, words.RETURN_REQUESTED, asked),
        _event(returned, words.RETURNED, returned["returned_at"]),
        _refund(chance, catalogue, take(orders, is_whole), "returned_at", is_whole=True),
        _refund(chance, catalogue, take(orders, ~is_whole), "returned_at", is_whole=False),
    ]


def _refund(
    chance: np.random.Generator, catalogue: Catalogue, orders: Columns, since: str, *, is_whole: bool
) -> Columns:
    """Money back: all lines, or the better half of the first line; freight is never given back."""
    amounts = line_amounts(catalogue, orders)
    refund = _event(orders, words.REFUNDED, orders[since] + chance.integers(MINUTE, 5 * HOUR, height(orders)))
    total = np.zeros(height(orders), dtype=np.int64)
    for i in range(LINES):
        is_back: Flags = (orders[f"product_{i}"] >= 0) & (is_whole or i == 0)
        fen = amounts[i] if is_whole else amounts[i] * 6 // 10
        refund[f"refund_quantity_{i}"] = np.where(is_back, orders[f"quantity_{i}"], NONE)
        refund[f"refund_{i}"] = np.where(is_back, fen, NONE)
        total += np.where(is_back, fen, 0)
    return {**refund, "refund_total": total}


def _event(orders: Columns, kind: int, times: Ints, *more: str, with_lines: bool = False) -> Columns:
    names = [*HEADS, *more]
    if with_lines:
        names += [*LINE_COLUMNS, "ship_from", "ship_to", "is_cross_border", "freight", "coupon", "points", "pay",
                  "group_buy", "invited_by"]  # fmt: skip
    return {**{name: orders[name] for name in names}, "time": times, "kind": np.full(len(times), kind)}
