"""Visits: when people open the app, in which scene, and what passes before their eyes."""

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue, draw_products, draw_videos
from jobs.simulate.columns import (
    NONE,
    Columns,
    Flags,
    Floats,
    Ints,
    count_before,
    dice,
    pick,
    pick_by_row,
    running_sum,
    take,
)
from jobs.simulate.people import People, hour_ladders, moment_in_hour
from jobs.simulate.period import DAY, MINUTE, SECOND, Period

VISITS_A_DAY = 1.42
ITEMS = np.array((10.0, 2.5, 3.5, 2.5))  # mean length of a visit by scene
LOOKING, LOOKS = 0.6, 4  # of new people, who look around before they register, and below how many times
FATIGUE = 0.12  # interest lost by each further meeting with the same theme in a visit


def make_visits(seed: int, people: People, period: Period, rate: float) -> Columns:
    """One row a visit: user (within the block), start, scene, source, campaign."""
    chance = dice(seed, "visits", people.first)
    who = people.who
    mean = np.repeat((who["visits"] * VISITS_A_DAY * rate)[:, None], period.days, axis=1)
    mean *= chance.gamma(6.0, 1 / 6.0, mean.shape) * (np.arange(period.days) < who["leaves"][:, None])
    counts = chance.poisson(mean).ravel()
    cells = np.repeat(np.arange(counts.size), counts)
    user, day = cells // period.days, cells % period.days
    hours = pick_by_row(chance, hour_ladders(), who["habit"][user])
    hours = np.where(who["is_bot"][user], chance.integers(0, 24, len(user)), hours)
    start = period.midnights[day] + moment_in_hour(chance, hours)
    keep = (start > who["registered_at"][user]) & (start < period.end)
    user, day, start = user[keep], day[keep], start[keep]
    scene = np.where(who["is_bot"][user], words.SHORT_VIDEO, pick_by_row(chance, people.scene_ladder, user))
    return {"user": user, "start": start, "scene": scene, **_sources(chance, scene, day, period)}


def make_first_looks(seed: int, people: People, period: Period) -> Columns:
    """As make_visits, of people who are nobody yet: visits in the two days before they register."""
    chance = dice(seed, "first looks", people.first)
    who = people.who
    is_looking = (who["registered_at"] > period.start) & ~who["is_bot"] & (chance.random(people.size) < LOOKING)
    user = np.repeat(np.arange(people.size), np.where(is_looking, chance.integers(1, LOOKS, people.size), 0))
    start = who["registered_at"][user] - chance.integers(5 * MINUTE, 2 * DAY, len(user))
    user, start = user[start > period.start], start[start > period.start]
    scene = pick_by_row(chance, people.scene_ladder, user)
    return {"user": user, "start": start, "scene": scene, **_sources(chance, scene, period.day_of(start), period)}


def _sources(chance: np.random.Generator, scene: Ints, day: Ints, period: Period) -> Columns:
    """Where a visit comes from; in the middle third of the days a campaign brings some of them."""
    source = np.where(scene == words.SEARCH, words.SEARCHED, pick(chance, words.SOURCE_SHARES, len(scene)))
    in_campaign = (day >= period.days // 3) & (day <= period.days * 2 // 3)
    is_paid = in_campaign & (scene != words.SEARCH) & (chance.random(len(scene)) < 0.12)
    return {
        "source": np.where(is_paid, words.PAID, source),
        "campaign": np.where(is_paid, 0, NONE),
        "has_second_device": chance.random(len(scene)) < 0.5,
    }


def make_feed(seed: int, people: People, catalogue: Catalogue, visits: Columns, purpose: str = "feed") -> Columns:
    """One row per thing shown: which, when, how much it suits, and how long it was watched."""
    chance = dice(seed, purpose, people.first)
    lengths = chance.geometric(1 / ITEMS[visits["scene"]]).clip(1, 60)
    visit = np.repeat(np.arange(len(lengths)), lengths)
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    user, scene = visits["user"][visit], visits["scene"][visit]
    category = _categories(chance, people, user)
    guess = visits["start"][visit] + (np.arange(len(visit)) - starts) * 15 * SECOND
    things = _things(chance, catalogue, category, scene, guess)
    theme = np.where(
        things["video"] >= 0, catalogue.videos["theme"][things["video"]], category * words.THEMES_PER_CATEGORY
    )
    tired = count_before(visit * len(words.THEMES) + theme).clip(0, 6)
    share = people.taste[user, category] * len(words.CATEGORIES)
    liking = share / (share + 1.5) * (1 - FATIGUE * tired)
    feed = {
        "visit": visit,
        "user": user,
        "scene": scene,
        "category": category,
        **things,
        "liking": liking,
        "tired": tired,
    }
    feed |= _watching(chance, catalogue, feed, people.who["is_bot"][user])
    pause = chance.integers(SECOND // 2, 3 * SECOND, len(visit))
    feed["time"] = visits["start"][visit] + running_sum(feed["watch_ms"] * 1000 + pause, starts)
    feed["position"] = np.arange(len(visit)) - starts
    feed["device"] = _device(people, user, visits["has_second_device"][visit])
    for name in ("source", "campaign"):
        feed[name] = visits[name][visit]
    return take(feed, ~_is_unpublished(catalogue, feed))


def _device(people: People, user: Ints, has_second: Flags) -> Ints:
    return np.where(has_second, people.who["second_device"][user], people.who["device"][user])


def _categories(chance: np.random.Generator, people: People, user: Ints) -> Ints:
    """The feed follows interest, but not always."""
    wanted = pick_by_row(chance, people.taste_ladder, user)
    return np.where(chance.random(len(user)) < 0.25, chance.integers(0, len(words.CATEGORIES), len(user)), wanted)


def _things(chance: np.random.Generator, catalogue: Catalogue, category: Ints, scene: Ints, times: Ints) -> Columns:
    """A video, a live room or a bare product for each place, as the scene has it."""
    has_video = (scene == words.SHORT_VIDEO) | ((scene == words.SEARCH) & (chance.random(len(scene)) < 0.4))
    is_live = scene == words.LIVE
    video = np.where(has_video, draw_videos(chance, catalogue, category, times), NONE)
    rooms = catalogue.rooms
    room = np.where(is_live, chance.integers(0, len(rooms["creator"]), len(scene)), NONE)
    bare = np.where(has_video, NONE, draw_products(chance, catalogue, category))
    product = np.where(has_video, catalogue.videos["product"][video], np.where(is_live, rooms["product"][room], bare))
    return {
        "video": video,
        "room": room,
        "product": product,
        "query": chance.integers(0, len(words.QUERIES), len(scene)),
    }


def _watching(chance: np.random.Generator, catalogue: Catalogue, feed: Columns, is_bot: Flags) -> Columns:
    """Milliseconds watched: by taste, appeal and fatigue; bots flick on."""
    size = len(feed["user"])
    has_video, is_live = feed["video"] >= 0, feed["room"] >= 0
    duration = np.where(has_video, catalogue.videos["duration"][feed["video"]], NONE)
    appeal: Floats = np.where(has_video, catalogue.videos["appeal"][feed["video"]], 1.0)
    ratio = chance.lognormal(-2.0, 0.9, size) * (0.5 + 2.5 * feed["liking"]) * appeal
    watched = (ratio.clip(0, 1.3) * duration).astype(np.int64)
    stayed = (chance.lognormal(10.6, 1.0, size) * (0.4 + feed["liking"])).astype(np.int64).clip(1_000, 3_600_000)
    watched = np.where(is_live, stayed, watched)
    watched = np.where(is_bot, chance.integers(200, 1_500, size), watched)
    is_played = has_video & (chance.random(size) < 0.62 + 0.3 * feed["liking"])
    is_watched = is_played | is_live
    return {
        "is_played": is_played,
        "watch_ms": np.where(is_watched, watched, chance.integers(300, 4_000, size)),
        "duration_ms": duration,
    }


def _is_unpublished(catalogue: Catalogue, feed: Columns) -> Flags:
    """Guessed times may be a little early; nothing is shown before it was published."""
    return (feed["video"] >= 0) & (catalogue.videos["published_at"][feed["video"]] >= feed["time"])
