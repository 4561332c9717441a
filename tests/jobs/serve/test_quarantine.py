"""The quarantine desk: counted by reason, shown by example, and nobody's raw id in any of it."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.definitions.shown import safe_source
from jobs.lake.errors import UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import ROOT, Settings
from jobs.serve.masking import LONGEST, masked, safe_reason, words_of
from jobs.serve.quarantine import count, examples, overview
from jobs.serve.query import answer
from jobs.serve.tables import readable

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
RAW = "u-Canary-7351"
SENT = b'{"producer":{"id":"%s","epoch":2,"seq":7},"kind":"play","user_id":"u1"'
FIELDS = b'{"kind":"play","user_id":"%s","scene":"live"' % RAW.encode()
RECORDS: list[tuple[str, list[str], bytes | None]] = [
    ("views", ["malformed_json"], FIELDS[:-9]),
    ("views", ["missing:video_id", "missing:watch_ms"], FIELDS + b"}"),
    ("views", ["missing:video_id", "not_allowed:scene"], FIELDS.replace(b"live", RAW.encode()) + b"}"),
    (
        "views",
        [f"duplicate_field:{RAW}", f"duplicate_field:{RAW}-b"],
        b'{"%s":1,"%s":2}' % (RAW.encode(), RAW.encode()),
    ),
    ("likes", ["missing:region"], SENT % b"ios-1a2b" + b"}"),
    ("likes", ["malformed_json"], SENT % RAW.encode()),
    ("likes", ["tombstone"], None),
    ("likes", ["conflict"], FIELDS + b"}"),
]


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake with one refused record of each kind, an hour apart; the bytes of the conflict have left bronze."""
    made = Settings(home=tmp_path_factory.mktemp("home"))
    refused, landed = [], []
    for number, (topic, reasons, value) in enumerate(RECORDS):
        time = AT + timedelta(hours=number)
        place = {"topic": topic, "kafka_topic_id": f"id-{topic}", "kafka_partition": 0, "kafka_offset": number}
        is_conflict = reasons == ["conflict"]
        refused.append(place | {
            "kafka_time": time, "reasons": reasons, "detail": "value of 9 bytes", "ingest_seq": 3,
            "twin": {"partition": 0, "offset": 1} if is_conflict else None,
            "schema_version": None if is_conflict else 1, "event_id": None,
            "source_uri": f"app:{RAW}" if topic == "likes" else "app:ios",
            "producer_id": {"missing:region": "ios-1a2b", "malformed_json": RAW}.get(reasons[0]),
        })  # fmt: skip
        landed.append({
            "topic": topic, "topic_id": f"id-{topic}", "partition": 0, "offset": number, "kafka_time": time,
            "key": RAW.encode(), "value": value, "headers": [], "ingest_seq": 3, "received_date": time.date(),
        })  # fmt: skip
    Ledger(made).append("silver.quarantine", refused)
    Ledger(made).append("ops.sequences", [sent("ios-1a2b", 9), sent(RAW, 0)])
    Ledger(made).append("bronze.events", landed[:-1])
    return made


def sent(producer: str, good: int) -> dict[str, Any]:
    """Numbers of a producer: so many good records, and one that was refused."""
    return {
        "ingest_seq": 3, "producer_id": producer, "producer_epoch": 2, "first_seq": 7, "last_seq": 7 + good,
        "record_count": good + 1, "refused_count": 1, "recorded_at": AT,
    }  # fmt: skip


def test_records_are_counted_by_producer_and_shown_with_their_number(settings: Settings) -> None:
    found = [(row["reason"], row["producer"]) for row in overview(settings, topic="likes")]
    assert ("missing:region", "ios-1a2b") in found
    assert ("malformed_json", "x-xxxxxx-9999") in found  # nothing good came of that name
    (shown,) = examples(settings, "missing:region")
    assert [shown[name] for name in ("producer", "producer_epoch", "producer_seq")] == ["ios-1a2b", 2, 7]
    (torn,) = examples(settings, "malformed_json", "likes")  # read of its bytes
    assert [torn[name] for name in ("producer", "producer_epoch", "producer_seq")] == ["x-xxxxxx-9999", 2, 7]
    (tombstone,) = examples(settings, "tombstone")
    assert tombstone["producer"] is None


def test_a_lake_from_before_producers_were_stored_has_none(settings: Settings, tmp_path: Path) -> None:
    older = Settings(home=tmp_path)
    rows = Ledger(settings).read("silver.quarantine").drop_columns(["producer_id", "producer_epoch", "producer_seq"])
    write_deltalake(Ledger(older).path("silver.quarantine"), rows)
    assert {row["producer"] for row in overview(older)} == {None}
    assert count(older) == len(RECORDS)
    assert RAW not in str(asked(older, "source_uri"))
    Ledger(older).widen("silver.quarantine")  # as ingest does before it adds to them
    assert {row["producer"] for row in overview(older)} == {None}


def asked(settings: Settings, columns: str) -> list[tuple[Any, ...]]:
    """What `reelhouse sql --with-silver` shows of them."""
    query = f"SELECT DISTINCT {columns} FROM silver.quarantine ORDER BY ALL"
    found = answer(settings, query, readable(settings, with_silver=True)).to_pylist()
    return [tuple(row.values()) for row in found]


def test_a_query_sees_of_who_sent_them_what_the_desk_does(settings: Settings) -> None:
    form = "xxx:x-xxxxxx-9999"
    assert asked(settings, "source_uri, producer_id") == [
        ("app:ios", "x-xxxxxx-9999"), ("app:ios", None), (form, "ios-1a2b"), (form, "x-xxxxxx-9999"), (form, None),
    ]  # fmt: skip
    alone = answer(
        settings, "FROM silver.quarantine SELECT DISTINCT producer_id ORDER BY ALL", {"silver.quarantine": 1}
    )
    assert alone["producer_id"].to_pylist() == ["x-xxxxxx-9999", "xxx-9x9x", None]


def test_records_count_under_each_reason_and_once_in_all(settings: Settings) -> None:
    found = {row["reason"]: row for row in overview(settings)}
    assert found["missing:video_id"] == {
        "reason": "missing:video_id", "topic": "views", "contract_version": 1, "source": "app:ios", "producer": None,
        "first_seen": AT + timedelta(hours=1), "last_seen": AT + timedelta(hours=2), "records": 2,
    }  # fmt: skip
    assert found["duplicate_field:(unknown field)"]["records"] == 1
    assert count(settings) == len(RECORDS)


def test_a_reason_without_its_field_stands_for_all_fields(settings: Settings) -> None:
    assert {row["reason"] for row in overview(settings, "missing", "views")} == {"missing:video_id", "missing:watch_ms"}
    assert count(settings, "missing", "views") == 2
    assert [row["reason"] for row in overview(settings, "missing:watch_ms")] == ["missing:watch_ms"]
    assert {row["reason"] for row in overview(settings, topic="likes")} == {
        "tombstone",
        "conflict",
        "malformed_json",
        "missing:region",
    }
    assert overview(settings, "tombstone", "views") == []


def test_examples_tell_all_reasons_place_twin_and_form(settings: Settings) -> None:
    newest, *_ = examples(settings, "missing", "views")
    assert (newest["partition"], newest["offset"]) == (0, 2)
    assert newest["reasons"] == ["missing:video_id", "not_allowed:scene"]
    assert newest["value_masked"] == '{"kind":"play","user_id":"x-xxxxxx-9999","scene":"x-xxxxxx-9999"}'
    assert newest["key_bytes"] == len(RAW)
    conflict, tombstone, *_ = examples(settings, topic="likes")
    assert conflict["twin"] == {"partition": 0, "offset": 1}
    assert conflict["value_masked"] is conflict["key_bytes"] is None
    assert tombstone["value_masked"] is None
    assert len(examples(settings, limit=2)) == 2


@pytest.mark.parametrize(
    ("reason", "topic", "words"),
    [
        ("", "vews", "no topic 'vews'; there are .*likes.*views"),
        ("mising", "", "nothing was refused for 'mising'; there are conflict, .*tombstone .*future_time"),
        ("missing:scene", "", "nothing was refused for 'missing:scene'; there are .*missing:video_id"),
    ],
)
def test_what_is_not_there_is_refused(settings: Settings, reason: str, topic: str, words: str) -> None:
    for asked in (overview, examples):
        with pytest.raises(UsageError, match=words):
            asked(settings, reason, topic)
    assert overview(settings, "too_large") == []  # a word of ours that nothing was refused for


def test_an_empty_lake_has_none(tmp_path: Path) -> None:
    assert overview(Settings(home=tmp_path)) == examples(Settings(home=tmp_path)) == []


@pytest.mark.parametrize("words", [[], ["show"]])
@pytest.mark.parametrize("form", ["table", "json"])
def test_no_command_shows_a_raw_id(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, words: list[str], form: str
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    monkeypatch.setenv("COLUMNS", "80")
    said = CliRunner().invoke(build_app(), ["quarantine", *words, "--limit", "9", "--format", form] if words
                              else ["quarantine", "--format", form])  # fmt: skip
    assert said.exit_code == 0, said.output
    assert "Canary" not in said.output
    assert "7351" not in said.output
    if form == "json":
        rows: list[dict[str, Any]] = json.loads(said.output)
        assert len(rows) == (len(RECORDS) if words else 9)
    else:
        assert "video_id" in said.output
        assert max(map(len, said.output.splitlines())) <= 80


def test_an_option_before_show_is_refused_and_not_forgotten() -> None:
    said = CliRunner().invoke(build_app(), ["quarantine", "--topic", "views", "show"])
    assert isinstance(said.exception, UsageError)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'{"user_id":"Bob"', '{"user_id":"xxx"'),
        (b'{"user_id: "Bob","kind":"play"}', '{"user_id: "xxx","xxxx":"xxxx"}'.replace("user_id", "xxxx_xx")),
        (b'{"user_id":"play"}', '{"user_id":"xxxx"}'),
        (b'{"scene":"live","source":"live"}', '{"scene":"live","source":"xxxx"}'),
        (b'{"user_id":4271,"x":-1.5e3}', '{"user_id":9999,"x":-9.9x9}'),
        (b'{"Bob":null,"scene":NaN}', '{"xxx":null,"scene":NaN}'),
        (b'{"user_id":"\\u0042ob"}', '{"user_id":"\\x9999xx"}'),
        ('{"user_id":"鲍勃"}'.encode(), '{"user_id":"??????"}'),
        (b"\xef\xbb\xbf{}\n\x1b[2J", r"\xef\xbb\xbf{}\n\x1b[9x"),
        (b"Bob\xff,Bob", "xxx?,xxx"),
        (b"", ""),
    ],
)
def test_only_what_the_contract_says_is_shown(value: bytes, shown: str) -> None:
    assert masked(value, words_of(["views"], ROOT / "schemas")) == shown


def test_a_long_value_is_cut_after_it_was_judged() -> None:
    words = words_of(["views"], ROOT / "schemas")
    value = b"[" * (LONGEST - 5) + b'"user_identity"'
    assert masked(value, words) == "[" * (LONGEST - 5) + '"xxxx…'
    assert len(masked(b'{"query":"' + b"Bob" * 400_000, words)) == LONGEST + 1


def test_a_reason_quotes_known_names_only() -> None:
    assert safe_reason("duplicate_field:kind", {"kind"}) == "duplicate_field:kind"
    assert safe_reason("duplicate_field:bob", {"kind"}) == "duplicate_field:(unknown field)"
    assert safe_reason("missing:kind", set()) == "missing:kind"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        (None, None),
        ("app:ios", "app:ios"),
        ("replay:rees46", "replay:rees46"),
        ("replay:simulator:7", "replay:simulator:7"),
        ("app:u-Canary-7351", "xxx:x-xxxxxx-9999"),
        ("app:u4711", "xxx:x9999"),
        ("Bob", "xxx"),
        ("x" * 99, "x" * 40),
    ],
)
def test_a_source_is_shown_if_it_is_of_a_kind_we_know(source: str | None, shown: str | None) -> None:
    assert safe_source(source) == shown
