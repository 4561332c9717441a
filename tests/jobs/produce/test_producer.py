"""The producer completes and judges events before any broker is asked; the rest is tests/stream/test_producer.py."""

import json

import pytest

from jobs.lake.errors import BrokerError
from jobs.lake.settings import Settings
from jobs.produce import delivery
from jobs.produce.lines import raw_record, read_body, send_lines
from jobs.produce.producer import Producer
from jobs.produce.spool import Spool

LIKE = {"kind": "like", "event_time": 1_700_000_000_000_000, "user_id": "u1", "video_id": "v1", "scene": "mall",
        "source": "search"}  # fmt: skip


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """No broker answers here, and that is known at once."""
    monkeypatch.setattr(delivery, "CONNECT_SECONDS", 0.05)
    return Settings(home=tmp_path, kafka_bootstrap_servers="127.0.0.1:9")


@pytest.fixture
def kept(settings, tmp_path):
    """Do something with a producer whose broker is away; gives the records on disk and the refused lines."""

    def run(work):
        with (
            pytest.raises(BrokerError, match="does not answer"),
            Producer(settings, source="app:test", spool=tmp_path / "spool", patience_seconds=0) as producer,
        ):
            work(producer)
        spool = Spool(tmp_path / "spool")
        records = [record for batch in spool.left_over for record in spool.load(batch)]
        spool.close(is_empty=False)
        path = producer.refused.path
        return records, [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    return run


def body_of(record):
    return json.loads(record.value)


def test_what_the_envelope_lacks_is_filled_in(kept):
    (record, second), _ = kept(lambda producer: [producer.send("likes", LIKE), producer.send("likes", LIKE)])
    body = body_of(record)
    assert body["sent_time"] == "now"  # to be written at each physical send
    assert body["producer"] == {"id": body["producer"]["id"], "epoch": 1, "seq": 0}
    assert body_of(second)["producer"]["seq"] == 1
    assert body["event_id"][14] == "7"
    assert body["event_id"] != body_of(second)["event_id"]
    assert {name: body[name] for name in LIKE} == LIKE


def test_what_the_sender_says_stays(kept):
    said = {
        "sent_time": 5,
        "producer": {"id": "phone", "epoch": 3, "seq": 9},
        "event_id": "01890000-0000-7000-8000-000000000001",
    }
    (record,), _ = kept(lambda producer: producer.send("likes", LIKE | said))
    assert body_of(record) == LIKE | said
    assert dict(record.headers)["ce_id"].decode() == said["event_id"]


def test_an_event_against_its_contract_is_kept_with_every_reason(kept):
    def work(producer):
        assert not producer.send("likes", LIKE | {"kind": "adore", "user_id": 7})
        producer.send("likes", LIKE)

    records, (refused,) = kept(work)
    assert [body_of(record)["producer"]["seq"] for record in records] == [0]  # what is refused leaves no gap
    assert set(refused["reasons"]) == {"not_allowed:kind", "wrong_type:user_id"}
    assert json.loads(refused["value"])["kind"] == "adore"


def test_the_same_line_is_the_same_event_however_often_it_is_sent(kept):
    lines = [json.dumps(LIKE).encode(), b"", json.dumps(dict(reversed(LIKE.items()))).encode()]
    records, refused = kept(lambda producer: send_lines(producer, "likes", lines))
    assert len({body_of(record)["event_id"] for record in records}) == 1
    assert (len(records), refused) == (2, [])


LINES = {
    b"{": "malformed_json",
    b'{"a":1} x': "malformed_json",
    b'{"a":1}{"b":2}': "malformed_json",
    b'{"a":NaN}': "malformed_json",
    b'\xef\xbb\xbf{"a":1}': "malformed_json",
    b"[1]": "malformed_json",
    b'{"a":1,"a":2}': "duplicate_field:a",
    b'{"a":"\xff"}': "invalid_utf8",
    b'{"a":' + b"[" * 50_000 + b"]" * 50_000 + b"}": "too_deep",
}


@pytest.mark.parametrize(("line", "reason"), LINES.items(), ids=list(LINES.values()))
def test_a_line_that_is_no_event_is_refused_with_its_reason(line, reason):
    body, faults = read_body(line)
    assert body is None
    assert list(faults) == [reason]


BODIES = {
    "a lone surrogate": ('"comment_length": 1, "region": "\\ud800"', None),
    "beyond a double": ('"comment_length": 1e309', "wrong_type:comment_length"),
    "2,000 digits": (f'"comment_length": {"9" * 2000}', "wrong_type:comment_length"),
    "beyond 64 bits": ('"unheard_of": 99999999999999999999', None),
}


@pytest.mark.parametrize("name", BODIES)
def test_what_cannot_be_written_as_json_is_refused_and_kept(kept, name):
    extra, reason = BODIES[name]
    line = json.dumps(LIKE)[:-1] + f", {extra}}}"
    records, (refused,) = kept(
        lambda producer: [producer.send("likes", LIKE), send_lines(producer, "likes", [line.encode()])]
    )
    assert len(records) == 1
    assert reason is None or refused["reasons"] == [reason]


def test_raw_keeps_the_bytes_and_reads_what_it_can():
    line = b' {"user_id":"u1", "event_id":"x","event_time":1700000000000000} '
    record = raw_record("likes", "app:produce", line)
    assert (record.key, record.value) == (b"u1", line)
    assert dict(record.headers)["ce_id"] == b"x"
    assert dict(record.headers)["ce_time"] == b"2023-11-14T22:13:20.000000Z"
    garbage = raw_record("likes", "app:produce", b"\xff{")
    assert (garbage.key, garbage.value) == (None, b"\xff{")
    assert "ce_time" not in dict(garbage.headers)
