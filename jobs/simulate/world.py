"""One block of the world: all true events of its users, by topic, before anything goes wrong on the way."""

from dataclasses import dataclass

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import NONE, Columns, Flags, height, stack, take
from jobs.simulate.entities import catalogue_changes, user_changes
from jobs.simulate.fulfilment import LINE_COLUMNS, REFUND_COLUMNS, fill_orders, fulfil
from jobs.simulate.people import People, make_people
from jobs.simulate.period import Period
from jobs.simulate.shopping import go_shopping
from jobs.simulate.visits import make_feed, make_first_looks, make_visits
from jobs.simulate.watching import acts_of, views_of

FACTS = ("views", "likes", "orders")
ENTITIES = ("users", "videos", "products", "merchants")
TOPICS = (*FACTS, *ENTITIES)
COMMON = ("user", "device", "time", "kind", "scene", "source", "campaign", "video", "room", "sent_after")
COLUMNS = {
    "views": (*COMMON, "product", "query", "position", "watch_ms", "duration_ms", "heartbeats", "feature",
              "is_anonymous"),
    "likes": (*COMMON, "product", "creator", "share_channel", "comment_length"),
    "orders": (*COMMON, "order", "coupon", "points", "freight", "pay", "ship_from", "ship_to", "is_cross_border",
               "promised_by", "group_buy", "invited_by", "refund_total", "rating", "is_fake",
               *LINE_COLUMNS, *REFUND_COLUMNS),
}  # fmt: skip


@dataclass(frozen=True)
class Block:
    """The people of a block and their true events, each topic sorted by time."""

    people: People
    events: dict[str, Columns]


def make_block(seed: int, first: int, size: int, catalogue: Catalogue, period: Period, rate: float = 1.0) -> Block:
    """All true events of a block; the first block tells of the catalogue as well."""
    people = make_people(seed, first, size, period)
    feed = make_feed(seed, people, catalogue, make_visits(seed, people, period, rate))
    shopping = go_shopping(seed, people, catalogue, feed, period)
    orders = fill_orders(seed, people, catalogue, shopping.orders)
    looks = make_feed(seed, people, catalogue, make_first_looks(seed, people, period), "first looks feed")
    parts = {
        "views": [*views_of(feed), *shopping.product_views, *map(_anonymous, views_of(looks))],
        "likes": [*acts_of(seed, people, catalogue, feed), *shopping.baskets],
        "orders": fulfil(seed, people, catalogue, orders),
    }
    events = {topic: _told_of(people, stack(parts[topic], COLUMNS[topic]), period) for topic in FACTS}
    events["users"] = user_changes(seed, people, period)
    if first == 0:
        events |= catalogue_changes(seed, catalogue, period)
    return Block(people, events)


def _anonymous(views: Columns) -> Columns:
    return {**views, "is_anonymous": np.ones(height(views), dtype=np.int64)}


def _told_of(people: People, frame: Columns, period: Period) -> Columns:
    """Within the period, in order of time, with what every event says of its user."""
    inside = np.flatnonzero((frame["time"] >= period.start) & (frame["time"] < period.end))
    told = take(frame, inside[np.argsort(frame["time"][inside], kind="stable")])
    told["sent_after"] = np.maximum(told["sent_after"], 0)
    if "is_anonymous" in told:  # who is not logged in goes by the device's name: in words, after those of the users
        told["visitor"] = np.where(told["is_anonymous"] == 1, people.size + told["device"], told["user"])
    for name in ("region", "app", "arm"):
        told[name] = people.who[name][told["user"]]
    return told


def is_valid_play(views: Columns, catalogue: Catalogue) -> Flags:
    """The simulator's own words: three seconds or a third of the video, and no advertisement."""
    is_play = (views["kind"] == words.PLAY) & (views["video"] != NONE)
    is_watched = (views["watch_ms"] >= 3_000) | (views["watch_ms"] * 3 >= views["duration_ms"])
    valid: Flags = is_play & is_watched & ~catalogue.videos["is_ad"][views["video"]]
    return valid
