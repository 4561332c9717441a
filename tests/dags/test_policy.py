"""Every DAG keeps the house's policy: owners, pages, assets, pools, retries by kind of failure."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from airflow.sdk import RetryAction

from dags.lib import policy
from dags.lib.failures import BadData, JobFailed, PromiseBroken, ServiceLost, WrongCall, failure_of
from dags.lib.policy import RETRY_BY_KIND
from dags.lib.tables import SCHEMAS, family_inputs, family_tables
from tests.dags.graph import REVIEWED, awaited, graph

ROOT = Path(__file__).resolve().parents[2]
FAMILIES = {
    "gold_funnels": "funnels",
    "gold_profiles": "profiles",
    "silver_sessions": "sessions",
    "gold_scores": "scores",
}


def tasks_of(dags):
    return [task for dag in dags.values() for task in dag.tasks]


def test_the_graph_is_the_one_that_was_reviewed(dags):
    reviewed = json.loads(REVIEWED.read_text(encoding="utf-8"))
    assert graph(dags) == reviewed, "review the change, then: make graph"


def test_every_dag_says_what_it_reads_writes_and_what_to_do_when_red(dags):
    for dag in dags.values():
        assert all(word in (dag.doc_md or "") for word in ("**Reads**", "**Writes**", "**On failure**")), dag.dag_id


def test_what_a_dag_says_stands_in_lines_of_its_own_on_airflows_page(dags):
    """In Markdown lines that follow each other flow into one; items of a list do not."""
    for dag in dags.values():
        bold = [line for line in dag.doc_md.splitlines() if "**" in line]
        assert [line for line in bold if not line.startswith("- **")] == [], dag.dag_id
        assert "\nSkipped" not in dag.doc_md, dag.dag_id


def test_every_runbook_a_page_names_exists(dags):
    pages = [dag.doc_md for dag in dags.values()] + [task.doc_md for task in tasks_of(dags)]
    named = {word.strip(".,;:") for page in pages for word in (page or "").split() if word.startswith("docs/")}
    assert named
    assert [page for page in sorted(named) if not (ROOT / page).exists()] == []


def test_every_dag_has_one_impact_an_owner_and_one_run_at_a_time(dags):
    for dag in dags.values():
        assert sum(tag.startswith("impact:") for tag in dag.tags) == 1, dag.dag_id
        assert dag.max_active_runs == 1, dag.dag_id
        assert dag.deadline, dag.dag_id
    assert {task.owner for task in tasks_of(dags)} == {"data-engineering"}


def test_only_visible_rows_are_announced(dags):
    for task in tasks_of(dags):
        assert bool(task.outlets) == task.task_id.endswith((".release", "ingest")), task.task_id


def test_a_dag_waits_for_exactly_what_its_contracts_read(dags):
    for dag_id, family in FAMILIES.items():
        assert family_tables(family), family
        assert awaited(dags[dag_id]) == set(family_inputs(family))


def test_everything_awaited_is_announced_by_some_task(dags):
    announced = {outlet.name for task in tasks_of(dags) for outlet in task.outlets}
    assert {name for dag in dags.values() for name in awaited(dag)} <= announced


def test_each_public_table_is_published_by_exactly_one_dag(dags):
    published = [o.name for task in tasks_of(dags) if task.task_id.endswith(".release") for o in task.outlets]
    gold = [f"gold.{path.stem}" for path in (SCHEMAS / "gold").glob("*.yaml")]
    promised = [*gold, "silver.identity_edges", "silver.sessions"]
    assert sorted(published) == sorted(promised)


def test_no_silver_table_is_announced_by_two_tasks(dags):
    announced = [outlet.name for task in tasks_of(dags) for outlet in task.outlets]
    assert len(announced) == len(set(announced))


def test_each_table_has_one_writer_at_a_time(dags):
    pools = json.loads((ROOT / "infra" / "airflow" / "pools.json").read_text(encoding="utf-8"))
    for task in tasks_of(dags):
        assert pools[task.pool]["slots"] == 1, task.task_id


@pytest.mark.parametrize(
    ("failure", "action"),
    [
        (BadData("a critical check failed"), RetryAction.FAIL),
        (WrongCall("no such slice"), RetryAction.FAIL),
        (ServiceLost("the broker went away"), RetryAction.RETRY),
        (PromiseBroken("gold.funnel_daily: latency"), RetryAction.FAIL),
        (JobFailed("out of memory"), RetryAction.DEFAULT),
    ],
)
def test_retries_go_by_the_kind_of_failure(failure, action):
    assert RETRY_BY_KIND.evaluate(failure, try_number=1, max_tries=3).action is action


@pytest.mark.parametrize(
    ("code", "error", "kind"),
    [(1, "PromiseError", PromiseBroken), (1, "WriteError", JobFailed), (3, "BooksError", BadData), (9, "", JobFailed)],
)
def test_a_failure_is_told_by_the_error_named_or_by_the_exit_code(code, error, kind):
    assert failure_of(code, error) is kind


@pytest.mark.parametrize(("failure", "times"), [(PromiseBroken("late"), 0), (BadData("a check failed"), 1)])
def test_a_broken_promise_was_told_by_the_command_and_is_not_told_again(failure, times, monkeypatch):
    sent = []
    monkeypatch.setattr(policy, "send", sent.append)
    policy.alert({"task_instance": SimpleNamespace(dag_id="d", task_id="t", run_id="r"), "exception": failure})
    assert len(sent) == times


def test_an_alert_that_is_not_taken_keeps_the_address_to_itself(monkeypatch, caplog):
    monkeypatch.setenv("REELHOUSE_ALERT_WEBHOOK", "http://127.0.0.1:9/services/secret-token")
    policy.send("ingest failed")
    assert "did not take the message: ConnectError" in caplog.text
    assert "secret-token" not in caplog.text


def test_a_dag_file_is_short_and_knows_no_spark():
    for path in (ROOT / "dags").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert "import pyspark" not in text, path.name
        assert "from jobs" not in text, path.name
        if path.parent.name == "dags":
            assert len(text.splitlines()) <= 40, path.name


def test_contracts_of_gold_name_a_family():
    for path in (SCHEMAS / "gold").glob("*.yaml"):
        properties = yaml.safe_load(path.read_text(encoding="utf-8"))["customProperties"]
        assert {"family", "inputs", "write"} <= {entry["property"] for entry in properties}, path.name
