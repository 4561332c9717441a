"""From a thing shown to an order paid: product views, baskets, orders placed; with repeat purchases and fake orders."""

from dataclasses import dataclass

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue, draw_products
from jobs.simulate.columns import NONE, Columns, Floats, Ints, dice, height, stack, take
from jobs.simulate.people import People, budgets
from jobs.simulate.period import DAY, MINUTE, SECOND, Period
from jobs.simulate.watching import context

OPENING, BASKET, BUYING = 0.3, 0.2, 0.13  # base chances of opening a product, of the basket, of ordering
REPEAT = 0.35  # chance that a paid order is followed by another at the same shop
FAKE_ORDERS = 9  # per faker, over the period
CONSIDERED = ("user", "device", "scene", "source", "campaign", "video", "room", "product", "time", "liking", "extra")
BOUGHT = (*CONSIDERED, "is_fake", "is_repeat")


@dataclass(frozen=True)
class Shopping:
    """Product views (topic views), baskets (topic likes) and the orders placed, each with its moment of payment."""

    product_views: list[Columns]
    baskets: list[Columns]
    orders: Columns


def go_shopping(seed: int, people: People, catalogue: Catalogue, feed: Columns, period: Period) -> Shopping:
    """Everything between interest and order, for all users of the block."""
    chance = dice(seed, "shopping", people.first)
    budget = budgets(people, seed)
    considered = stack([_opened(chance, people, catalogue, feed, budget), _in_mall(feed)], CONSIDERED)
    first = _order(chance, take(considered, _buys(chance, people, catalogue, considered, budget)))
    again = _come_back(chance, first, catalogue)
    second = _order(chance, take(again, _buys(chance, people, catalogue, again, budget, ease=4.0)))
    second["is_repeat"] = np.ones(height(second), dtype=np.int64)
    fakes = _fake(chance, people, catalogue, period)
    orders = stack([first, second, fakes], (*BOUGHT, "placed_at", "paid_at"))
    baskets = _baskets(chance, stack([considered, again], CONSIDERED), catalogue)
    return Shopping([_viewed(chance, catalogue, rows) for rows in (considered, again)], baskets, orders)


def _opened(
    chance: np.random.Generator, people: People, catalogue: Catalogue, feed: Columns, budget: Floats
) -> Columns:
    """Who opens the product of what they watch: hazards of taste, price, scene, fatigue, campaign and experiment."""
    stage = take(feed, ((feed["video"] >= 0) & feed["is_played"] | (feed["room"] >= 0)) & (feed["product"] >= 0))
    who, user = people.who, stage["user"]
    odds = OPENING * stage["liking"] * _price_fits(catalogue, stage["product"], budget[user])
    odds *= np.where(stage["room"] >= 0, 2.0, 1.0) * np.where(stage["campaign"] >= 0, words.CAMPAIGN_LIFT, 1.0)
    odds *= np.where(who["arm"][user] == 1, words.LIFT, 1.0) * (stage["watch_ms"] > 1_500) * ~who["is_bot"][user]
    chosen = take(stage, chance.random(len(odds)) < odds)
    reached = chosen["watch_ms"] * 1000 + chance.integers(SECOND, 30 * SECOND, height(chosen))
    return {**context(chosen), **_wanting(chosen, chosen["time"] + reached)}


def _in_mall(feed: Columns) -> Columns:
    """In the mall and in search a product is opened from the shelf."""
    shelf = take(feed, (feed["video"] < 0) & (feed["room"] < 0) & (feed["liking"] > 0.12))
    return {**context(shelf), **_wanting(shelf, shelf["time"])}


def _wanting(rows: Columns, times: Ints) -> Columns:
    return {"product": rows["product"], "liking": rows["liking"], "time": times, "extra": rows["query"]}


def _price_fits(catalogue: Catalogue, product: Ints, budget: Floats) -> Floats:
    """1 for what costs nothing, a half at the budget, falling beyond."""
    return budget / (budget + catalogue.products["price"][product])


def _buys(
    chance: np.random.Generator, people: People, catalogue: Catalogue, rows: Columns, budget: Floats, ease: float = 1.0
) -> np.ndarray:
    user, product = rows["user"], rows["product"]
    odds = BUYING * ease * people.who["buying"][user] * catalogue.products["ease"][product]
    odds *= 2 * _price_fits(catalogue, product, budget[user]) * (0.4 + rows["liking"])
    return chance.random(len(user)) < odds.clip(0, 0.8)


def _order(chance: np.random.Generator, rows: Columns) -> Columns:
    """Placed after a while of thinking, paid soon after or never (`NONE`)."""
    size = height(rows)
    placed = rows["time"] + (chance.lognormal(4.4, 0.9, size).clip(2, 40_000) * SECOND).astype(np.int64)
    paid = placed + (chance.lognormal(3.4, 0.9, size).clip(1, 1_700) * SECOND).astype(np.int64)
    return {**rows, "placed_at": placed, "paid_at": np.where(chance.random(size) < 0.87, paid, NONE)}


def _come_back(chance: np.random.Generator, orders: Columns, catalogue: Catalogue) -> Columns:
    """A satisfied buyer opens something of the same kind in the mall some days later."""
    happy = take(orders, (orders["paid_at"] >= 0) & (chance.random(height(orders)) < REPEAT))
    size = height(happy)
    back = {name: happy[name] for name in CONSIDERED}
    same = chance.random(size) < 0.4
    other = draw_products(chance, catalogue, catalogue.products["category"][happy["product"]])
    return {
        **back,
        "product": np.where(same, happy["product"], other),
        "time": happy["paid_at"] + (chance.exponential(1.6, size) * DAY).astype(np.int64) + MINUTE,
        "scene": np.full(size, words.MALL),
        "source": np.full(size, words.FOLLOW),
        **{name: np.full(size, NONE) for name in ("campaign", "video", "room")},
    }


def _fake(chance: np.random.Generator, people: People, catalogue: Catalogue, period: Period) -> Columns:
    """Orders that nobody looked for: placed and paid within seconds at a merchant who wants the count."""
    fakers = np.flatnonzero(people.who["is_faker"])
    at_fraud = np.flatnonzero(catalogue.merchants["is_fraud"][catalogue.products["merchant"]])
    user = np.repeat(fakers, FAKE_ORDERS if len(at_fraud) else 0)
    size = len(user)
    placed = chance.integers(period.start, period.end, size)
    product = at_fraud[chance.integers(0, len(at_fraud), size)] if size else user
    return {
        "user": user, "device": people.who["device"][user], "product": product, "time": placed, "placed_at": placed,
        "paid_at": placed + chance.integers(SECOND, 4 * SECOND, size), "scene": np.full(size, words.MALL),
        "source": np.full(size, words.RECOMMEND), "liking": np.ones(size), "is_fake": np.ones(size, dtype=np.int64),
    }  # fmt: skip


def _viewed(chance: np.random.Generator, catalogue: Catalogue, rows: Columns) -> Columns:
    tried = catalogue.products["has_ar"][rows["product"]] & (chance.random(height(rows)) < 0.2)
    return {
        **context(rows),
        "product": rows["product"],
        "time": rows["time"],
        "kind": np.full(height(rows), words.PRODUCT_VIEW),
        "feature": np.where(tried, 0, NONE),
        "watch_ms": chance.integers(800, 60_000, height(rows)),
    }


def _baskets(chance: np.random.Generator, rows: Columns, catalogue: Catalogue) -> list[Columns]:
    """Into the basket, and sometimes out of it again."""
    put = take(rows, chance.random(height(rows)) < BASKET * (0.5 + rows["liking"]))
    add = words.LIKE_KINDS.index("add_to_cart")
    baskets = {
        **context(put),
        "product": put["product"],
        "time": put["time"] + chance.integers(2 * SECOND, 50 * SECOND, height(put)),
        "kind": np.full(height(put), add),
    }
    back = take(baskets, chance.random(height(put)) < 0.15)
    back["time"] = back["time"] + chance.integers(MINUTE, 300 * MINUTE, height(back))
    return [baskets, {**back, "kind": np.full(height(back), add + 1)}]
