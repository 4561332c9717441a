"""The drill of the schedule: Airflow is killed while its task is at work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil

from jobs.demo.airflow import Airflow as Client
from jobs.demo.follow import DAGS
from jobs.drills.arrivals import plays
from jobs.drills.evidence import account
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch, ingest_is_at_work
from jobs.lake.errors import ServiceError
from jobs.lake.ingest.planning import is_unread
from jobs.lake.services import control, process
from jobs.lake.services.airflow import Airflow

LONGEST_SECONDS = 600
DAG = DAGS[0]


def airflow_killed(stage: Scratch, report: Report) -> None:
    """Airflow and all it had started are killed while the ingest task is at work, and Airflow is started again."""
    stage.put(plays(stage.now, range(80)))
    with airflow(stage) as (service, client):
        client.unpause(DAG)
        run = client.trigger(DAG)
        wait("the ingest task to begin", lambda: ingest_is_at_work(stage.settings))
        killed = kill(service)
        report.did(f"80 views sent; DAG {DAG} started; Airflow killed with all its {killed} processes meanwhile")
        stage.put(plays(stage.now, range(80, 120)))
        control.up([service], lambda name, news: None)
        report.did("40 more views sent; Airflow started again, and nothing else done")
        wait("its run to end", lambda: state_of(client, run) in ("success", "failed"))
        report.equal("state of the run that was killed", "success", state_of(client, run))
    report.equal("records not read yet", False, is_unread(stage.settings))
    account(stage, report, compared=["silver.views"], received=120, accepted=120, duplicate=0, quarantined=0)


@contextmanager
def airflow(stage: Scratch) -> Iterator[tuple[Airflow, Client]]:
    """An Airflow of the drill's own that knows the DAG; stopped to its last process afterwards."""
    service = Airflow(stage.settings)
    client = Client(f"http://127.0.0.1:{stage.settings.airflow_port}")
    try:
        control.up([service], lambda name, news: None)
        wait(f"DAG {DAG} to be read", lambda: client.knows(DAG))
        yield service, client
    finally:
        control.down([service], lambda name, news: None)


def kill(service: Airflow) -> int:
    """End a service and everything it started without a word; how many processes that were."""
    found = process.members(service.folder)
    for each in found:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    return len(found)


def state_of(client: Client, run: str) -> str:
    """The state of one of the newest runs."""
    return next((str(each["state"]) for each in client.runs(DAG) if each["dag_run_id"] == run), "unknown")


def wait(what: str, condition: Callable[[], bool]) -> None:
    """Wait until something holds; ServiceError when that takes ten minutes."""
    deadline = time.monotonic() + LONGEST_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            raise ServiceError(f"waited {LONGEST_SECONDS} s in vain for {what}; see the logs under var/drills")
        time.sleep(0.5)
