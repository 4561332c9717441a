"""From what was shown to events of watching and liking: views, and the acts that follow them."""

import numpy as np

from jobs.simulate import words
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import NONE, Columns, Flags, Floats, Ints, dice, height, take
from jobs.simulate.people import People
from jobs.simulate.period import HOUR, MINUTE, SECOND

CONTEXT = ("user", "device", "scene", "source", "campaign", "video", "room")
HEARTBEAT_MS = 5_000
# act, chance at full liking, take-back, share that takes it back
ACTS = (
    ("like", 0.16, "unlike", 0.05),
    ("favourite", 0.05, "unfavourite", 0.08),
    ("comment", 0.03, "", 0.0),
    ("share", 0.025, "", 0.0),
    ("follow", 0.03, "unfollow", 0.06),
    ("not_interested", 0.004, "", 0.0),
    ("report", 0.001, "", 0.0),
)
DISLIKES = ("not_interested", "report")


def context(rows: Columns) -> Columns:
    """What an event inherits from the thing it answers to."""
    return {name: rows[name] for name in CONTEXT}


def views_of(feed: Columns) -> list[Columns]:
    """Impressions, plays, visits to live rooms and searches: parts of topic `views`."""
    is_video = feed["video"] >= 0
    is_first_search = (feed["scene"] == words.SEARCH) & (feed["position"] == 0)
    return [
        _view(take(feed, is_video), words.IMPRESSION, 0),
        _watched(take(feed, feed["is_played"]), words.PLAY),
        _watched(take(feed, feed["room"] >= 0), words.LIVE_ENTER),
        _searched(take(feed, is_first_search)),
    ]


def _view(rows: Columns, kind: int, after: int) -> Columns:
    return {**context(rows), "time": rows["time"] + after, "kind": _all(kind, rows), "position": rows["position"]}


def _all(value: int, rows: Columns) -> Ints:
    return np.full(height(rows), value)


def _watched(rows: Columns, kind: int) -> Columns:
    watched = rows["watch_ms"]
    beats = {"watch_ms": watched, "duration_ms": rows["duration_ms"], "heartbeats": watched // HEARTBEAT_MS}
    return {**_view(rows, kind, SECOND // 4), **beats, "sent_after": watched * 1000}


def _searched(rows: Columns) -> Columns:
    view = _view(rows, words.SEARCH_MADE, -SECOND)
    return {**view, "query": rows["query"], "video": _all(NONE, rows), "position": _all(NONE, rows)}


def acts_of(seed: int, people: People, catalogue: Catalogue, feed: Columns) -> list[Columns]:
    """Likes, comments, follows and their take-backs: parts of topic `likes`."""
    chance = dice(seed, "acts", people.first)
    stage = take(feed, feed["is_played"] | (feed["room"] >= 0))
    is_video = stage["video"] >= 0
    stage["creator"] = np.where(
        is_video, catalogue.videos["creator"][stage["video"]], catalogue.rooms["creator"][stage["room"]]
    )
    eager = _eagerness(people, stage)
    parts: list[Columns] = []
    for place, (kind, share, undo, undo_share) in enumerate(ACTS):
        odds = share * (1 - stage["liking"]) if kind in DISLIKES else share * eager
        acts = _acted(chance, take(stage, chance.random(len(odds)) < odds), kind, place)
        parts.append(acts)
        if undo:
            parts.append(_undone(chance, take(acts, chance.random(height(acts)) < undo_share), undo))
    return parts


def _eagerness(people: People, stage: Columns) -> Floats:
    """How readily somebody reacts to what is on stage; a bot reacts to nearly everything."""
    who, user = people.who, stage["user"]
    has_watched: Flags = stage["watch_ms"] >= 2_000
    eager: Floats = 2.2 * stage["liking"] * who["social"][user] * np.where(stage["scene"] == words.LIVE, 1.4, 1.0)
    return np.where(who["is_bot"][user], 3.5, eager * has_watched)


def _acted(chance: np.random.Generator, rows: Columns, kind: str, place: int) -> Columns:
    """The act falls inside the watching; `place` keeps two acts on one thing apart."""
    size = height(rows)
    reached = rows["watch_ms"] * 1000 * chance.uniform(0.4, 1.0, size)
    act = {
        **context(rows),
        "creator": rows["creator"],
        "time": rows["time"] + SECOND // 4 + reached.astype(np.int64) + place * 7_001,
        "kind": _all(words.LIKE_KINDS.index(kind), rows),
    }
    if kind == "follow":
        act["video"] = _all(NONE, rows)
    if kind == "comment":
        act["comment_length"] = chance.integers(1, 200, size)
    if kind == "share":
        act["share_channel"] = chance.integers(0, len(words.SHARE_CHANNELS), size)
    return act


def _undone(chance: np.random.Generator, acts: Columns, kind: str) -> Columns:
    later = chance.integers(3 * SECOND, 20 * HOUR, height(acts))
    quick = chance.integers(3 * SECOND, 5 * MINUTE, height(acts))
    undone = {**acts, "time": acts["time"] + np.where(chance.random(height(acts)) < 0.6, quick, later)}
    return {**undone, "kind": _all(words.LIKE_KINDS.index(kind), acts)}
