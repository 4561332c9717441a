"""The truth beside the world: Parquet files that say what every record, user and attempt really is.

`events` (one row per physical record, lost ones too) · `users` · `conversions` and `attempts` (content_to_purchase) ·
`profiles` · `books` (records per topic, fate and reasons) · `world.json` (how the world was made, its known effects).
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs.simulate import words
from jobs.simulate.breakages import BREAKAGES
from jobs.simulate.catalogue import Catalogue
from jobs.simulate.columns import NONE, Columns, Ints, take
from jobs.simulate.identity import Text, numbered, strings
from jobs.simulate.period import HOUR, MINUTE, Period
from jobs.simulate.records import CONFLICT, FATES, GOOD, QUARANTINED
from jobs.simulate.shipment import claimed_times
from jobs.simulate.true_funnel import NEVER, SPAN, STEPS, WINDOW, attempts, steps_of
from jobs.simulate.true_identity import counted_for, of_people, visitors
from jobs.simulate.true_profiles import profiles, users
from jobs.simulate.vocabulary import FIXED, coded, people_words
from jobs.simulate.world import TOPICS, Block

INSTANT = pa.timestamp("us", tz="UTC")
BELIEVED_AHEAD = 10 * MINUTE
TABLES = ("events", "users", "conversions", "attempts", "profiles", "books")


@dataclass(frozen=True)
class World:
    """How a world was made."""

    seed: int
    users: int
    days: int
    last_day: str
    zone: str
    misbehave: str
    source: str
    range_from: int
    range_to: int


class TruthFolder:
    """Collects the truth in a draft folder; `finish` puts it in place of an older one at once."""

    def __init__(self, folder: Path) -> None:
        """Start a new draft."""
        self.folder = folder
        self._draft = folder.with_name(folder.name + ".draft")
        shutil.rmtree(self._draft, ignore_errors=True)
        for table in TABLES:
            (self._draft / table).mkdir(parents=True)

    def add(self, block: int, tables: Mapping[str, pa.Table]) -> None:
        """Keep the tables of one block (`block`: its first user)."""
        for name, table in tables.items():
            pq.write_table(table, self._draft / name / f"{block:09d}.parquet", compression="zstd", compression_level=1)

    def finish(self, world: World, counted: Mapping[str, int]) -> None:
        """Say how the world was made, and put the draft in place."""
        effects = {
            "experiment": words.EXPERIMENT,
            "lift": words.LIFT,
            "campaign": words.CAMPAIGN,
            "campaign_lift": words.CAMPAIGN_LIFT,
            "funnel": "content_to_purchase",
            "window_hours": WINDOW // HOUR,
        }
        told = {**asdict(world), "effects": effects, "records": dict(counted)}
        (self._draft / "world.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        shutil.rmtree(self.folder, ignore_errors=True)
        self._draft.rename(self.folder)


def truth_of(block: Block, catalogue: Catalogue, records: Columns, ids: Text, period: Period) -> dict[str, pa.Table]:
    """All tables of one block."""
    good = {topic: take(frame, _good_rows(records, topic)) for topic, frame in block.events.items()}
    names = numbered("u", block.people.first, block.people.size)
    counts_for = counted_for(good, block.events["views"], block.people.size)
    known = {**good, "views": of_people(good["views"], counts_for[_good_rows(records, "views")])}
    told = _events(block, records, ids, period, counts_for)
    seen, devices = visitors(good["views"], block.people.size)
    tries = attempts(steps_of({**good, "views": seen}, catalogue, period.start))
    goers = pa.concat_arrays([names, people_words(block.people)["device"].take(pa.array(devices))])
    return {
        "events": told,
        "users": _users(users(good["users"], block.people.who, block.people.taste), names),
        "attempts": _attempts(tries, goers, period),
        "conversions": _conversions(tries, goers, period),
        "profiles": _profiles(profiles(known, catalogue, block.people.size, period), names),
        "books": _books(told),
    }


def _good_rows(records: Columns, topic: str) -> Ints:
    mine = (records["topic"] == TOPICS.index(topic)) & (records["fate"] == GOOD)
    return np.sort(records["row"][mine])


def _instants(times: Ints, never: int = NEVER) -> pa.Array:
    return pa.array(times, pa.int64(), mask=times == never).cast(INSTANT)


def _named(codes: Ints, vocabulary: pa.Array) -> pa.Array:
    """Codes as plain texts: whoever reads the truth need not know of dictionaries."""
    return coded(codes, vocabulary).cast(pa.string())


def _events(block: Block, records: Columns, ids: Text, period: Period, counts_for: Ints) -> pa.Table:
    users, goers, owners = (np.full(len(ids), NONE) for _ in range(3))
    kinds = np.zeros(len(ids), dtype=np.int64)
    for topic, frame in block.events.items():
        mine = np.flatnonzero(records["topic"] == TOPICS.index(topic))
        rows = records["row"][mine]
        users[mine] = goers[mine] = owners[mine] = frame["user"][rows] if "user" in frame else NONE
        if "visitor" in frame:
            goers[mine], owners[mine] = frame["visitor"][rows], counts_for[rows]
        kinds[mine] = _KIND_CODES[topic][frame["kind"][rows]]
    named_people = people_words(block.people)
    named = pa.array([*(breakage.name for breakage in BREAKAGES)], pa.string())
    return pa.table({
        "event_id": strings(ids),
        "topic": _named(records["topic"], pa.array(TOPICS)),
        "kind": _named(kinds, _KINDS),
        "user_id": _named(users, named_people["user"]),
        "goes_by": _named(goers, named_people["visitor"]),
        "counts_for": _named(owners, named_people["user"]),
        "event_time": _instants(records["time"]),
        "sent_at": _instants(records["sent"]),
        "clock_offset_us": pa.array(records["offset_us"]),
        "fate": _named(records["fate"], pa.array(FATES)),
        "reasons": _reasons(records, period),
        "breakage": _named(records["breakage"], named),
        "is_late": pa.array(records["is_late"]),
        "is_tombstone": pa.array(_tombstones(block, records)),
        "producer": pa.array(records["producer"]),
        "epoch": pa.array(records["epoch"]),
        "seq": pa.array(records["seq"]),
    })  # fmt: skip


_VOCABULARIES = ("view", "like", "order_kind", "user_kind", "video_kind", "product_kind", "merchant_kind")
_KIND_WORDS = {topic: FIXED[name] for topic, name in zip(TOPICS, _VOCABULARIES, strict=True)}
_KINDS = pc.unique(pa.concat_arrays(list(_KIND_WORDS.values())))
_KIND_CODES = {topic: pc.index_in(named, _KINDS).to_numpy() for topic, named in _KIND_WORDS.items()}


def _tombstones(block: Block, records: Columns) -> np.ndarray:
    """Records that withdraw an entity by a null value: sound, and without a body that carries their id."""
    closed = np.zeros(len(records["row"]), dtype=bool)
    for topic, frame in block.events.items():
        if "is_deleted" in frame:
            mine = np.flatnonzero(records["topic"] == TOPICS.index(topic))
            closed[mine] = frame["is_deleted"][records["row"][mine]] == 1
    return closed


def _reasons(records: Columns, period: Period) -> pa.Array:
    """Why a record is refused: by its breakage, or by what its claimed time says; null for the others."""
    claimed = claimed_times(records)
    ahead = claimed > records["sent"] + BELIEVED_AHEAD
    outside = (claimed < period.start) | (claimed >= period.end)
    lies = np.array([breakage.clock is not None for breakage in BREAKAGES] + [False])[records["breakage"]]
    case = np.where(lies, _BELIEFS + ahead * 2 + outside, records["breakage"])
    case = np.where(records["fate"] == CONFLICT, _DISPUTED, case)
    is_refused = (records["fate"] == QUARANTINED) | (records["fate"] == CONFLICT)
    return _REASONS.take(pa.array(case.astype(np.int32), mask=~is_refused))


_DISPUTED, _BELIEFS = len(BREAKAGES), len(BREAKAGES) + 1  # places in the list of reasons, after those of the breakages
_REASONS = pa.array(
    [*(list(breakage.reasons) for breakage in BREAKAGES), ["conflict"],
     [], ["outside_declared_range"], ["future_time"], ["future_time", "outside_declared_range"]],
    pa.list_(pa.string()),
)  # fmt: skip


def _users(found: Columns, names: pa.Array) -> pa.Table:
    columns = {name: _named(found[name], FIXED[name]) for name in ("region", "tier", "member", "channel", "consent")}
    columns["top_category"] = _named(found["top_category"], FIXED["category"])
    return pa.table({
        "user_id": names,
        "birth_year": pa.array(found["birth_year"], mask=found["birth_year"] == NONE),
        "generation": _named(found["generation"], pa.array(words.GENERATIONS)),
        **columns,
        "arm": _named(found["arm"], pa.array(words.ARMS)),
        "registered_at": _instants(found["registered_at"]),
        **{name: pa.array(found[name].astype(bool)) for name in ("is_staff", "is_bot", "is_faker", "shares_device")},
    })  # fmt: skip


def _moments(keys: Ints, period: Period) -> pa.Array:
    return _instants(np.where(keys == NEVER, NEVER, keys % SPAN + period.start))


def _days(keys: Ints, period: Period) -> pa.Array:
    """The local days of moments, as dates."""
    return pa.array(period.dates, pa.date32()).take(pa.array(period.day_of(keys % SPAN + period.start)))


def _attempts(tries: Columns, names: pa.Array, period: Period) -> pa.Table:
    return pa.table({
        "user_id": names.take(pa.array(tries["user"])),
        **{name: _moments(tries[name], period) for name in ("entry_at", "first_entry_at", "converted_at")},
        "entry_day": _days(tries["entry_at"], period),
        "entries": pa.array(tries["entries"]),
        "reached": pa.array(tries["reached"]),
    })  # fmt: skip


def _conversions(tries: Columns, names: pa.Array, period: Period) -> pa.Table:
    """One row per user with an entry: how far at best, whether and when first converted, and how often."""
    people, place = np.unique(tries["user"], return_inverse=True)
    best = np.zeros(len(people), dtype=np.int64)
    np.maximum.at(best, place, tries["reached"])
    first = np.full(len(people), NEVER)
    np.minimum.at(first, place, tries["converted_at"])
    return pa.table({
        "user_id": names.take(pa.array(people)),
        "reached": pa.array(best),
        "is_converted": pa.array(best == len(STEPS)),
        "first_converted_at": _moments(first, period),
        "conversions": pa.array(np.bincount(place[tries["converted_at"] != NEVER], minlength=len(people))),
    })  # fmt: skip


def _profiles(found: Columns, names: pa.Array) -> pa.Table:
    seen = found["active_days"] > 0
    columns = {
        name: pa.array(values) for name, values in found.items() if name not in ("user", "first_seen", "last_seen")
    }
    moments = {name: pa.array(found[name], mask=~seen).cast(INSTANT) for name in ("first_seen", "last_seen")}
    return pa.table({"user_id": names, **columns, **moments})


def _books(told: pa.Table) -> pa.Table:
    plain = pa.table({
        "topic": told["topic"],
        "fate": told["fate"],
        "reasons": pc.binary_join(told["reasons"], ", "),
    })  # fmt: skip
    counted = plain.group_by(plain.column_names).aggregate([([], "count_all")])
    counted = counted.rename_columns([*plain.column_names, "records"])
    return counted.sort_by([(name, "ascending") for name in plain.column_names])
