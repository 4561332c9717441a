"""The records sent: which event each carries, when it leaves, what goes wrong with it, and so its fate.

One row is one physical record (or one that was lost). Columns: topic, row (in the topic's events), time (true), sent
(by an honest clock), producer, epoch, seq, offset_us (of the sender's clock), breakage (`NONE` = sound), is_variant,
fate, may_fail, and is_late (came after its day was announced complete).
"""

import numpy as np

from jobs.simulate.breakages import BREAKAGES, FOR_ALL
from jobs.simulate.columns import NONE, Columns, Flags, Ints, count_before, dice, height, take
from jobs.simulate.entities import UPDATED
from jobs.simulate.misbehaviour import Misbehaviour
from jobs.simulate.period import DAY, GRACE, HOUR, MINUTE, SECOND, Period
from jobs.simulate.world import FACTS, TOPICS, Block

GOOD, DUPLICATE, CONFLICT, QUARANTINED, LOST = range(5)
FATES = ("good", "duplicate", "conflict", "quarantined", "lost")
PRODUCERS = 4  # of facts; one more tells of entities
RUN_LENGTH = (20, 60)


def plan_records(seed: int, block: Block, wrong: Misbehaviour, period: Period) -> Columns:
    """All records of a block, in the order in which they are sent."""
    first = block.people.first
    base = _base(dice(seed, "delays", first), block, wrong, period)
    base["offset_us"] = _clock_offsets(dice(seed, "clocks", first), block, base, wrong)
    chance = dice(seed, "faults", first)
    base["fate"][_runs(chance, base, wrong.lost_runs)] = LOST
    repeated = _repeats(chance, base, wrong.repeated_runs)
    again = _faults(chance, base, wrong, repeated)
    records = {name: np.concatenate([base[name], repeated[name], again[name]]) for name in base}
    records["is_late"] = _is_late(records, period)
    return take(records, np.argsort(records["sent"], kind="stable"))


def _base(chance: np.random.Generator, block: Block, wrong: Misbehaviour, period: Period) -> Columns:
    """One record for each event, numbered by its producer in the order of sending."""
    parts = []
    for topic, frame in block.events.items():
        size = height(frame)
        code, is_fact = TOPICS.index(topic), topic in FACTS
        # a correction must leave after what it corrects, so all changes of entities take equally long
        delay = _delays(chance, size, wrong) if is_fact else np.full(size, SECOND)
        sender = frame["user"] % PRODUCERS if is_fact else np.full(size, PRODUCERS)
        part = {"topic": np.full(size, code), "row": np.arange(size), "time": frame["time"], "producer": sender}
        part["may_fail"] = np.full(size, True) if is_fact else (frame["kind"] == UPDATED) & (frame["is_deleted"] == 0)
        parts.append({**part, "sent": frame["time"] + frame["sent_after"] + delay})
    base = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    base = take(base, np.argsort(base["sent"], kind="stable"))
    # the first producer restarts in the middle of the period, and counts anew
    base["epoch"] = 1 + ((base["producer"] == 0) & (base["sent"] > (period.start + period.end) // 2))
    base["seq"] = count_before(base["producer"] * 4 + base["epoch"])
    size = height(base)
    return base | {
        "breakage": np.full(size, NONE),
        "is_variant": np.zeros(size, dtype=bool),
        "fate": np.full(size, GOOD),
    }


def _delays(chance: np.random.Generator, size: int, wrong: Misbehaviour) -> Ints:
    """A second or so; later for those without a network."""
    delay = (chance.lognormal(0.2, 0.6, size) * SECOND).astype(np.int64) + SECOND // 5
    for share, least, most in (
        (wrong.late_seconds, MINUTE // 2, HOUR),
        (wrong.late_days, 10 * HOUR, 2 * DAY),
        (wrong.late_month, 3 * DAY, 30 * DAY),
    ):
        late = np.flatnonzero(chance.random(size) < share)
        delay[late] = chance.integers(least, most, len(late))
    return delay


def _clock_offsets(chance: np.random.Generator, block: Block, base: Columns, wrong: Misbehaviour) -> Ints:
    """What a device's clock is ahead of the true time: minutes, days, or a battery that went flat long ago."""
    devices = 2 * block.people.size + 2
    sizes = np.array((6 * MINUTE, 3 * HOUR, 2 * DAY, 400 * DAY))[chance.integers(0, 4, devices)]
    offset = (sizes * chance.uniform(1.0, 1.8, devices)).astype(np.int64) * chance.choice((-1, 1), devices)
    offset = np.where(chance.random(devices) < wrong.wrong_clocks, offset, 0)
    shift = np.zeros(height(base), dtype=np.int64)
    for topic in FACTS:
        rows = np.flatnonzero(base["topic"] == TOPICS.index(topic))
        shift[rows] = offset[block.events[topic]["device"][base["row"][rows]]]
    return shift


def _runs(chance: np.random.Generator, base: Columns, per_100_000: float) -> Ints:
    """Rows of some whole runs of facts of one producer, next to each other in its count."""
    facts = np.flatnonzero(base["producer"] < PRODUCERS)
    count = int(np.ceil(len(facts) * per_100_000 / 100_000))
    runs = []
    for _ in range(count):
        mine = facts[base["producer"][facts] == chance.integers(0, PRODUCERS)]
        length = int(chance.integers(*RUN_LENGTH))
        start = int(chance.integers(0, max(1, len(mine) - length)))
        runs.append(mine[start : start + length])
    return np.unique(np.concatenate(runs)) if runs else np.empty(0, dtype=np.int64)


def _repeats(chance: np.random.Generator, base: Columns, per_100_000: float) -> Columns:
    """Runs that a producer sent twice, because it never saw the answer."""
    rows = _runs(chance, base, per_100_000)
    again = take(base, rows[base["fate"][rows] == GOOD])
    again["sent"] = again["sent"] + 2 * MINUTE
    return again | {"fate": np.full(height(again), DUPLICATE)}


def _faults(chance: np.random.Generator, base: Columns, wrong: Misbehaviour, repeated: Columns) -> Columns:
    """Duplicates and conflicts as further records; broken ones are marked where they stand."""
    sound = chance.permutation(np.flatnonzero(_may_fail(base, repeated)))
    total = height(base)
    shares = (wrong.duplicates, wrong.conflicts, wrong.broken)
    doubled, disputed, broken, _ = np.split(sound, np.cumsum([int(np.ceil(total * share)) for share in shares]))
    _break(base, broken)
    again, other = take(base, doubled), take(base, disputed[base["topic"][disputed] < len(FACTS)])
    again["sent"] = again["sent"] + _wait(chance, height(again))
    other["sent"] = other["sent"] + chance.integers(10_000, HOUR, height(other))
    again["fate"], other["fate"] = np.full(height(again), DUPLICATE), np.full(height(other), CONFLICT)
    other["is_variant"] = np.ones(height(other), dtype=bool)
    return {name: np.concatenate([again[name], other[name]]) for name in again}


def _may_fail(base: Columns, repeated: Columns) -> Flags:
    """Facts that were neither lost nor sent twice; and later changes of entities (first accounts stay whole)."""
    is_repeated = np.isin(base["topic"] * (1 << 40) + base["row"], repeated["topic"] * (1 << 40) + repeated["row"])
    may: Flags = base["may_fail"] & (base["fate"] == GOOD) & ~is_repeated & (base["offset_us"] == 0)
    return may


def _break(base: Columns, broken: Ints) -> None:
    """Give the kinds of breakage in turn, so that each of them occurs."""
    is_fact = base["topic"][broken] < len(FACTS)
    turn = np.arange(len(broken))
    general = np.array(FOR_ALL)[turn % len(FOR_ALL)]
    base["breakage"][broken] = np.where(is_fact, turn % len(BREAKAGES), general)
    base["fate"][broken] = QUARANTINED


def _wait(chance: np.random.Generator, size: int) -> Ints:
    """Until the same record comes again: at once, within hours, on the next day."""
    waits = np.stack([
        chance.integers(1_000, 40_000, size),
        chance.integers(MINUTE, 3 * HOUR, size),
        chance.integers(20 * HOUR, 30 * HOUR, size),
    ])  # fmt: skip
    return waits[chance.integers(0, 3, size), np.arange(size)]


def _is_late(records: Columns, period: Period) -> Flags:
    day = period.day_of(records["time"]).clip(0, period.days - 1)
    is_fact = records["topic"] < len(FACTS)
    late: Flags = is_fact & (records["sent"] >= period.midnights[day + 1] + GRACE)
    return late
