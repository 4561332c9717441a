"""What is said about users, videos, products and merchants: first accounts, later changes, corrections, withdrawals."""

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import Columns, Ints, dice, height, pick, take
from jobs.simulate.people import People
from jobs.simulate.period import DAY, HOUR, Period

MOVING, CORRECTED, REPRICED, RETAGGED, GROWING = 0.05, 0.01, 0.1, 0.04, 0.08
WITHDRAWN = 4  # videos and products that nobody met, withdrawn by a tombstone
FIRST, UPDATED = 0, 1  # kinds
SNAPSHOT_BEFORE = 6 * HOUR  # what is older than the first day is told this long before it


def user_changes(seed: int, people: People, period: Period) -> Columns:
    """Registrations; moves to another city or membership; corrections that are valid from the same instant on."""
    chance = dice(seed, "user changes", people.first)
    names = ("registered_at", "birth_year", "region", "tier", "member", "channel", "consent", "is_staff")
    accounts: Columns = {"user": np.arange(people.size), **{name: people.who[name] for name in names}}
    accounts["invited_by"] = np.where(accounts["channel"] == 2, chance.integers(0, people.size, people.size), -1)
    accounts |= {"time": accounts["registered_at"], "kind": np.zeros(people.size, dtype=np.int64)}
    moved = take(accounts, chance.random(people.size) < MOVING)
    moved["tier"] = pick(chance, words.TIER_SHARES, height(moved))
    moved["region"] = pick(chance, words.REGION_SHARES, height(moved))
    moved["member"] = pick(chance, words.MEMBER_SHARES, height(moved))
    moved = _changed(chance, moved, moved["registered_at"], period)
    corrected = take(moved, chance.random(height(moved)) < max(CORRECTED / MOVING, 0.1))
    corrected["tier"] = pick(chance, words.TIER_SHARES, height(corrected))
    return _told([accounts, moved, corrected], period)


def _changed(chance: np.random.Generator, rows: Columns, since: Ints, period: Period) -> Columns:
    """A change at some instant of the period, after the thing came to be."""
    size = height(rows)
    times = np.maximum(since + 1_000_000, chance.integers(period.start, period.end, size))
    return {**rows, "time": times, "kind": np.full(size, UPDATED)}


def _told(parts: list[Columns], period: Period) -> Columns:
    """Put the parts together; a correction keeps its place after what it corrects."""
    frame = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    told = take(frame, np.argsort(frame["time"], kind="stable"))
    told["is_deleted"] = np.zeros(height(told), dtype=np.int64) if "is_deleted" not in told else told["is_deleted"]
    waits = np.maximum(told["time"], period.start - SNAPSHOT_BEFORE) - told["time"]
    return {**told, "sent_after": waits, "is_snapshot": waits > 0}


def catalogue_changes(seed: int, catalogue: Catalogue, period: Period) -> dict[str, Columns]:
    """The changes of everything that is no user, by topic."""
    return {
        "videos": _videos(seed, catalogue, period),
        "products": _products(seed, catalogue, period),
        "merchants": _merchants(seed, catalogue, period),
    }


def _numbered(frame: Columns, name: str, times: Ints) -> Columns:
    size = height(frame)
    return {**frame, name: np.arange(size), "time": times, "kind": np.zeros(size, dtype=np.int64)}


def _videos(seed: int, catalogue: Catalogue, period: Period) -> Columns:
    chance = dice(seed, "video changes")
    published = _numbered(
        {**catalogue.videos, "content": catalogue.videos["kind"]}, "video", catalogue.videos["published_at"]
    )
    changed = take(published, chance.random(height(published)) < RETAGGED)
    changed["tag"] = chance.integers(0, len(words.TAGS), height(changed))
    changed = _changed(chance, changed, changed["published_at"], period)
    return _told([*_with_withdrawn(published, "video", period), _kept(changed)], period)


def _products(seed: int, catalogue: Catalogue, period: Period) -> Columns:
    chance = dice(seed, "product changes")
    listed_at = period.start - chance.integers(DAY, 300 * DAY, height(catalogue.products))
    listed = _numbered(catalogue.products, "product", listed_at)
    changed = take(listed, chance.random(height(listed)) < REPRICED)
    changed["price"] = changed["price"] * chance.integers(70, 115, height(changed)) // 100
    changed = _changed(chance, changed, changed["time"], period)
    return _told([*_with_withdrawn(listed, "product", period), _kept(changed)], period)


def _merchants(seed: int, catalogue: Catalogue, period: Period) -> Columns:
    chance = dice(seed, "merchant changes")
    opened = _numbered(catalogue.merchants, "merchant", catalogue.merchants["opened_at"])
    changed = take(opened, chance.random(height(opened)) < GROWING)
    changed["size"] = np.minimum(changed["size"] + 1, len(words.SIZES) - 1)
    return _told([_kept(opened), _kept(_changed(chance, changed, changed["opened_at"], period))], period)


def _kept(rows: Columns) -> Columns:
    return {**rows, "is_deleted": np.zeros(height(rows), dtype=np.int64)}


def _with_withdrawn(rows: Columns, name: str, period: Period) -> list[Columns]:
    """The rows, some more that no feed ever shows, and the tombstones of those."""
    more = take(rows, np.arange(WITHDRAWN))
    more[name] = height(rows) + np.arange(WITHDRAWN)
    gone = {**more, "time": period.start + HOUR + np.arange(WITHDRAWN) * HOUR, "kind": np.full(WITHDRAWN, UPDATED)}
    return [_kept(rows), _kept(more), {**gone, "is_deleted": np.ones(WITHDRAWN, dtype=np.int64)}]
