"""What goes wrong on the way is what the truth says, record by record."""

from collections import Counter
from datetime import UTC, datetime

import numpy as np
import orjson
import polars as pl
import pyarrow as pa
import pytest

from jobs.definitions.events.numbered import numbered
from jobs.lake.event_contracts import producer_field
from jobs.lake.settings import ROOT
from jobs.ops.sequences import build
from jobs.serve.sequences import gaps_between
from jobs.simulate.breakages import BREAKAGES
from jobs.simulate.misbehaviour import PROFILES
from jobs.simulate.period import MINUTE
from jobs.simulate.records import PRODUCERS
from tests.jobs.simulate.conftest import Told, named


@pytest.fixture(scope="module")
def sent(wild: Told) -> pl.DataFrame:
    """Sound records as sent (fates good, duplicate, conflict), each with its claimed and its true time."""
    rows = []
    broken = set(wild.truth["events"].filter(pl.col("breakage").is_not_null())["event_id"])
    for place, (topic, value, told) in enumerate(wild.records.select("topic", "value", "headers").iter_rows()):
        headers = named(told)
        if topic == "control" or value is None or not headers or headers["ce_id"] in broken:
            continue
        body = orjson.loads(value)
        content = {name: body[name] for name in body if name not in ("sent_time", "producer")}
        said = orjson.dumps(content, option=orjson.OPT_SORT_KEYS).decode()
        times = (body["event_time"], body["sent_time"], int(headers["ce_replaytime"]))
        rows.append((place, topic, body["event_id"], *times, said))
    names = ["place", "topic", "event_id", "event_time", "sent_time", "replay_time", "content"]
    return pl.DataFrame(rows, schema=names, orient="row")


def test_every_record_has_one_row_of_truth(wild: Told) -> None:
    facts = wild.records.filter(pl.col("topic") != "control")
    told = wild.truth["events"].filter(pl.col("fate") != "lost")
    assert facts.height == told.height
    assert Counter(facts["topic"].to_list()) == Counter(told["topic"].to_list())


def test_the_truth_sums_to_the_books(wild: Told) -> None:
    booked = {(topic, fate): count for topic, fate, count in
              wild.truth["books"].group_by("topic", "fate").agg(pl.col("records").sum()).rows()}  # fmt: skip
    assert booked == dict(wild.outcome.records)
    told = Counter(zip(wild.truth["events"]["topic"].to_list(), wild.truth["events"]["fate"].to_list(), strict=True))
    assert booked == dict(told)


def test_every_kind_of_misbehaviour_occurs_when_wild(wild: Told) -> None:
    events = wild.truth["events"]
    assert set(events["breakage"].drop_nulls()) == {breakage.name for breakage in BREAKAGES}
    assert set(events["fate"]) == {"good", "duplicate", "conflict", "quarantined", "lost"}
    assert events["is_late"].any()
    assert (events["clock_offset_us"] != 0).any()
    assert events["is_tombstone"].any()
    assert (events["epoch"] == 2).any()
    late = events["sent_at"] - events["event_time"]
    assert late.filter(events["is_late"]).max() > pl.Series([3 * 86_400_000_000]).cast(pl.Duration("us"))[0]  # type: ignore[operator]


def test_tidy_senders_do_nothing_wrong(tidy: Told) -> None:
    assert set(tidy.truth["events"]["fate"]) == {"good"}
    assert PROFILES["none"] == type(PROFILES["none"])()


def test_the_first_of_an_id_is_good_and_its_duplicates_say_the_same(wild: Told, sent: pl.DataFrame) -> None:
    arrived = wild.truth["events"].filter(pl.col("fate").is_in(["good", "duplicate", "conflict"]))
    fates = arrived.group_by("event_id").agg(pl.col("fate").sort_by("sent_at"))
    contents = dict(sent.sort("replay_time").group_by("event_id", maintain_order=True).agg("content").rows())
    for event_id, told in fates.rows():
        assert told[0] == "good"
        for fate, content in zip(told[1:], contents.get(event_id, [])[1:], strict=False):
            assert (content == contents[event_id][0]) == (fate == "duplicate")


def test_records_leave_in_the_order_of_their_day_of_sending(sent: pl.DataFrame) -> None:
    for _, topic in sent.sort("place").group_by("topic"):
        assert topic["replay_time"].is_sorted()


def test_a_wrong_clock_is_put_right_by_its_time_of_sending(wild: Told, sent: pl.DataFrame) -> None:
    skew = pl.col("replay_time") - pl.col("sent_time")
    corrected = sent.with_columns(pl.col("event_time") + pl.when(skew.abs() > 5 * MINUTE).then(skew).otherwise(0))
    true = (
        wild.truth["events"]
        .filter(pl.col("fate") == "good")
        .select("event_id", pl.col("event_time").cast(pl.Int64).alias("true"))
    )
    both = corrected.join(true, on="event_id")
    assert both.height > 10_000
    assert (both["event_time"] == both["true"]).all()
    assert (sent["sent_time"] != sent["replay_time"]).sum() > 50


def test_a_lost_run_is_a_gap_in_the_count_of_its_producer(wild: Told) -> None:
    by = ["topic", "producer", "epoch", "seq"]
    facts = wild.truth["events"].filter(pl.col("producer") < 4)
    lost = facts.filter(pl.col("fate") == "lost").select(by)
    assert lost.height >= 20
    assert lost.join(facts.filter(pl.col("fate") != "lost"), on=["producer", "epoch", "seq"]).height == 0
    whole = (
        facts.select("producer", "epoch", "seq")
        .unique()
        .group_by("producer", "epoch")
        .agg(pl.col("seq").max(), pl.len())
    )
    assert (whole["seq"] + 1 == whole["len"]).all()


def test_a_repeated_run_comes_again_under_the_same_numbers(wild: Told) -> None:
    again = wild.truth["events"].filter((pl.col("fate") == "duplicate") & (pl.col("producer") < 4))
    first = wild.truth["events"].filter(pl.col("fate") == "good")
    assert again.join(first, on=["event_id", "producer", "epoch", "seq"]).height == again.height


def test_the_end_is_announced_for_each_topic_of_facts(wild: Told) -> None:
    control = [orjson.loads(value) for value in wild.records.filter(pl.col("topic") == "control")["value"]]
    assert [body["topic"] for body in control] == ["views", "likes", "orders"]
    end = wild.plan.period.end
    assert all(body["is_final"] and body["complete_until"] == end and body["offsets"] == [] for body in control)


def test_numbers_that_are_missing_were_lost_by_their_producer_or_cannot_be_read(wild: Told) -> None:
    values = pa.array(wild.records.filter(pl.col("topic") != "control")["value"].to_list(), pa.binary())
    told = numbered(values, producer_field(ROOT / "schemas"))
    runs = build(
        told.append_column("is_refused", pa.array([False] * told.num_rows)),
        {},
        ingest_seq=0,
        at=datetime(2026, 6, 8, tzinfo=UTC),
    ).to_pylist()
    missing: set[tuple[int, int, int]] = set()
    for place in {(run["producer_id"], run["producer_epoch"]) for run in runs}:
        mine = [run for run in runs if (run["producer_id"], run["producer_epoch"]) == place]
        bounds = [np.array([run[name] for run in mine]) for name in ("first_seq", "last_seq")]
        _, _, gaps = gaps_between(*bounds)
        shard = place[0].rsplit("-", 1)[-1]
        producer = PRODUCERS if shard == "entities" else int(shard)
        missing |= {(producer, place[1], seq) for first, last in gaps for seq in range(first, last + 1)}
    events = wild.truth["events"].select("producer", "epoch", "seq", "fate", "breakage", "is_tombstone").rows()
    lost = {tuple(place) for *place, fate, _, _ in events if fate == "lost"}
    unread = {tuple(place) for *place, fate, broken, is_gone in events if broken or is_gone}
    assert len(lost) > 20
    assert lost <= missing
    assert missing - lost <= unread
    assert told.num_rows > 0.99 * len(values)
