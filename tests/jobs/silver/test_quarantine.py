"""silver.quarantine: every refused record with every reason."""

import pytest
from pyspark.sql import functions as F

from jobs.lake.ingest.forms import form
from jobs.silver.quarantine import build, conflicts
from tests.lake.logs import NOON, body_of, headers_of, record


def typed(kind):
    """Headers of a view that name another type."""
    return [(name, kind.encode() if name == "ce_type" else value) for name, value in headers_of("views", "e")]


GOOD = record("views", body_of("views", 1))
RECORDS = [
    GOOD,
    record("views", body_of("views", 2, watch_ms="x", scene="moon")),
    record("views", body_of("views", 3), value=b"{"),
    record("views", body_of("views", 4), value=None),
    record("views", body_of("views", 5), headers=headers_of("dances", "e5")),
    record("views", body_of("views", 6), headers=typed("reelhouse.view.v99")),
    record("views", body_of("views", 7), headers=typed("reelhouse.view.v1\n")),  # no version of ours
]


@pytest.fixture(scope="module")
def refused(readings, settings):
    made = build(readings("views", RECORDS), form=form("views", settings))
    return {row.kafka_offset: row for row in made.collect()}


def test_a_good_record_is_not_here(refused):
    assert set(refused) == {1, 2, 3, 4, 5, 6}


def test_every_reason_is_told_not_only_the_first(refused):
    assert set(refused[1].reasons) == {"wrong_type:watch_ms", "not_allowed:scene"}


def test_what_cannot_be_read_is_told_apart(refused):
    assert [list(refused[n].reasons) for n in (2, 3, 4)] == [["malformed_json"], ["tombstone"], ["unknown_type"]]


def test_an_unknown_version_is_no_unknown_type(refused):
    told = {n: (refused[n].reasons[0], refused[n].schema_version) for n in (5, 6)}
    assert told == {5: ("unknown_version", 99), 6: ("unknown_type", None)}


def test_coordinates_are_kept_and_bytes_are_not(refused):
    assert (refused[1].kafka_topic_id, refused[1].kafka_partition) == ("id-views", 0)
    assert refused[1].event_id == body_of("views", 2)["event_id"]
    assert "moon" not in str(refused[1])


def test_who_sent_it_is_told_where_the_body_can_be_read(refused):
    told = {n: (row.producer_id, row.producer_epoch, row.producer_seq) for n, row in refused.items()}
    nobody = (None, None, None)
    assert told == {
        1: ("app-1", 1, 2),
        2: nobody,
        3: nobody,
        4: ("app-1", 1, 5),
        5: ("app-1", 1, 6),
        6: ("app-1", 1, 7),
    }


def test_a_conflict_names_its_twin(spark):
    verdicts = spark.createDataFrame(
        [("conflict", "id-views", 0, 9, NOON, NOON, "e1", (0, 3)), ("first", "id-views", 0, 3, NOON, NOON, "e1", None)],
        "fate string, kafka_topic_id string, kafka_partition int, kafka_offset bigint, kafka_time timestamp, "
        "event_hour timestamp, event_id string, twin struct<partition:int,offset:bigint>",
    )
    (row,) = conflicts(verdicts, topic="views", ingest_seq=2).select("*", F.col("twin.offset").alias("at")).collect()
    assert (row.kafka_offset, row.at, row.reasons, row.ingest_seq) == (9, 3, ["conflict"], 2)
