"""Lineage: each run tells in OpenLineage's words what it read and wrote, and no silent sink ever stops it."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openlineage.client.serde import Serde
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.aside import Mended
from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import QualityError, SettingsError
from jobs.lake.ingest.finding import Found
from jobs.lake.ledger import Ledger
from jobs.lake.lineage.declared import declared, of_backfill, of_repair
from jobs.lake.lineage.events import Told
from jobs.lake.publications import families, inputs_of
from jobs.lake.runs import report
from jobs.lake.settings import ROOT, Settings
from jobs.lake.topics import TOPICS
from jobs.produce.again import Replay
from tests.jobs.serve.filled import filled

SCHEMAS = ROOT / "schemas"
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
DONE = {"outcome": "done", "message": "ok", "tables": [{"table": "gold.funnel_daily", "version": 7, "rows": 42}]}
Event = dict[str, Any]


def events(folder: Path) -> list[Event]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_text().splitlines()]


def run(settings: Settings, command: str = "release", work: Callable[[], Any] = lambda: DONE) -> None:
    report(Ledger(settings), command, "funnels", "r1", None, work)


def names(datasets: list[Event]) -> list[str]:
    return [each["name"] for each in datasets]


def test_every_family_is_declared_from_inputs_to_staging_to_what_readers_see() -> None:
    for family, public in families(SCHEMAS).items():
        build, check, release = (declared(step, family, SCHEMAS) for step in ("build", "check", "release"))
        assert build.inputs == inputs_of(family, SCHEMAS)
        assert build.outputs == check.inputs == release.inputs == tuple(f"staging.{table}" for table in public)
        assert (release.job, release.outputs) == (f"{family}.release", public)


RELEASED = ("silver.sessions", "silver.identity_edges")  # silver that a family makes, not ingest


def test_ingest_is_declared_from_all_topics_to_all_tables_it_writes() -> None:
    found = declared("ingest", "silver", SCHEMAS)
    assert sorted(found.inputs) == sorted(f"topic:{topic}" for topic in TOPICS)
    written = [name for name in all_tables(SCHEMAS) if name.startswith(("bronze.", "silver."))]
    assert list(found.outputs) == [name for name in written if name not in RELEASED]


def test_a_run_tells_its_start_and_end_with_columns_counts_and_versions(tmp_path: Path) -> None:
    run(Settings(home=tmp_path))
    start, end = events(tmp_path / "lineage")
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert start["run"]["runId"] == end["run"]["runId"]
    assert (end["job"]["namespace"], end["job"]["name"]) == ("reelhouse", "funnels.release")
    daily = next(each for each in end["outputs"] if each["name"] == "gold.funnel_daily")
    promised = contract("gold.funnel_daily", SCHEMAS)
    assert [field["name"] for field in daily["facets"]["schema"]["fields"]] == list(promised.names)
    assert daily["facets"]["version"]["datasetVersion"] == "7"
    assert daily["outputFacets"]["outputStatistics"]["rowCount"] == 42
    lineage = daily["facets"]["columnLineage"]["fields"]
    assert sorted(lineage) == sorted(promised.names)
    assert [(one["name"], one["field"]) for one in lineage["people_count"]["inputFields"]] == [
        ("staging.gold.funnel_daily", "people_count")
    ]
    assert names(start["outputs"]) == names(end["outputs"])
    assert "outputStatistics" not in json.dumps(start)  # nothing is written yet


def test_a_build_tells_which_columns_a_column_is_made_from_where_the_contract_declares_it() -> None:
    told = Told(Settings(), declared("build", "scores", SCHEMAS), "r", "build", AT)
    outputs = {each["name"]: each["facets"] for each in Serde.to_dict(told.started())["outputs"]}
    fields = outputs["staging.gold.segment_daily"]["columnLineage"]["fields"]
    assert sorted(fields) == ["people_count", "segment", "segment_before"]
    made = [(one["namespace"], one["name"], one["field"]) for one in fields["people_count"]["inputFields"]]
    assert made == [("reelhouse://lake", "gold.user_profiles_history", name) for name in ("user_id", "as_of_day")]
    fields = outputs["staging.gold.retention_weekly"]["columnLineage"]["fields"]
    made = {name: {(one["name"], one["field"]) for one in each["inputFields"]} for name, each in fields.items()}
    assert made["cohort_week"] == {("gold.user_days", "day")}
    assert ("gold.user_profiles", "is_minor") in made["active_count"]


def test_every_column_of_the_history_is_told_to_be_that_of_the_profile() -> None:
    history, profile = (contract(f"gold.{name}", SCHEMAS) for name in ("user_profiles_history", "user_profiles"))
    sources = {column.name: column.sources for column in history.columns if column.sources}
    assert sources == {name: (f"gold.user_profiles.{name}",) for name in profile.names}


def test_sources_that_are_named_are_columns_of_inputs() -> None:
    told = [(promised, source) for table in all_tables(SCHEMAS) for promised in [contract(table, SCHEMAS)]
            for column in promised.columns for source in column.sources]  # fmt: skip
    for promised, source in told:
        table, _, name = source.rpartition(".")
        assert table in promised.inputs, (promised.name, source)
        assert name in contract(table, SCHEMAS).names, (promised.name, source)
    assert {promised.name.partition(".")[2] for promised, _ in told} == {
        "segment_daily", "retention_weekly", "user_interests", "user_profiles_history", "user_scores",
    }  # fmt: skip


def test_a_backfill_is_declared_as_its_family_and_a_repair_from_what_it_is_made_of(tmp_path: Path) -> None:
    moves = of_backfill("march", "funnels", SCHEMAS)
    assert (moves.job, moves.inputs) == ("march.backfill", inputs_of("funnels", SCHEMAS))
    assert moves.outputs == families(SCHEMAS)["funnels"]
    report(Ledger(Settings(home=tmp_path)), "backfill run", "march", "r1", None, lambda: DONE, moves)
    _, end = events(tmp_path / "lineage")
    daily = next(each for each in end["outputs"] if each["name"] == "gold.funnel_daily")
    assert (end["job"]["name"], daily["facets"]["version"]["datasetVersion"]) == ("march.backfill", "7")
    assert set(of_repair("bronze.events", SCHEMAS).inputs) == {f"topic:{topic}" for topic in TOPICS}
    assert of_repair("silver.views", SCHEMAS).inputs == of_repair("ops.books", SCHEMAS).inputs == ("bronze.events",)
    assert of_repair("gold.funnel_daily", SCHEMAS).inputs == ("gold.funnel_daily",)


def mended(settings: Settings, table: str, *_: Any, **__: Any) -> Mended:
    return Mended(table, (), 4, 40)


COMMANDS = {  # words → what is called, what stands for it, inputs, outputs
    ("erase", "u-Canary"): (
        "jobs.lake.ingest.erasing.erase",
        lambda *_: (Found((), 0, (), Counter(), Counter(), None, was_erased=True), None),  # type: ignore[arg-type]
        {"bronze.events", "silver.views"}, {"bronze.events", "silver.views", "ops.erasures"},
    ),
    ("repair", "silver.views"): ("jobs.lake.repairing.mend", mended, {"bronze.events"}, {"silver.views"}),
    ("quarantine", "replay", "--reason", "missing:watch_ms", "--with", "watched_ms"): (
        "jobs.produce.again.send_again", lambda *_: 3, {"bronze.events", "silver.quarantine"}, {"views", "ops.replays"},
    ),
    ("quarantine", "undo", "watched_ms-1.1", "--why", "wrong unit"): (
        "jobs.produce.undoing.retract", lambda *_: None, {"ops.replays", "silver.quarantine"},
        {"control", "ops.retractions"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_commands_that_mend_tell_what_they_read_and_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    where, work, inputs, outputs = COMMANDS[words]
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setattr(where, work)
    patch = SimpleNamespace(topic="views", name="watched_ms", version=1)
    monkeypatch.setattr("jobs.produce.again.tried", lambda *_: Replay(patch, "watched_ms-1.1"))  # type: ignore[arg-type]
    monkeypatch.setattr(
        "jobs.produce.undoing.sent_by", lambda *_: SimpleNamespace(topic="views", sent=3, days=Counter())
    )
    ended = CliRunner().invoke(build_app(), [*words])
    assert ended.exit_code == 0, ended.exception
    start, end = events(tmp_path / "lineage")
    assert (start["eventType"], end["eventType"]) == ("START", "COMPLETE")
    assert inputs <= set(names(end["inputs"]))
    assert outputs <= set(names(end["outputs"]))
    assert "Canary" not in json.dumps([start, end])
    if words[0] == "repair":
        (table,) = end["outputs"]
        assert table["outputFacets"]["outputStatistics"]["rowCount"] == 40


@pytest.mark.parametrize("words", [words for words in COMMANDS if words[0] == "quarantine"], ids=" ".join)
def test_a_dry_run_moves_nothing_and_tells_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    patch = SimpleNamespace(topic="views", name="watched_ms", version=1)
    monkeypatch.setattr("jobs.produce.again.tried", lambda *_: Replay(patch, "watched_ms-1.1"))  # type: ignore[arg-type]
    monkeypatch.setattr(
        "jobs.produce.undoing.sent_by", lambda *_: SimpleNamespace(topic="views", sent=3, days=Counter())
    )
    assert CliRunner().invoke(build_app(), [*words, "--dry-run"]).exit_code == 0
    assert not (tmp_path / "lineage").exists()


def test_a_run_that_fails_tells_why_and_what_its_checks_found(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    row = {"run_id": "r1", "family": "funnels", "table": "gold.funnel_daily", "recorded_at": AT}
    found = [
        row | {"check": "funnel_narrows", "severity": "critical", "success": False, "unexpected_rows": 3},
        row | {"check": "nothing_below_zero", "severity": "warning", "success": True},
        row | {"check": "funnel_narrows", "severity": "critical", "success": True, "run_id": "another"},
    ]
    Ledger(settings).append("ops.check_results", [filled(settings, "ops.check_results", each) for each in found])

    def fails() -> Any:
        raise QualityError("gold.funnel_daily: funnel_narrows failed for 3 rows")

    with pytest.raises(QualityError):
        run(settings, "check", fails)
    start, end = events(tmp_path / "lineage")
    assert end["eventType"] == "FAIL"
    assert "funnel_narrows failed" in end["run"]["facets"]["errorMessage"]["message"]
    assert "dataQualityAssertions" not in json.dumps(start)
    daily = next(each for each in end["inputs"] if each["name"] == "staging.gold.funnel_daily")
    told = daily["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert [(one["assertion"], one["success"], one["severity"], one.get("actual")) for one in told] == [
        ("funnel_narrows", False, "error", "3 rows"), ("nothing_below_zero", True, "warn", None),
    ]  # fmt: skip


def test_what_ends_a_run_that_is_none_of_our_errors_is_told_by_its_kind_for_its_words_may_quote_rows(
    tmp_path: Path,
) -> None:
    def breaks() -> Any:
        raise ValueError("cannot cast u-Canary")

    with pytest.raises(ValueError, match="Canary"):
        run(Settings(home=tmp_path), "build", breaks)
    _, end = events(tmp_path / "lineage")
    assert (end["eventType"], end["run"]["facets"]["errorMessage"]["message"]) == ("FAIL", "ValueError")


def test_an_address_that_is_none_is_refused_before_any_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_LINEAGE_URL", "marquez:5000")
    with pytest.raises(SettingsError, match="REELHOUSE_LINEAGE_URL: .*write one such as http"):
        Settings.from_env()


def test_topics_are_named_as_the_broker_knows_them() -> None:
    settings = Settings(kafka_bootstrap_servers="broker:9092")
    event = Serde.to_dict(Told(settings, declared("ingest", "silver", SCHEMAS), "r", "ingest", AT).started())
    assert {each["namespace"] for each in event["inputs"]} == {"kafka://broker:9092"}
    assert "views" in names(event["inputs"])
    assert {each["namespace"] for each in event["outputs"]} == {"reelhouse://lake"}


class Api(BaseHTTPRequestHandler):
    """An OpenLineage API that keeps what it gets, or refuses it."""

    got: list[tuple[str, str, Event]]
    answer = 201

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if type(self).answer == 201:
            type(self).got.append((self.path, self.headers.get("Authorization", ""), body))
        self.send_response(type(self).answer)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[tuple[type[Api], str]]:
    handler = type("Kept", (Api,), {"got": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_sink_that_is_down_fails_no_job_and_gets_the_events_later_in_their_order(
    api: tuple[type[Api], str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    handler, url = api
    settings = Settings(home=tmp_path, lineage_url=url, lineage_api_key="secret-key")
    handler.answer = 503
    run(settings)
    spool = tmp_path / "lineage" / "unsent.jsonl"
    assert len(spool.read_text().splitlines()) == 2
    assert str(spool) in caplog.text
    assert "secret-key" not in caplog.text
    handler.answer = 201
    run(settings, "check", lambda: {"outcome": "done", "message": "ok"})
    assert [(body["job"]["name"], body["eventType"]) for _, _, body in handler.got] == [
        ("funnels.release", "START"), ("funnels.release", "COMPLETE"),
        ("funnels.check", "START"), ("funnels.check", "COMPLETE"),
    ]  # fmt: skip
    assert {path for path, _, _ in handler.got} == {"/api/v1/lineage"}
    assert {key for _, key, _ in handler.got} == {"Bearer secret-key"}
    assert list((tmp_path / "lineage").iterdir()) == []


def test_a_disk_that_is_full_loses_the_event_and_not_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "lineage").write_text("in the way")
    run(Settings(home=tmp_path))
    assert "cannot be written" in caplog.text
    assert Ledger(Settings(home=tmp_path)).read("ops.runs").num_rows == 1
