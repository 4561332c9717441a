"""Commands that mend, tell and erase show nobody and no secret, wherever a record or a setting holds one."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app, known_error
from jobs.drills.records import NOON, Record, body_of, headers_of, record
from jobs.lake import session, topics
from jobs.lake.settings import Settings
from jobs.produce import delivery
from jobs.produce.producer import Producer
from tests.canary import content
from tests.lake.conftest import as_it_was
from tests.lake.small_shop import put

GOOD, BAD = "u-CanaryGood", "u-CanaryBad"
HIDDEN = b"Canary"  # part of every id and secret here
UNHEARD = "u-Unheard"  # where a source should be
SENDER = "u-Sender"  # where a producer should be, in a record that is refused
SEEN = re.compile(f"{HIDDEN.decode()}|{UNHEARD}|{SENDER}")
# Tables that have them as they came, though nobody is shown them: docs/reliability.md says why.
KEPT = {UNHEARD: "lake/silver/quarantine/", SENDER: ("lake/silver/quarantine/", "lake/ops/sequences/")}
# On their way in, in bronze, and what says who we are.
KNOWS_THEM = ("topics/", "spool/", "lake/bronze/events/", "keys/", "credentials")
REASON = ("--reason", "missing:watch_ms")
REPLAY = ("quarantine", "replay", *REASON, "--with", "watched_ms")
REQUEST = """name: again
table: gold.funnel_attempts
reason: a test
owner: growth-data
slices: {by: days, from: 2026-11-20, to: 2026-11-20, each: 1}
"""
CELL = ("funnel=content_to_purchase", "funnel_version=1", "entry_date=2026-11-20", "breakdown=total",
        "breakdown_value=(all)", "step_number=1")  # fmt: skip
COMMANDS: list[tuple[str, ...]] = [
    ("ingest",),
    ("quarantine",),
    ("quarantine", "--format", "json"),
    ("quarantine", "show", *REASON),
    ("quarantine", "show", "--reason", "malformed_json", "--format", "json"),
    ("quarantine", "show", "--reason", "duplicate_field"),
    (*REPLAY, "--dry-run"),
    (*REPLAY, "--dry-run", "--format", "json"),
    REPLAY,  # refused, for these topics are files
    ("backfill", "plan", "again.yaml"),
    ("backfill", "plan", "again.yaml", "--format", "json"),
    ("history", "gold.funnel_daily", *(word for key in CELL for word in ("--key", key))),
    ("books",),
    ("pending",),
    ("tables",),
    ("profile", GOOD),
    ("sql", "SELECT * FROM silver.views", "--with-silver", "--format", "json"),
    ("sql", "SELECT * FROM ops.runs", "--format", "csv"),
    ("sql", "FROM ops.sequences", "--format", "json"),
    ("sql", "FROM silver.quarantine", "--with-silver", "--format", "json"),
    ("sql", "SUMMARIZE ops.sequences", "--format", "csv"),
    ("sql", "FROM ops__sequences", "--format", "json"),
    ("sql", f"SELECT producer_id FROM ops.sequences WHERE producer_id LIKE '{SENDER[:4]}%'"),
    ("books", "--by-hour", "--format", "json"),
    ("report",),
    ("erase", GOOD, "--reason", f"the request of {GOOD}"),
    ("erase", GOOD, "--reason", "request 17"),
    ("erase", GOOD, "--prove"),
    ("erase", "u-CanaryNobody", "--dry-run"),
    ("doctor", "--lake"),
    ("upkeep", "ledger"),
]

AWAY = (("ingest",), ("alerts", "--record"), ("metrics",), REPLAY)


def records() -> Iterator[Record]:
    """Good ones, and every way in which a record that is refused may hold an id."""
    fields = {"watch_ms": 60_000, "duration_ms": 60_000, "device_id": "d-CanaryDevice"}
    good = body_of("views", 70, user_id=GOOD, **fields)
    yield record("views", good)
    yield record("views", good | {"watch_ms": 7})  # a conflict
    yield record("views", body_of("views", 71, user_id=BAD, watch_ms=None, watched_ms=60_000, duration_ms=60_000))
    other = body_of("views", 72, user_id=BAD, watch_ms=None)
    yield record("views", other, headers=headers_of("views", str(other["event_id"]), f"app:{UNHEARD}"))
    yield record("views", other, headers=((("ce_u-CanaryHeader"), b"u-CanaryValue"),))
    sender = {"producer": {"id": SENDER, "epoch": 1, "seq": 3}}
    yield record("views", body_of("views", 75, user_id=BAD, watch_ms=None) | sender)
    nameless = body_of("views", 76, user_id=BAD, producer=None)
    yield record("views", nameless, headers=headers_of("views", str(nameless["event_id"]), f"app:{UNHEARD}"))
    whole = json.dumps(good).encode()
    for number, value in enumerate((
        whole[:-1] + b',"u-CanaryField":1,"u-CanaryField":2}', whole[: len(whole) // 2], b'{"user_id" u-CanaryTorn',
        json.dumps(good | {"event_id": "u-CanaryId"}).encode(), json.dumps(good | {"scene": "u-CanaryScene"}).encode(),
    )):  # fmt: skip
        yield replace(record("views", good), key=b"u-CanaryKey", value=value, partition=0, at=NOON, offset=number)
    yield record("orders", body_of("orders", 73, user_id=BAD, order_id="o", kind="u-CanaryKind"))
    yield record("control", body_of("control", 74, source=f"app:{UNHEARD}", topic="u-CanaryTopic"))


@pytest.fixture(scope="module")
def home(
    published: Settings, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A copy of a published lake that takes such records in, and what each command printed there."""
    folder = tmp_path_factory.mktemp("nobody") / "home"
    shutil.copytree(as_it_was(published), folder)
    (folder / "again.yaml").write_text(REQUEST)
    (folder / "credentials").write_text("username=u-CanaryAccount\npassword=p-CanaryPassword\n")
    (folder / "credentials").chmod(0o600)
    settings = published.model_copy(
        update={
            "home": folder,
            "kafka_bootstrap_servers": f"file:{folder / 'topics'}",
            "schemas_dir": folder / "schemas",
        }
    )
    put(settings, records())
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "REELHOUSE_HOME": folder, "REELHOUSE_SCHEMAS_DIR": folder / "schemas",
            "KAFKA_BOOTSTRAP_SERVERS": settings.kafka_bootstrap_servers, "COLUMNS": 200,
            "REELHOUSE_KAFKA_CREDENTIALS_FILE": folder / "credentials",
            "REELHOUSE_ALERT_WEBHOOK": "http://127.0.0.1:9/hook-CanarySecret",
            "REELHOUSE_LINEAGE_URL": "http://127.0.0.1:9", "REELHOUSE_LINEAGE_API_KEY": "key-CanarySecret",
        }.items():  # fmt: skip
            patch.setenv(name, str(value))
        patch.setattr(session, "open_session", lambda *_: spark)
        patch.chdir(folder)
        printed = {" ".join(words): said(*words) for words in COMMANDS}
        patch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
        is_in_a_hurry(patch)
        patch.setenv("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT")
        printed |= {f"{' '.join(words)} (broker away)": said(*words) for words in AWAY}
        yield folder, printed


def is_in_a_hurry(patch: pytest.MonkeyPatch) -> None:
    """Wait half a second, not a minute, for a broker that is away: what is said of it is the same."""
    patch.setattr(topics, "PATIENCE_MS", 500)
    patch.setattr(topics, "GLANCE_MS", 500)
    patch.setattr(delivery, "CONNECT_SECONDS", 0.5)
    patch.setitem(Producer.__init__.__kwdefaults__, "patience_seconds", 0.5)


def said(*words: str) -> str:
    """What a command prints, as `main` would end it."""
    ended = CliRunner().invoke(build_app(), [*words])
    error = ended.exception if isinstance(ended.exception, Exception) else None
    known = known_error(error) if error else None
    assert error is None or known, (words, error)
    return f"{ended.output}\n{known[1] if known else ''}\n{ended.exit_code}"


def test_no_command_prints_an_id_or_a_secret(home: tuple[Path, dict[str, str]]) -> None:
    _, printed = home
    assert {words: text for words, text in printed.items() if SEEN.search(text)} == {}
    assert "x-xxxxxx" in printed["sql FROM ops.sequences --format json"], "the producer is not there at all"
    assert "xxx:x-xxxxxxx" in printed["sql FROM ops.sequences --format json"], "the source is not there at all"
    done = [words for words, text in printed.items() if text.endswith("\n0")]
    told = {words: text[-300:] for words, text in printed.items() if words not in done}
    assert len(done) >= len(COMMANDS) - 4, told  # the others are refused, with words that are looked through as well


def test_no_file_that_they_write_holds_an_id_or_a_secret(home: tuple[Path, dict[str, str]]) -> None:
    """Tables, Delta logs, lineage that waits for its sink, alerts, results, the report."""
    folder, _ = home
    files = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    assert any(HIDDEN in content(file) for name, file in files.items() if name.startswith("lake/bronze")), "no canary"
    assert {"lineage/unsent.jsonl", "alerts/alerts.jsonl", "report/index.html"} <= files.keys()
    others = {name: content(file) for name, file in files.items() if not name.startswith(KNOWS_THEM)}
    assert [name for name, text in others.items() if HIDDEN in text] == []
    for word, kept in KEPT.items():
        there = [name for name, text in others.items() if word.encode() in text]
        assert [name for name in there if not name.startswith(kept)] == []
        assert there, f"no {word}: is it gone from all tables? Then from KEPT, too"
