"""`reelhouse metrics`: the ledger and the broker in figures, as Prometheus reads them."""

import socket
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import topics
from jobs.lake.errors import ServiceError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.metrics import exposition, serve
from tests.jobs.serve.filled import filled

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
Figures = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A lake with a batch, its cost and a release; a broker that has three records more."""
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(topics, "is_reachable", lambda _: True)
    monkeypatch.setattr(topics, "end_offsets", lambda _: {"views": {0: 13}})
    monkeypatch.setattr(topics, "times_of", lambda *_: {("views", 0): AT})
    monkeypatch.setattr(topics, "topic_ids", lambda *_: {})
    made = Settings(home=tmp_path)
    ledger = Ledger(made)

    def put(table: str, row: dict[str, Any], **once: Any) -> None:
        ledger.append(table, [filled(made, table, row)], **once)

    put("ops.books", {
        "topic": "views", "offset_to": 10, "received": 10, "accepted": 7, "duplicate": 1, "quarantined": 2,
        "balanced": True, "reason_counts": {"missing:scene": 1, "duplicate_field:u-Canary": 1}, "recorded_at": AT,
    }, app="ingest", version=0)  # fmt: skip
    for seq, milliseconds in enumerate((1500, 500)):
        put("ops.costs", {"work": "batch", "ingest_seq": seq, "milliseconds": milliseconds, "rows": 5, "files": 2,
                          "bytes": 10})  # fmt: skip
    at = datetime.now(UTC)
    runs = [{"producer_id": "u-Canary", "producer_epoch": 1, "first_seq": n, "last_seq": n + 4} for n in (0, 4, 12)]
    for row in (*runs, {"topic": "users", "producer_id": None, "first_seq": None}):
        put("ops.sequences", {"record_count": 5, "recorded_at": at} | row)
    for why in (None, "overtaken by batches"):
        put("ops.reconciliations", {"table": "silver.views", "not_compared": why})
    put("ops.publications", {"release_id": "funnels-000001", "family": "funnels", "table": "gold.funnel_daily",
                             "rows": 42, "known_from": AT})  # fmt: skip
    return made


def figures(text: str) -> Figures:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_prometheus_reads_what_the_ledger_and_the_broker_say(settings: Settings) -> None:
    text = exposition(settings)
    found = figures(text)
    for name, labels, value in (
        ("records_received_total", {"topic": "views"}, 10),
        ("records", {"topic": "views", "fate": "quarantined"}, 2),
        ("records_refused", {"topic": "views", "reason": "missing:scene"}, 1),
        ("books_unbalanced_ranges", {}, 0),
        ("lines_not_compared_total", {"table": "silver.views"}, 1),
        ("lag_records", {"topic": "views", "partition": "0"}, 3),
        ("records_per_second", {"topic": "likes", "fate": "received"}, 0),
        ("table_changed_timestamp_seconds", {"table": "silver.views"}, AT.timestamp()),
        ("table_rows", {"table": "gold.funnel_daily"}, 42),
        ("promise_kept", {"table": "silver.views", "property": "latency"}, 0),
        ("promise_kept", {"table": "ops.lag", "property": "availability"}, 1),
        ("promise_promised", {"table": "silver.views", "property": "latency"}, 900),
        ("producer_numbers_lost", {}, 3),
        ("producer_numbers_repeated", {}, 1),
        ("producer_epochs_with_loss", {}, 1),
        ("records_unnumbered", {"topic": "users"}, 5),
        ("promise_kept", {"table": "ops.sequences", "property": "completeness"}, 0),
        ("work_total", {"work": "batch", "family": "silver"}, 2),
        ("work_seconds_total", {"work": "batch", "family": "silver"}, 2),
        ("work_files_total", {"work": "batch", "family": "silver"}, 4),
    ):
        assert found[f"reelhouse_{name}", frozenset(labels.items())] == value, (name, labels)
    assert found["reelhouse_table_waiting_seconds", frozenset({("table", "silver.views")})] > 900
    assert "Canary" not in text


def test_the_command_prints_the_same(settings: Settings) -> None:
    printed = CliRunner().invoke(build_app(), ["metrics"])
    assert printed.exit_code == 0
    assert figures(printed.stdout).keys() == figures(exposition(settings)).keys()


def test_a_scrape_is_answered_on_loopback_until_it_is_ended_and_a_taken_port_is_named(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        there = settings.model_copy(update={"metrics_port": port})
        with pytest.raises(ServiceError, match=f"127.0.0.1:{port} .*REELHOUSE_METRICS_PORT"):
            serve(there)
    stop: Callable[[], None] = serve(there)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert "reelhouse_records_received_total" in answer.read().decode()
    stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")
