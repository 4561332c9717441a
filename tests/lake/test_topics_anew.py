"""A topic that was made anew, or lost its end, is read on once accepted: nothing lost unbooked, nothing doubled."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake.balance import judged
from jobs.lake.clock import now
from jobs.lake.errors import TopicError
from jobs.lake.hours import differences
from jobs.lake.ingest.loop import Ingest
from jobs.lake.kill_points import VARIABLE, Killed
from jobs.lake.recounting import recounted
from jobs.lake.settings import Settings
from jobs.lake.topics import REPLAY_HEADER
from tests.lake.logs import NOON, Log, Record, body_of, micros, record

REPLAY = "watched_ms-1.1"
PLACE = ["kafka_topic_id", "kafka_partition", "kafka_offset"]


def views(*numbers: int) -> list[Record]:
    """Views of partition 0, all of one time: only their places tell two arrivals of one apart."""
    return [record("views", body_of("views", n, user_id=f"u{n % 3}")) for n in numbers]


class Shop:
    """A lake that has read views 0 to 9 and knows that ten more were there, on a broker that is a list."""

    def __init__(self, settings: Settings, spark: SparkSession, patch: pytest.MonkeyPatch) -> None:
        self.settings, self.spark, self.patch, self.log = settings, spark, patch, Log()
        self.log.installed(patch)
        self.log.put([*views(*range(10)), record("users", body_of("users", 90, user_id="u1"))])
        self.ingest()
        seen = {"measured_at": NOON, "topic": "views", "topic_id": "id-views", "partition": 0, "end_offset": 20,
                "next_offset": 10, "behind": 10, "run_id": "r"}  # fmt: skip
        self.run().ledger.append("ops.lag", [seen])

    def run(self, *accept_new: str) -> Ingest:
        return Ingest(self.settings, "test", now, lambda _: self.spark, accept_new=frozenset(accept_new))

    def ingest(self, *accept_new: str, kill_at: str = "") -> list[str]:
        """Run it to its end, or be killed; what it has to say."""
        run = self.run(*accept_new)
        self.patch.setenv(VARIABLE, f"raise:{kill_at}" if kill_at else "")
        try:
            run.until_caught_up()
        except Killed:
            assert kill_at
        return run.notes

    def is_stopped(self) -> bool:
        try:
            self.ingest()
        except TopicError:
            return True
        return False

    def booked(self) -> Counter[str]:
        """The sums of views' books, of which every line balances."""
        lines = list(judged(self.run().ledger.read("ops.books").to_pylist(maps_as_pydicts="strict")))
        assert [line["problem"] for line in lines if not line["balanced"]] == []
        names = ("received", "accepted", "duplicate", "quarantined", "lost")
        return Counter({name: sum(line[name] for line in lines if line["topic"] == "views") for name in names})

    def numbers(self) -> list[int]:
        """The views in silver, by the order in which they were first told."""
        ids = [record("views", body_of("views", n)).headers or () for n in range(60)]
        told = {dict(each)["ce_id"].decode(): n for n, each in enumerate(ids)}
        return sorted(told[event] for event in self.run().ledger.read("silver.views")["event_id"].to_pylist())

    def doubled(self) -> list[str]:
        """Places of bronze or silver that two rows have."""
        bronze = self.run().ledger.read("bronze.events", ["topic", "topic_id", "partition", "offset"]).to_pylist()
        silver = self.run().ledger.read("silver.views", PLACE).to_pylist()
        return [str(place) for place, n in Counter(map(str, [*bronze, *silver])).items() if n > 1]


@pytest.fixture
def shop(tmp_path: Path, spark: SparkSession, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(Settings(home=tmp_path, key_file=tmp_path / "keys.json"), spark, monkeypatch)


@pytest.mark.parametrize("is_killed", [False, True], ids=["undisturbed", "killed in both of its batches"])
def test_a_topic_made_anew_is_read_on_once_that_is_accepted(is_killed: bool, shop: Shop) -> None:
    shop.log.parts["views"], shop.log.ids["views"] = {}, "another"
    shop.log.put(views(*range(5, 25)))
    assert shop.is_stopped()
    assert shop.booked() == {"received": 10, "accepted": 10, "duplicate": 0, "quarantined": 0, "lost": 0}
    if is_killed:
        shop.ingest("views", kill_at="ingest.after_bronze")
        shop.run("views").until_caught_up(1)
        shop.ingest("views", kill_at="ingest.after_touched")
    notes = shop.ingest("views")
    if not is_killed:
        assert notes[0] == "10 offsets of views/0 that nobody read are booked as lost with their topic"
        assert notes[1].startswith("views is read on as another, after id-views")
    assert shop.booked() == {"received": 30, "accepted": 25, "duplicate": 5, "quarantined": 0, "lost": 10}
    assert shop.numbers() == list(range(25))
    assert shop.doubled() == []
    shop.log.put(views(25))
    shop.ingest()
    assert shop.numbers() == list(range(26)), "it is a topic like any other"


def test_a_word_is_for_one_time_and_a_topic_made_anew_may_be_empty(shop: Shop) -> None:
    run = shop.run("views", "users")
    shop.log.parts["views"], shop.log.ids["views"] = {0: []}, "another"
    assert len(run.until_caught_up()) == 2
    assert shop.booked()["lost"] == 10
    assert not shop.is_stopped()
    shop.log.ids["users"] = "another, too"
    with pytest.raises(TopicError, match="topic users was deleted and made anew"):
        run.until_caught_up()


def test_a_topic_that_lost_its_end_is_read_anew_and_no_place_is_doubled(shop: Shop) -> None:
    """What others wrote where the end was, before anybody looked, is read as well."""
    del shop.log.parts["views"][0][6:]
    shop.log.put(views(7, 30, 31))
    assert shop.is_stopped()
    notes = shop.ingest("views")
    assert notes[-1].startswith("views is read on as id-views~2, after id-views")
    shop.log.put([*views(32), record("users", body_of("users", 91, user_id="u2"), at=NOON + timedelta(hours=1))])
    shop.ingest()
    assert shop.booked() == {"received": 20, "accepted": 13, "duplicate": 7, "quarantined": 0, "lost": 10}
    assert shop.numbers() == [*range(10), 30, 31, 32]
    assert shop.doubled() == []


def test_a_replay_is_undone_though_the_topic_has_its_partition_no_more(shop: Shop) -> None:
    """What is taken back of it, and what is judged anew, is counted in a line that there is."""
    shop.log.put([replayed(30, 1), replayed(32, 3), viewed(32, 4)])
    shop.ingest()
    shop.log.parts["views"], shop.log.ids["views"] = {0: []}, "another"
    shop.log.put(views(40, 41))
    shop.ingest("views")
    said = {"kind": "retract", "source": "app:quarantine", "topic": "views", "replay_id": REPLAY, "why": "wrong unit",
            "since": micros(NOON), "offsets": [{"partition": 0, "next_offset": 2}], "complete_until": None,
            "is_final": None}  # fmt: skip
    shop.log.put([record("control", body_of("control", 400, **said)), *views(42)])
    shop.ingest()
    assert shop.numbers() == [*range(10), 32, 40, 41, 42], "32 came by itself as well"
    assert shop.booked() == {"received": 16, "accepted": 14, "duplicate": 0, "quarantined": 2, "lost": 10}
    ledger = shop.run().ledger
    lines, hours = (ledger.read(table).to_pylist(maps_as_pydicts="strict") for table in ("ops.books", "ops.book_hours"))
    assert list(differences(lines, hours, 0)) == []
    recounted(ledger, ["silver.views"], -1)
    shop.log.put(views(43))
    shop.ingest()
    assert shop.numbers()[-1] == 43


def viewed(number: int, minute: int) -> Record:
    """A view of partition 1 that comes some minutes after noon."""
    at = NOON + timedelta(minutes=minute)
    return record("views", body_of("views", number, user_id="u1"), partition=1, at=at)


def replayed(number: int, minute: int) -> Record:
    """The same by a replay."""
    made = viewed(number, minute)
    return replace(made, headers=(*(made.headers or ()), (REPLAY_HEADER, REPLAY.encode())))
