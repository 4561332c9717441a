"""bronze.events keeps every record as received, bit for bit, and says from which topic of that name."""

from datetime import UTC, date

import pytest

from jobs.bronze.events import build
from jobs.lake.contracts import contract
from jobs.lake.ingest.landing import AS_READ
from tests.lake.logs import NOON

ODD = b"\xff\x00{not json"
HEADERS = [("ce_id", b"1"), ("ce_id", b"2"), ("empty", None)]
ROWS = [
    (b"u1", ODD, "views", 3, 41, NOON, HEADERS),
    (None, None, "users", 0, 7, NOON, None),
    (b"", b"", "views", 0, 0, NOON, []),
]


@pytest.fixture(scope="module")
def events(spark, settings):
    made = build(spark.createDataFrame(ROWS, AS_READ), topic_ids={"views": "A", "users": "B"}, ingest_seq=12)
    assert set(made.columns) == set(contract("bronze.events", settings.schemas_dir).names)
    return {(row.topic, row.offset): row for row in made.collect()}


def test_bytes_are_kept_as_they_are(events):
    row = events["views", 41]
    assert (bytes(row.key), bytes(row.value)) == (b"u1", ODD)
    assert [(one.key, one.value and bytes(one.value)) for one in row.headers] == HEADERS


def test_nothing_is_not_the_same_as_empty(events):
    assert (events["users", 7].key, events["users", 7].value, events["users", 7].headers) == (None, None, None)
    assert (bytes(events["views", 0].key), bytes(events["views", 0].value)) == (b"", b"")


def test_a_record_names_its_place_and_the_topic_that_was(events):
    assert [(row.topic_id, row.partition, row.ingest_seq) for row in events.values()] == [
        ("A", 3, 12),
        ("B", 0, 12),
        ("A", 0, 12),
    ]


def test_the_brokers_time_gives_the_day_it_is_kept_under(events):
    row = events["views", 41]
    assert (row.kafka_time.replace(tzinfo=UTC), row.received_date) == (NOON, date(2026, 11, 20))
