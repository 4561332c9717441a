"""The operator runs a command in its own process group, judges it by exit code and result, and ends it when killed."""

import json
import os
import signal
import threading
import time
from datetime import UTC, datetime
from types import SimpleNamespace

import psutil
import pytest
from airflow.sdk.exceptions import AirflowSkipException

from dags.lib import operator
from dags.lib.failures import BadData, JobFailed, ServiceLost, WrongCall
from dags.lib.tables import asset

SCRIPT = """#!/bin/sh
while [ "$1" != --result ]; do shift; done
printf '%s' "$RESULT" > "$2"
exit "$CODE"
"""


@pytest.fixture
def context():
    run = SimpleNamespace(dag_id="ingest", run_id="manual", run_after=datetime(2026, 11, 22, tzinfo=UTC))
    table = asset("gold.funnel_daily")
    return {"dag_run": run, "outlet_events": {table: SimpleNamespace(extra=None)}, "table": table}


@pytest.fixture
def run(tmp_path, monkeypatch, context):
    """Run one task whose command ends with `code` and leaves `result`."""

    def told(code=0, result=None, **options):
        script = tmp_path / "reelhouse"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        monkeypatch.setattr(operator, "COMMAND", str(script))
        monkeypatch.setenv("RESULT", json.dumps(result or {}))
        monkeypatch.setenv("CODE", str(code))
        task = operator.ReelhouseOperator(task_id="job", arguments=["build", "funnels"], **options)
        return task.execute(context)

    return told


@pytest.mark.parametrize(("code", "failure"), [(1, JobFailed), (2, WrongCall), (3, BadData), (5, ServiceLost)])
def test_the_exit_code_tells_the_kind_of_failure(run, code, failure):
    with pytest.raises(failure, match="because") as raised:
        run(code, {"message": "because"})
    assert type(raised.value) is failure


def test_a_failure_names_the_page_of_its_result_else_that_of_its_task(run):
    page = "Build it. Red: docs/runbooks/build.md"
    for told, message in {
        "ValueError at x.py:1; see docs/runbooks/lake.md": "ValueError at x.py:1; see docs/runbooks/lake.md",
        "--slice 'x' is no day": "--slice 'x' is no day; see docs/runbooks/build.md",
        "": "build funnels ended with code 1; its log is above; see docs/runbooks/build.md",
    }.items():
        with pytest.raises(JobFailed) as raised:
            run(1, {"message": told}, doc_md=page)
        assert str(raised.value) == message
    with pytest.raises(JobFailed, match=r"its log is above$"):
        run(1)


def test_a_held_lease_is_somebody_else_at_work(run):
    with pytest.raises(AirflowSkipException, match="another run"):
        run(4, {"message": "held by 17"})


def test_nothing_to_do_sends_no_asset_event(run):
    with pytest.raises(AirflowSkipException):
        run(0, {"outcome": "nothing_to_do", "message": "all released"})


def test_ingest_wakes_gold_as_long_as_anything_is_unreleased(run):
    assert run(0, {"outcome": "nothing_to_do", "unreleased": True}, skip_unless_unreleased=True)["unreleased"]
    with pytest.raises(AirflowSkipException):
        run(0, {"outcome": "done", "unreleased": False}, skip_unless_unreleased=True)


def test_the_result_goes_on_the_asset_event(run, context):
    run(0, {"outcome": "done", "tables": [{"table": "gold.funnel_daily", "version": 7}]}, outlets=[context["table"]])
    extra = context["outlet_events"][context["table"]].extra
    assert extra == {"run_id": "ingest:manual", "table": "gold.funnel_daily", "version": 7}


def test_a_killed_task_leaves_no_process_behind(tmp_path, monkeypatch, context):
    script = tmp_path / "reelhouse"
    script.write_text("#!/bin/sh\nsleep 60 &\necho $! > child\nwait\n")
    script.chmod(0o755)
    monkeypatch.setattr(operator, "COMMAND", str(script))
    monkeypatch.setattr(operator, "ROOT", tmp_path)
    task = operator.ReelhouseOperator(task_id="job", arguments=["ingest"])
    ended = []

    def work():
        try:
            task.execute(context)
        except JobFailed as failure:
            ended.append(failure)

    thread = threading.Thread(target=work)
    thread.start()
    child = tmp_path / "child"
    deadline = time.monotonic() + 20
    while not (child.exists() and child.read_text().strip()) and time.monotonic() < deadline:
        time.sleep(0.05)
    task.on_kill()
    thread.join(20)
    assert ended
    assert not thread.is_alive()
    pid = int(child.read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


ORPHAN = """#!/bin/sh
PYTHONPATH={root} exec {root}/.venv/bin/python -c "
import os, subprocess, time
from jobs.lake.lifeline import hold_on
hold_on()
started = subprocess.Popen(['sleep', '60'])
open('child', 'w').write(f'{{os.getpid()}} {{started.pid}}')
time.sleep(60)"
"""


def test_a_task_that_is_killed_outright_takes_its_command_with_it(tmp_path, monkeypatch, context):
    """Only the task's own process gets SIGKILL: `on_kill` is never called."""
    script, child = tmp_path / "reelhouse", tmp_path / "child"
    script.write_text(ORPHAN.format(root=operator.ROOT))
    script.chmod(0o755)
    monkeypatch.setattr(operator, "COMMAND", str(script))
    monkeypatch.setattr(operator, "ROOT", tmp_path)
    task = os.fork()
    if not task:
        operator.ReelhouseOperator(task_id="job", arguments=["ingest"]).execute(context)
        os._exit(0)
    wait_until(lambda: child.exists() and len(child.read_text().split()) == 2)
    orphans = [psutil.Process(int(pid)) for pid in child.read_text().split()]
    os.kill(task, signal.SIGKILL)
    os.waitpid(task, 0)
    try:
        wait_until(lambda: all(has_ended(each) for each in orphans))
    finally:
        for each in orphans:
            if not has_ended(each):
                each.kill()


def has_ended(process):
    return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE


def wait_until(is_so):
    deadline = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)
