"""What is true of each user over the whole period: counts, money, and who they are by the last good account."""

from collections.abc import Mapping

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import Columns, Flags, Ints, height, take
from jobs.simulate.fulfilment import line_amounts
from jobs.simulate.period import Period
from jobs.simulate.world import is_valid_play

OWN_STEPS = (words.PLACED, words.PAID_ORDER, words.RETURN_REQUESTED, words.REVIEWED)  # the others happen to the shopper


def profiles(events: Mapping[str, Columns], catalogue: Catalogue, users: int, period: Period) -> Columns:
    """One row per user of the block, in their order; money in fen, watching in milliseconds."""
    return {
        "user": np.arange(users),
        **_watching(events["views"], catalogue, users),
        **{f"{kind}_count": _count(events["likes"], code, users) for code, kind in enumerate(words.LIKE_KINDS)},
        **{f"order_{kind}_count": _count(events["orders"], code, users) for code, kind in enumerate(words.ORDER_KINDS)},
        **_money(events["orders"], catalogue, users),
        **_presence(events, users, period),
    }


def _count(frame: Columns, kind: int, users: int) -> Ints:
    return np.bincount(frame["user"][frame["kind"] == kind], minlength=users)


def _sum(frame: Columns, values: Ints, rows: Flags, users: int) -> Ints:
    total = np.zeros(users, dtype=np.int64)
    np.add.at(total, frame["user"][rows], values[rows])
    return total


def _watching(views: Columns, catalogue: Catalogue, users: int) -> Columns:
    is_play = views["kind"] == words.PLAY
    is_complete = is_play & (views["watch_ms"] * 10 >= views["duration_ms"] * 9)
    is_room = views["kind"] == words.LIVE_ENTER
    return {
        **{f"{kind}_count": _count(views, code, users) for code, kind in enumerate(words.VIEW_KINDS)},
        "valid_view_count": np.bincount(views["user"][is_valid_play(views, catalogue)], minlength=users),
        "completed_view_count": np.bincount(views["user"][is_complete], minlength=users),
        "play_watch_ms": _sum(views, views["watch_ms"], is_play, users),
        "live_watch_ms": _sum(views, views["watch_ms"], is_room, users),
        "product_watch_ms": _sum(views, views["watch_ms"], views["kind"] == words.PRODUCT_VIEW, users),
    }


def _money(orders: Columns, catalogue: Catalogue, users: int) -> Columns:
    """Gross: what was paid. Net: less refunds, and less what was cancelled after payment without any refund."""
    paid = take(orders, orders["kind"] == words.PAID_ORDER)
    numbers, place = np.unique(paid["order"], return_index=True)
    paid = take(paid, place)
    gross = np.sum(line_amounts(catalogue, paid), axis=0) + paid["freight"]
    refunds = take(orders, (orders["kind"] == words.REFUNDED) & np.isin(orders["order"], numbers))
    refunded = np.zeros(len(numbers), dtype=np.int64)
    np.add.at(refunded, np.searchsorted(numbers, refunds["order"]), refunds["refund_total"])
    cancelled = np.isin(numbers, orders["order"][orders["kind"] == words.CANCELLED])
    net = np.maximum(gross - refunded - np.where(cancelled & (refunded == 0), gross, 0), 0)
    return {
        "order_count": np.bincount(paid["user"], minlength=users),
        "gross_fen": _sum(paid, gross, gross >= 0, users),
        "net_fen": _sum(paid, net, net >= 0, users),
        "refund_fen": _sum(paid, refunded, refunded >= 0, users),
    }


def _presence(events: Mapping[str, Columns], users: int, period: Period) -> Columns:
    """When somebody was there: views, likes, and those steps of an order that a shopper takes."""
    orders = take(events["orders"], np.isin(events["orders"]["kind"], OWN_STEPS))
    acts = (events["views"], events["likes"], orders)
    user, time = (np.concatenate([act[name] for act in acts]) for name in ("user", "time"))
    days = np.unique(user * period.days + period.day_of(time))
    first, last = np.full(users, np.iinfo(np.int64).max), np.zeros(users, dtype=np.int64)
    np.minimum.at(first, user, time)
    np.maximum.at(last, user, time)
    return {
        "event_count": np.bincount(user, minlength=users),
        "active_days": np.bincount(days // period.days, minlength=users),
        "first_seen": first,
        "last_seen": last,
    }


def users(good: Columns, who: Columns, taste: np.ndarray) -> Columns:
    """Who people are: by the last good account of them, with what only the simulator knows beside it."""
    size = height(who)
    order = np.argsort(good["time"], kind="stable")
    newest = np.zeros(size, dtype=np.int64)
    newest[good["user"][order]] = order  # the last one written stays
    told = take(good, newest)
    names = ("birth_year", "region", "tier", "member", "channel", "consent", "is_staff", "registered_at")
    known = ("generation", "is_bot", "is_faker", "arm", "shares_device")
    return {
        "user": np.arange(size),
        **{name: told[name] for name in names},
        **{name: who[name] for name in known},
        "top_category": taste.argmax(axis=1),
    }
