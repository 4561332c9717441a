"""What people meet: creators, merchants, products, videos and live rooms; the same for all blocks of users."""

from dataclasses import dataclass

import numpy as np

from jobs.simulate import words
from jobs.simulate.columns import NONE, Columns, Ints, dice, pick, take
from jobs.simulate.period import DAY, Period

CATEGORIES = len(words.CATEGORIES)


@dataclass(frozen=True)
class Catalogue:
    """Frames of the things themselves, and per category where its videos and products start."""

    creators: Columns
    merchants: Columns
    products: Columns
    videos: Columns
    rooms: Columns
    video_starts: Ints  # CATEGORIES + 1
    old_videos: Ints  # per category: how many were there before the first day; they come first
    product_starts: Ints  # CATEGORIES + 1


def make_catalogue(seed: int, users: int, period: Period) -> Catalogue:
    """Draw the catalogue for a world of so many users."""
    creators = _creators(seed, max(60, min(users // 20, 20_000)))
    merchants = _merchants(seed, max(24, min(users // 60, 5_000)), period)
    products = _products(seed, max(240, min(users // 3, 60_000)), merchants)
    starts = _starts(products["category"])
    videos = _videos(seed, max(600, min(users, 200_000)), creators, starts, period)
    is_old = videos["published_at"] < period.start
    return Catalogue(
        creators, merchants, products, videos,
        _rooms(seed, max(24, len(creators["category"]) // 10), creators, starts),
        _starts(videos["category"]),
        np.bincount(videos["category"][is_old], minlength=CATEGORIES),
        starts,
    )  # fmt: skip


def _starts(categories: Ints) -> Ints:
    return np.searchsorted(categories, np.arange(CATEGORIES + 1))


def _creators(seed: int, size: int) -> Columns:
    chance = dice(seed, "creators")
    return {
        "category": np.arange(size) % CATEGORIES,
        "kind": pick(chance, words.CONTENT_SHARES, size),
        "region": pick(chance, words.REGION_SHARES, size),
    }


def _merchants(seed: int, size: int, period: Period) -> Columns:
    chance = dice(seed, "merchants")
    return {
        "category": np.arange(size) % CATEGORIES,
        "size": pick(chance, words.SIZE_SHARES, size),
        "region": pick(chance, words.REGION_SHARES, size),
        "opened_at": period.start - chance.integers(30 * DAY, 2_000 * DAY, size),
        "is_own_brand": chance.random(size) < 0.15,
        "creator": np.where(chance.random(size) < 0.4, np.arange(size) * 2, NONE),
        "is_fraud": np.arange(size) % 24 == 23,
    }


def _products(seed: int, size: int, merchants: Columns) -> Columns:
    """Sorted by category; a merchant keeps to its category."""
    chance = dice(seed, "products")
    category = np.sort(np.r_[np.arange(CATEGORIES), pick(chance, np.ones(CATEGORIES), size - CATEGORIES)])
    rounds = len(merchants["category"]) // CATEGORIES
    return {
        "category": category,
        "merchant": category + CATEGORIES * chance.integers(0, rounds, size),
        "brand": pick(chance, np.ones(len(words.BRANDS)), size),
        "price": (chance.lognormal(8.7, 0.8, size).clip(990, 500_000) // 10 * 10).astype(np.int64),
        "is_green": chance.random(size) < 0.12,
        "has_ar": chance.random(size) < 0.2,
        "ease": chance.gamma(2.0, 0.5, size),
    }


def _videos(seed: int, size: int, creators: Columns, product_starts: Ints, period: Period) -> Columns:
    """Sorted by category, within it those published before the first day first."""
    chance = dice(seed, "videos")
    category = np.r_[np.tile(np.arange(CATEGORIES), 4), pick(chance, np.ones(CATEGORIES), size - 4 * CATEGORIES)]
    rounds = len(creators["category"]) // CATEGORIES
    creator = category + CATEGORIES * chance.integers(0, rounds, size)
    is_new = chance.random(size) < 0.15
    is_new[: 2 * CATEGORIES] = False
    published = np.where(
        is_new, chance.integers(period.start, period.end, size), period.start - chance.integers(DAY, 200 * DAY, size)
    )
    product, second = (_product_of(chance, category, product_starts) for _ in range(2))
    has_product = chance.random(size) < 0.55
    videos = {
        "category": category,
        "creator": creator,
        "kind": creators["kind"][creator],
        "theme": category * words.THEMES_PER_CATEGORY + chance.integers(0, words.THEMES_PER_CATEGORY, size),
        "duration": (chance.lognormal(10.3, 0.7, size).clip(5_000, 300_000)).astype(np.int64),
        "is_ad": chance.random(size) < 0.05,
        "product": np.where(has_product, product, NONE),
        "second_product": np.where(has_product & (chance.random(size) < 0.2) & (second != product), second, NONE),
        "published_at": published // 1000 * 1000,
        "tag": chance.integers(0, len(words.TAGS), size),
        "appeal": chance.gamma(4.0, 0.25, size),
    }
    return take(videos, np.lexsort((videos["published_at"] >= period.start, category)))


def _rooms(seed: int, size: int, creators: Columns, product_starts: Ints) -> Columns:
    chance = dice(seed, "rooms")
    creator = chance.permutation(len(creators["category"]))[:size]
    category = creators["category"][creator]
    return {"creator": creator, "category": category, "product": _product_of(chance, category, product_starts)}


def _product_of(chance: np.random.Generator, category: Ints, starts: Ints) -> Ints:
    """A product of the same category, the first ones far more often."""
    width = starts[category + 1] - starts[category]
    return starts[category] + (width * chance.random(len(category)) ** 1.8).astype(np.int64)


def draw_products(chance: np.random.Generator, catalogue: Catalogue, category: Ints) -> Ints:
    """A product for each wish of a category."""
    return _product_of(chance, category, catalogue.product_starts)


def draw_videos(chance: np.random.Generator, catalogue: Catalogue, category: Ints, times: Ints) -> Ints:
    """A video for each place in a feed: famous ones often, fresh ones when they are out already."""
    start, old = catalogue.video_starts[category], catalogue.old_videos[category]
    width = catalogue.video_starts[category + 1] - start
    known = start + (old * chance.random(len(category)) ** 2.0).astype(np.int64)
    fresh = start + old + ((width - old) * chance.random(len(category))).astype(np.int64)
    wants_fresh = (chance.random(len(category)) < 0.2) & (width > old)
    fresh = np.where(wants_fresh, fresh, known)
    return np.where(catalogue.videos["published_at"][fresh] < times, fresh, known)
