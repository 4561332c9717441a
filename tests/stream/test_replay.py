"""A log replayed to a real broker: once or twice, it is the same log."""

import json
from datetime import date
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.settings import Settings
from jobs.replay.taobao import read
from jobs.replay.telling.sending import send
from tests.stream.conftest import Reader

pytestmark = pytest.mark.timeout(120)
TAOBAO = "7,70,700,pv,1511658000\n7,70,700,cart,1511658001\n8,71,700,buy,1511658002\n9,72,701,pv,15"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "UserBehavior.csv"
    path.write_text(TAOBAO)
    return path


def test_a_log_replayed_twice_sends_the_same_ids_and_ends_twice(settings: Settings, arrived: Reader, log, tmp_path):
    fates = [send(read(log), settings, spool=tmp_path / "spool") for _ in range(2)]

    assert fates[0].sent == fates[1].sent == {
        ("products", "listed"): 2, ("views", "product_view"): 1, ("likes", "add_to_cart"): 1,
        ("orders", "placed"): 1, ("orders", "paid"): 1,
    }  # fmt: skip
    for topic, count in (("views", 1), ("likes", 1), ("orders", 2), ("products", 2)):
        ids = [record.headers["ce_id"] for record in arrived(topic)]
        assert (len(ids), len(set(ids))) == (2 * count, count), topic
    said = [json.loads(record.value or b"") for record in arrived("control")]
    assert len(said) == 8
    assert {(body["source"], body["is_final"], body["complete_until"]) for body in said} == {
        ("replay:taobao", True, 1_511_658_002_000_001)
    }


def test_an_unreadable_row_is_kept_with_the_refused_or_sent_as_it_is(settings, arrived: Reader, log, tmp_path):
    fates = send(read(log), settings, spool=tmp_path / "spool")
    assert fates.unreadable == {"refused": 1}
    assert json.loads(fates.kept.read_text())["value"] == "9,72,701,pv,15"
    assert len(arrived("views")) == 1

    fates = send(read(log), settings, spool=tmp_path / "spool", sends_unreadable=True)
    assert (fates.unreadable, fates.kept) == ({"sent": 1}, None)
    assert [record.value for record in arrived("views")].count(b"9,72,701,pv,15") == 1


def test_at_its_own_pace_a_log_announces_how_far_it_is(settings, arrived: Reader, log, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.replay.telling.sending.ANNOUNCE_SECONDS", 0.1)
    send(read(log, date(2026, 11, 22)), settings, spool=tmp_path / "spool", speed=2.0)

    said = [json.loads(record.value or b"") for record in arrived("control")]
    reached = [body["complete_until"] for body in said if body["topic"] == "views"]
    assert reached == sorted(reached)
    assert len(reached) >= 2
    assert [body["is_final"] for body in said if body["topic"] == "views"][-1] is True


def produce(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, *arguments: str, given: bytes = b""
) -> dict[str, object]:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", settings.bootstrap)
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    result = CliRunner().invoke(
        build_app(), ["produce", *arguments, "--format", "json"], input=given, catch_exceptions=False
    )
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    return dict(row)


def test_anybodys_file_is_checked_line_by_line(settings, arrived: Reader, tmp_path, monkeypatch):
    good = {"kind": "like", "event_time": 5, "user_id": "u1", "video_id": "v1", "scene": "mall", "source": "search"}
    file = tmp_path / "likes.jsonl"
    file.write_text("\n".join([json.dumps(good), "", json.dumps(good | {"kind": "adore"}), "{"]) + "\n")

    row = produce(settings, monkeypatch, "likes", str(file))
    assert row == {"topic": "likes", "sent": 1, "refused": 2, "reasons": {"not_allowed:kind": 1, "malformed_json": 1}}
    produce(settings, monkeypatch, "likes", str(file))
    assert len({record.headers["ce_id"] for record in arrived("likes")}) == 1


def test_raw_bytes_come_from_standard_input_too(settings, arrived: Reader, monkeypatch):
    assert produce(settings, monkeypatch, "likes", "-", "--raw", given=b'{"a":\n\xff\n')["sent"] == 2
    assert sorted(record.value or b"" for record in arrived("likes")) == [b'{"a":', b"\xff"]
