"""People: who they are, what they like, when they are awake, what they can spend."""

from dataclasses import dataclass

import numpy as np

from jobs.simulate import words
from jobs.simulate.columns import NONE, Columns, Floats, Ints, dice, pick, pick_by_row
from jobs.simulate.period import DAY, HOUR, Period

BOT_SHARE, FAKER_SHARE, STAFF_SHARE = 0.005, 0.004, 0.005
NEW_SHARE, LEAVING_SHARE, SHARED_DEVICE_SHARE, SECOND_DEVICE_SHARE = 0.08, 0.1, 0.03, 0.15


@dataclass(frozen=True)
class People:
    """A block of users `first`, `first + 1`, …: codes per user, and their ladders of taste and scene."""

    first: int
    size: int
    who: Columns
    taste: Floats
    taste_ladder: Floats
    scene_ladder: Floats


def make_people(seed: int, first: int, size: int, period: Period) -> People:
    """Draw a block of people; the same block is the same whatever other blocks there are."""
    chance = dice(seed, "people", first)
    generation = pick(chance, words.GENERATION_SHARES, size)
    taste = chance.dirichlet(np.full(len(words.CATEGORIES), 0.35), size)
    leaning = words.SCENE_SHARES[generation] * chance.gamma(4.0, 0.25, (size, len(words.SCENES)))
    leaning /= leaning.sum(axis=1, keepdims=True)
    who = {
        "generation": generation,
        **_civil_facts(chance, generation),
        **_presence(chance, size, period),
        **_habits(chance, generation),
        **_devices(chance, size),
    }
    return People(first, size, who, taste, taste.cumsum(axis=1), leaning.cumsum(axis=1))


def _civil_facts(chance: np.random.Generator, generation: Ints) -> Columns:
    size = len(generation)
    born = chance.integers(words.BIRTH_FROM[generation], words.BIRTH_TO[generation] + 1)
    scopes = chance.random((size, 3)) < (0.9, 0.6, 0.4)
    return {
        "birth_year": np.where(chance.random(size) < 0.03, NONE, born),
        "region": pick(chance, words.REGION_SHARES, size),
        "tier": pick(chance, words.TIER_SHARES, size),
        "member": pick(chance, words.MEMBER_SHARES, size),
        "channel": pick(chance, words.CHANNEL_SHARES, size),
        "consent": scopes @ np.array((1, 2, 4)),
        "is_staff": chance.random(size) < STAFF_SHARE,
    }


def _presence(chance: np.random.Generator, size: int, period: Period) -> Columns:
    """Registered long ago or within the period; some stop coming at a day of their own."""
    is_new = chance.random(size) < NEW_SHARE
    long_ago = period.start - chance.integers(DAY, 1_500 * DAY, size)
    lately = chance.integers(period.start, period.end, size)
    leaves = np.where(chance.random(size) < LEAVING_SHARE, chance.integers(1, period.days + 1, size), period.days)
    return {"registered_at": np.where(is_new, lately, long_ago) // 1000 * 1000, "leaves": leaves}


def _habits(chance: np.random.Generator, generation: Ints) -> Columns:
    size = len(generation)
    is_bot = chance.random(size) < BOT_SHARE
    return {
        "is_bot": is_bot,
        "is_faker": ~is_bot & (chance.random(size) < FAKER_SHARE),
        "habit": pick_by_row(chance, words.HABIT_SHARES.cumsum(axis=1), generation),
        "visits": chance.gamma(1.4, 1 / 1.4, size).clip(0.05, 5.0) * np.where(is_bot, 6.0, 1.0),
        "buying": chance.gamma(1.2, 1 / 1.2, size) * words.BUYING[generation],
        "social": chance.gamma(1.5, 1 / 1.5, size),
        "arm": chance.integers(0, len(words.ARMS), size),
        "app": pick(chance, (0.2, 0.3, 0.5), size),
        "pay": pick(chance, words.PAYMENT_SHARES, size),
    }


def _devices(chance: np.random.Generator, size: int) -> Columns:
    """A device is named after its owner; a few use the neighbour's, some have a second one (odd number)."""
    own = np.arange(size) * 2
    is_shared = chance.random(size) < SHARED_DEVICE_SHARE
    is_shared[0] = False
    device = np.where(is_shared, np.r_[own[:1], own[:-1]], own)
    second = np.where(chance.random(size) < SECOND_DEVICE_SHARE, own + 1, device)
    return {"device": device, "second_device": second, "shares_device": is_shared}


def budgets(people: People, seed: int) -> Floats:
    """What a person finds a fair price, in fen."""
    chance = dice(seed, "budget", people.first)
    fair: Floats = chance.lognormal(9.0, 0.6, people.size) * words.TIER_MEANS[people.who["tier"]]
    return fair


def hour_ladders() -> Floats:
    """For each habit, the cumulated weight of the local hours."""
    ladders: Floats = (words.HOURS / words.HOURS.sum(axis=1, keepdims=True)).cumsum(axis=1)
    return ladders


def moment_in_hour(chance: np.random.Generator, hours: Ints) -> Ints:
    """Microseconds since local midnight, somewhere in the hour."""
    return hours * HOUR + chance.integers(0, HOUR, len(hours))
