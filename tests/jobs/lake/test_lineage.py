"""Lineage: each run tells in OpenLineage's words what it read and wrote, and no silent sink ever stops it."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.serde import Serde

from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import QualityError, SettingsError
from jobs.lake.ledger import Ledger
from jobs.lake.lineage.declared import declared
from jobs.lake.lineage.events import Told
from jobs.lake.publications import families, inputs_of
from jobs.lake.runs import report
from jobs.lake.settings import ROOT, Settings
from jobs.lake.topics import TOPICS
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
    assert "columnLineage" not in outputs["staging.gold.retention_weekly"]


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
