"""Schedules of faults: drawn from a seed, written as words, read back from them. Pure: values in, values out.

A step is a word such as `send=6~3`, `ingest@ingest.after_views` or `upkeep`: what is done, `=` how often, `~` a number
that picks among the like, `@` the point of our writers at which it happens.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from jobs.lake.errors import UsageError
from jobs.lake.ingest.steps import KILL_POINTS

FAMILIES = {
    "sessions": ("silver.sessions",),
    "funnels": ("gold.funnel_attempts", "gold.funnel_daily"),
    "profiles": ("gold.user_days", "gold.user_interests", "gold.user_profiles"),
}
RARE = 24  # one seed in so many builds each of the others, which cost five times as much
LENGTH = (5, 8)
WORD = re.compile(r"([a-z-]+)(?:=(\d+))?(?:~(\d+))?(?:@([a-z_.]+))?")

INGEST = tuple(point for point in KILL_POINTS if not point.endswith(("_videos", "_products", "_merchants")))
GOLD = ("build.staged", "check.done", "release.before", "release.before_publications", "release.after_lease",
        "release.after_publications")  # fmt: skip
UPKEEP = ("upkeep.before_publications", "upkeep.before_cut")
TORN = ("silver.views", "silver.quarantine", "ops.books")

# What is drawn how often, and at which of these points; `many` says that the step has a number.
PRODUCER = {"send": 6, "again": 3, "other": 2, "earlier": 2, "late": 2, "poison": 2, "skew": 1, "gap": 1, "respool": 2,
            "canary": 1}  # fmt: skip
PLAIN = {"ingest": 5, "publish": 2, "cleared": 1, "full": 1, "rollback": 1, "upkeep": 2, "unbooked": 1, "no-books": 1}
MANY = {"orphan": 1, "silent": 1}
AT = {
    "ingest": (8, INGEST),
    "second": (1, INGEST),
    "stalled": (3, INGEST),
    "tidied": (1, INGEST),
    "starved": (1, INGEST),
    "built": (1, INGEST),
    "publish": (4, GOLD),
    "twice": (1, GOLD[:-1]),
    "overtaken": (3, GOLD[:-1]),
    "retried": (1, GOLD),
    "zombie": (1, GOLD[:-1]),
    "upkeep": (1, UPKEEP),
    "torn": (1, TORN),
}
# A step that only somebody asks for: a process that is truly killed, a minute each.
BY_HAND = {"sigkill": (*INGEST, *GOLD, *UPKEEP)}
POINTS = {kind: points for kind, (_, points) in AT.items()} | BY_HAND
GOOD = ("send", "canary", "ingest", "publish")  # hurt nobody, where nothing happens in their middle


@dataclass(frozen=True)
class Step:
    """One step: what is done, how many times, which of the like, and where in our writers."""

    kind: str
    count: int = 0
    pick: int = 0
    at: str = ""

    def __str__(self) -> str:
        """The step as a word."""
        count = f"={self.count}" if self.count else ""
        pick = f"~{self.pick}" if self.pick else ""
        return f"{self.kind}{count}{pick}{f'@{self.at}' if self.at else ''}"

    @property
    def fault(self) -> str:
        """What it does on purpose to hurt, and where; "" for a good step."""
        if not self.at:
            return "" if self.kind in GOOD else self.kind
        return f"{self.kind}@{self.at}"


@dataclass(frozen=True)
class Schedule:
    """The steps of one run, and the family that is published in it."""

    steps: tuple[Step, ...]
    family: str = "sessions"

    def __str__(self) -> str:
        """The schedule as words."""
        return " ".join(map(str, self.steps))

    @property
    def faults(self) -> list[str]:
        """What is drawn to hurt: every step but the good ones. What came of it is told by who plays it."""
        return [step.fault for step in self.steps if step.fault]


def draw(seed: int, length: tuple[int, int] = LENGTH) -> Schedule:
    """The schedule of a seed: at first something is sent, then so many steps, from-to, of any kind."""
    dice = np.random.default_rng(seed)
    usual, *rare = FAMILIES
    drawn = int(dice.integers(RARE))
    family = rare[drawn] if drawn < len(rare) else usual
    steps = [_producer(dice, "send")]
    for _ in range(int(dice.integers(length[0], length[1] + 1))):
        steps.append(_step(dice))
        if steps[-1].kind in PRODUCER and len(steps) > 1 and steps[-2].kind in PRODUCER:
            steps.append(_worker(dice))
    return Schedule(tuple(steps), family)


def parse(words: str, family: str = "sessions") -> Schedule:
    """A schedule as `str` writes it; UsageError names the word that is none."""
    if family not in FAMILIES:
        raise UsageError(f"--family {family!r} is none that drills publish; write {' or '.join(FAMILIES)}")
    return Schedule(tuple(map(_parsed, words.split())), family)


def _parsed(word: str) -> Step:
    found, kinds = WORD.fullmatch(word), {*PRODUCER, *PLAIN, *MANY, *POINTS}
    if found is None or found[1] not in kinds:
        known = ", ".join(sorted(kinds))
        raise UsageError(f"{word!r} is no step; write KIND[=COUNT][~PICK][@POINT] with a kind of {known}")
    step = Step(found[1], int(found[2] or 0), int(found[3] or 0), found[4] or "")
    _refuse_point(step)
    return step


def _refuse_point(step: Step) -> None:
    """UsageError for a point that no run of such a step comes by: what was to happen there never would."""
    points = POINTS.get(step.kind)
    if points is None:
        if step.at:
            raise UsageError(f"{str(step)!r}: {step.kind} happens at no point; leave out @{step.at}")
        return
    if step.at not in points and (step.at or step.kind not in PLAIN):
        raise UsageError(f"{str(step)!r}: write {step.kind}@POINT with a point of {', '.join(points)}")


def _step(dice: np.random.Generator) -> Step:
    return _producer(dice, _one(dice, PRODUCER)) if dice.random() < 0.4 else _worker(dice)


def _producer(dice: np.random.Generator, kind: str) -> Step:
    return Step(kind, int(dice.integers(2, 10)), int(dice.integers(1, 100)))


def _worker(dice: np.random.Generator) -> Step:
    """Ingest, gold or upkeep, disturbed or not."""
    disturbed = {f"{kind}@": weight for kind, (weight, _) in AT.items()}
    kind = _one(dice, PLAIN | MANY | disturbed)
    if not kind.endswith("@"):
        return _producer(dice, kind) if kind in MANY else Step(kind)
    points: Sequence[str] = AT[kind[:-1]][1]
    return Step(kind[:-1], at=points[int(dice.integers(len(points)))])


def _one(dice: np.random.Generator, weights: dict[str, int]) -> str:
    shares = np.array(list(weights.values())) / sum(weights.values())
    return list(weights)[int(dice.choice(len(weights), p=shares))]
