"""A topic that is not what was read before is told apart, named by `doctor`, and read on only as somebody says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import doctor, topics
from jobs.lake.balance import judged
from jobs.lake.doctor import Verdict
from jobs.lake.errors import BrokerError, TopicError
from jobs.lake.ingest.lives import id_of_life, is_same
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ingest.planning import Plan, is_unread, plan
from jobs.lake.ingest.progress import progress
from jobs.lake.leases import Lease
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.plans import booked_plans
from jobs.lake.settings import Settings
from jobs.lake.watch.measuring import measure_lag

AT = datetime(2026, 11, 30, 8, tzinfo=UTC)
VIEWS, LIKES = "id-views", "id-likes"


class Shop:
    """Books that are written by hand, views/0 read to 40, views/1 to 7 and likes/0 to 5; a broker that is tables."""

    def __init__(self, settings: Settings, patch: pytest.MonkeyPatch) -> None:
        self.settings, self.ledger = settings, Ledger(settings)
        self.begins: topics.Offsets = {"views": {0: 0, 1: 0}, "likes": {0: 0}}
        self.ends: topics.Offsets = {"views": {0: 40, 1: 9}, "likes": {0: 5}}
        self.ids = {"views": VIEWS, "likes": LIKES}
        patch.setattr(topics, "extents", lambda _, *groups: (self.begins, self.ends))
        patch.setattr(topics, "topic_ids", lambda *_: self.ids)
        patch.setattr(topics, "end_offsets", lambda *_: self.ends)
        patch.setattr(topics, "times_of", lambda *_: {})
        patch.setattr(topics, "is_reachable", lambda _: True)
        self.book(Plan(0, {"views": {0: (0, 40), 1: (0, 7)}, "likes": {0: (0, 5)}}, self.ids))

    def book(self, planned: Plan) -> None:
        """As ingest would, with every record accepted."""
        reason = "lost_with_topic" if planned.over else "lost_to_retention"
        lines = [
            {"ingest_seq": planned.ingest_seq, "run_id": "r", "topic": topic, "topic_id": planned.topic_ids[topic],
             "partition": number, "offset_from": start, "offset_to": end, "received": end - start,
             "accepted": end - start, "duplicate": 0, "conflict": 0, "quarantined": 0, "balanced": True,
             "reason_counts": {reason: planned.lost[topic, number]} if (topic, number) in planned.lost else {},
             "recorded_at": AT}
            for topic, parts in planned.ranges.items() for number, (start, end) in parts.items()
        ]  # fmt: skip
        self.ledger.append("ops.books", lines, app="ingest", version=planned.ingest_seq)

    def land(self, planned: Plan) -> None:
        """A batch in bronze."""
        row = {"topic": "views", "topic_id": VIEWS, "partition": 0, "offset": planned.ingest_seq, "kafka_time": AT,
               "ingest_seq": planned.ingest_seq, "received_date": AT.date()}  # fmt: skip
        self.ledger.append("bronze.events", [row], app="ingest", version=planned.ingest_seq)

    def measure(self) -> list[dict[str, object]]:
        rows = measure_lag(self.ledger, self.settings, AT, "r")
        self.ledger.append("ops.lag", rows)
        return rows

    def plan(self, *accept_new: str, accept_loss: bool = False) -> Plan:
        return plan(self.settings, progress(self.ledger), accept_loss=accept_loss, accept_new=accept_new)

    def off(self) -> list[str]:
        return [line["problem"] for line in judged(self.ledger.read("ops.books").to_pylist(maps_as_pydicts="strict"))
                if not line["balanced"]]  # fmt: skip


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    return Shop(Settings(home=tmp_path), monkeypatch)


def test_canaries_alone_leave_nothing_to_read(shop: Shop) -> None:
    assert is_unread(shop.settings)
    row = {"canary_sent_at": AT, "topic": "views", "topic_id": VIEWS, "partition": 1, "run_id": "r"}
    shop.ledger.append("ops.canaries", [row | {"kafka_offset": 7}, row | {"kafka_offset": 6}])
    assert is_unread(shop.settings), "offset 8 is a record"
    shop.ledger.append("ops.canaries", [row | {"kafka_offset": 8}])
    assert not is_unread(shop.settings)


def test_doctor_finds_nothing_wrong_with_topics_that_are_what_they_were(shop: Shop) -> None:
    assert [found.verdict for found in doctor.topics_read(shop.settings)] == [Verdict.ok]


CHANGES = {
    "made anew": (lambda shop: shop.ids.update(views="another"), "made anew: topic views was deleted and made anew",
                  "`reelhouse ingest --accept-new-topic views`"),
    "its end moved back": (lambda shop: shop.ends["views"].update({0: 30}),
                           "its end moved back: views/0 ends at offset 30, but 40 was read",
                           "`reelhouse ingest --accept-new-topic views`"),
    "retention outran ingest": (lambda shop: shop.begins["views"].update({1: 9}),
                                "retention outran ingest: views/1: offsets 7 to 8 are gone",
                                "`reelhouse ingest --accept-loss`"),
    "gone": (lambda shop: shop.ids.pop("views"), "gone: topic views is gone",
             "`make up` does) and run `reelhouse ingest --accept-new-topic views`"),
    "without a partition": (lambda shop: shop.ends["views"].pop(1), "gone: views/1 is not among the partitions",
                            "bring it back"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_doctor_names_what_became_of_a_topic_and_the_command_and_ingest_stops(name: str, shop: Shop) -> None:
    change, said, command = CHANGES[name]
    change(shop)
    (found,) = doctor.topics_read(shop.settings)
    assert (found.subject, found.verdict) == ("topics", Verdict.blocks)
    assert found.found.startswith(said)
    assert command in found.remedy
    assert "docs/runbooks/topics.md" in found.remedy
    with pytest.raises(TopicError, match="nothing was read") as stopped:
        shop.plan()
    assert command in str(stopped.value)


def test_doctor_and_ingest_name_all_at_once_and_a_word_accepts_only_what_it_names(shop: Shop) -> None:
    shop.ids.update(views="another", likes="another, too")
    shop.begins["views"][1] = 4
    assert len(doctor.topics_read(shop.settings)) == 3
    for words, left in (((), 3), (("views",), 2), (("views", "likes"), 1)):
        with pytest.raises(TopicError) as stopped:
            shop.plan(*words)
        assert str(stopped.value).count("; or ") == left
    anew = shop.plan("views", "likes", accept_loss=True)
    assert anew.lost == {("views", 1): 4}, "the head of the new topic"
    assert anew.ranges["views"] == {0: (0, 40), 1: (4, 9)}


def test_a_loss_is_accepted_once_and_told(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service goes on for months with the word that it was begun with."""
    run = Ingest(shop.settings, "test", lambda: AT, lambda _: None, accept_loss=True)

    def begin(planned: Plan, _: Lease) -> None:
        shop.book(planned)
        shop.land(planned)

    monkeypatch.setattr(run, "begin", begin)
    shop.land(Plan(0, {}, shop.ids))
    with run.leases.held("ingest", "test") as lease:
        shop.begins["views"][1] = 9
        run.once(lease)
        assert run.notes == ["2 offsets of views/1 that nobody read are booked as lost"]
        shop.begins["views"][0], shop.ends["views"][0] = 45, 50
        with pytest.raises(TopicError, match="views/0: offsets 40 to 44 are gone"):
            run.once(lease)


def test_doctor_that_finds_no_broker_says_so(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_: object) -> None:
        raise BrokerError("kafka is silent")

    monkeypatch.setattr(topics, "extents", silent)
    assert [found.verdict for found in doctor.topics_read(shop.settings)] == [Verdict.warning]


def test_what_nobody_read_of_a_topic_made_anew_is_booked_before_it_is_read_from_its_beginning(shop: Shop) -> None:
    shop.ends["views"][0] = 50
    shop.measure()
    shop.ids["views"], shop.ends["views"] = "another", {0: 99, 1: 0}
    shop.measure()  # of the new one: its end is none of the old one's
    closing = shop.plan("views")
    assert (closing.size, closing.over, closing.topic_ids) == (0, ("views",), {"views": VIEWS, "likes": LIKES})
    assert closing.lost == {("views", 0): 10, ("views", 1): 2}
    assert Plan.from_note(closing.note()) == closing
    shop.book(closing)
    with pytest.raises(TopicError):
        shop.plan()
    anew = shop.plan("views")
    assert anew.ranges == {"views": {0: (0, 99), 1: (0, 0)}, "likes": {0: (5, 5)}}
    assert (anew.topic_ids["views"], anew.lost, anew.over) == ("another", {}, ())
    assert anew.begins_lives(progress(shop.ledger)) == ["views"]
    shop.book(anew)
    assert shop.off() == []
    plans = booked_plans(shop.ledger.read("ops.books").to_pylist(maps_as_pydicts="strict"))
    told = [replace(plans[number], contracts={}) for number in (1, 2)]  # which the books do not tell
    assert told == [closing, anew], "the books tell the same plans"
    assert shop.plan().size == 0


def test_lag_of_a_topic_made_anew_counts_from_its_beginning(shop: Shop) -> None:
    shop.ids["views"], shop.ends["views"] = "another", {0: 3, 1: 0}
    lag = {(row["topic"], row["partition"]): (row["topic_id"], row["behind"]) for row in shop.measure()}
    assert lag == {("views", 0): ("another", 3), ("views", 1): ("another", 0), ("likes", 0): (LIKES, 0)}


def test_a_topic_that_lost_its_end_is_read_from_its_beginning_under_an_id_of_its_own(shop: Shop) -> None:
    shop.begins["views"][1], shop.ends["views"] = 3, {0: 44, 1: 9}
    shop.measure()
    shop.ends["views"][0] = 30
    closing = shop.plan("views")
    assert (closing.size, closing.lost) == (0, {("views", 0): 4}), "what of views/1 was not read is there still"
    shop.book(closing)
    planned = shop.plan("views")
    assert planned.topic_ids == {"views": f"{VIEWS}~2", "likes": LIKES}
    assert (planned.ranges["views"], planned.lost) == ({0: (0, 30), 1: (3, 9)}, {})
    shop.book(planned)
    assert doctor.topics_read(shop.settings)[0].verdict is Verdict.ok
    shop.ends["views"][0] = 20
    again = shop.plan("views")
    assert (again.topic_ids["views"], again.lost) == (f"{VIEWS}~3", {}), "44 was the end of the first life"
    shop.book(again)
    assert shop.plan().size == 0
    assert shop.off() == []


def test_a_life_has_the_brokers_id_and_where_that_is_the_same_a_number() -> None:
    assert [id_of_life("a", known, is_new=new) for known, new in
            ((None, False), ("a", False), ("a", True), ("a~2", False), ("a~2", True), ("b~2", True))] == [
        "a", "a", "a~2", "a~2", "a~3", "a"]  # fmt: skip
    assert [is_same("a", known) for known in ("a", "a~2", "b", "b~2")] == [True, True, False, False]


def test_a_topic_that_is_none_cannot_be_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    refused = CliRunner().invoke(build_app(), ["ingest", "--accept-new-topic", "veiws"])
    assert "no such topic; there are views, likes" in str(refused.exception)
