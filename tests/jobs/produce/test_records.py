"""A record carries the event's id and time in its headers and the moment of sending in its body."""

import uuid

import pytest

from jobs.produce.envelope import id_of
from jobs.produce.records import headers, key, rfc3339, stamped

NOW = 1_700_000_000_000_000


@pytest.mark.parametrize(
    ("value", "sent"),
    [
        (b'{"sent_time":"now","kind":"like"}', b'{"sent_time":1700000000000000,"kind":"like"}'),
        (b'{"sent_time":"now-5000000","kind":"like"}', b'{"sent_time":1699999995000000,"kind":"like"}'),
        (b'{"sent_time":"now+1","a":"now"}', b'{"sent_time":1700000000000001,"a":"now"}'),
        (b'{"sent_time":5,"kind":"like"}', b'{"sent_time":5,"kind":"like"}'),
        (b'{"kind":"like","sent_time":"now"}', b'{"kind":"like","sent_time":"now"}'),
        (b"\xff not JSON", b"\xff not JSON"),
        (b"", b""),
        (None, None),
    ],
)
def test_only_a_body_that_asks_for_it_is_stamped(value, sent):
    assert stamped(value, NOW) == sent


def test_an_id_from_the_row_is_a_version_7_uuid_of_its_time():
    made = uuid.UUID(id_of("taobao/row", NOW))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == NOW // 1000


def test_the_same_row_has_the_same_id_and_another_row_or_time_another():
    assert id_of("row", NOW) == id_of("row", NOW)
    assert len({id_of("row", NOW), id_of("other row", NOW), id_of("row", NOW + 86_400_000_000)}) == 3


def test_times_are_written_as_cloud_events_writes_them():
    assert rfc3339(NOW + 1) == "2023-11-14T22:13:20.000001Z"
    assert rfc3339(0) == "1970-01-01T00:00:00.000000Z"


def test_a_replay_declares_its_range_but_not_on_control():
    said = dict(headers("orders", "replay:olist", "id", NOW, "5/9"))
    assert said["ce_replayrange"] == b"5/9"
    assert said["ce_type"] == b"reelhouse.order.v1"
    assert "ce_replayrange" not in dict(headers("control", "replay:olist", "id", NOW, "5/9"))
    assert "ce_replayrange" not in dict(headers("orders", "app:ios", "id", NOW))
    second = dict(headers("orders", "app:ios", "id", NOW, version=2))
    told = (b"reelhouse.order.v2", b"reelhouse:/schemas/events/orders/v2.json")
    assert (second["ce_type"], second["ce_dataschema"]) == told


@pytest.mark.parametrize(
    ("topic", "body", "expected"),
    [
        ("orders", {"user_id": "u1", "order_id": "o1"}, b"u1"),
        ("products", {"product_id": "p1"}, b"p1"),
        ("control", {"source": "replay:olist"}, b"replay:olist"),
        ("views", {"user_id": 7}, None),
        ("views", {"user_id": ""}, None),
        ("views", {}, None),
    ],
)
def test_facts_are_keyed_by_user_and_entities_by_their_id(topic, body, expected):
    assert key(topic, body) == expected
