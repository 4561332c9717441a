"""The demo's course: services, events, Airflow, and what came out."""

import json
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from jobs.demo.airflow import Airflow
from jobs.demo.follow import AFTERWARDS, DAGS, FAMILIES, WATCH, Follower
from jobs.demo.show import show
from jobs.demo.state import Sent
from jobs.demo.steps import Steps
from jobs.lake.errors import ServiceError, UsageError
from jobs.lake.ingest.planning import is_unread
from jobs.lake.settings import ROOT, Settings

DATA = ROOT.parent / "shared" / "data"
SECONDS_FOR_DAGS = 90


@dataclass(frozen=True)
class Stage:
    """Where a demo plays."""

    settings: Settings
    console: Console
    steps: Steps

    @property
    def airflow_url(self) -> str:
        """Ours on loopback, or an outside one."""
        return self.settings.airflow_url or f"http://127.0.0.1:{self.settings.airflow_port}"


def run_demo(settings: Settings, sent: Sent, *, days: int, path: Path | None, minutes: int) -> None:
    """Play the demo to its end; a failure names the step, its log and the remedy."""
    console, began = Console(), time.monotonic()
    log_path = find_log(sent, path)
    stage = Stage(settings, console, Steps(console, settings.home / "demo"))
    remedy = "look at `make status` and the log named there, then `make up`"
    with stage.steps.beside("Spark and Airflow", "services", "up", "connect", "airflow", remedy=remedy):
        stage.steps.run("Kafka", "services", "up", "kafka", remedy="`make doctor` says what is missing")
        is_new = send_events(stage, sent, days, log_path)
    is_left = is_new or is_unread(settings) or is_unreleased(stage.steps)
    follower = publish(stage, minutes) if is_left else None
    if follower is None:
        console.print("[green]✓[/] all is done: whatever was sent is read, checked and released")
    rest = follower.begin_the_rest() if follower else []
    show(stage.steps, settings, sent.source, stage.airflow_url)
    if follower is not None:
        console.print("\n[dim]sessions and scores follow[/]")
        follower.until_released(rest, lambda: is_unreleased(stage.steps), minutes=minutes, dags=(*DAGS, *AFTERWARDS))
        console.print("[green]✓[/] nothing is left to read, check or release")
        stage.steps.run("the report, now with them", "report", remedy="see the log")
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. [dim]`make down` stops everything.[/]")


def find_log(sent: Sent, path: Path | None) -> Path | None:
    """The log to replay; UsageError when it is not there."""
    if sent.source == "simulator":
        return None
    found = path or DATA / sent.source
    if not found.exists():
        raise UsageError(f"{found} is not there; name the folder or file of the {sent.source} log with --path")
    return found


def send_events(stage: Stage, sent: Sent, days: int, log_path: Path | None) -> bool:
    """Send the events once; false when an earlier demo did so and nothing was sent."""
    noted = stage.settings.home / "demo" / "sent.json"
    if sent.is_noted(noted):
        stage.console.print(f"[green]✓[/] the events of {sent.source} were sent by an earlier demo")
        return False
    if log_path is None:
        arguments = ["simulate", "--users", str(sent.size), "--days", str(days), "--seed", str(sent.seed)]
        arguments += ["--misbehave", "mild"]
    else:
        arguments = ["replay", sent.source, str(log_path), "--as-fast-as-possible"]
    stage.steps.run(f"events of {sent.source}", *arguments, remedy="`make status`: is Kafka serving? then again")
    sent.note(noted)
    return True


def publish(stage: Stage, minutes: int) -> Follower:
    """Unpause the DAGs and follow them until the ledger says nothing is left to release; gives who followed them."""
    airflow = Airflow(stage.airflow_url, stage.settings.airflow_token_file)
    wait_for_dags(airflow)
    follower = Follower(airflow, stage.console, stage.settings.home / "services" / "airflow" / "home" / "logs")
    began = time.monotonic()
    follower.until_released([follower.begin()], lambda: is_unreleased(stage.steps, FAMILIES), minutes=minutes)
    stage.console.print(f"[green]✓[/] released by Airflow [dim]{time.monotonic() - began:.0f} s[/]")
    return follower


def is_unreleased(steps: Steps, families: Collection[str] = ()) -> bool:
    """Whether the ledger, not Airflow, says that some of these families, or any at all, has something left to do."""
    running = steps.start("pending", "pending", "--format", "json")
    printed, _ = running.process.communicate()
    if running.process.returncode:
        raise running.failure(printed, "see the log")
    return any(row["is_waiting"] for row in json.loads(printed) if not families or row["family"] in families)


def wait_for_dags(airflow: Airflow) -> None:
    """Airflow reads the DAG files a few seconds after it serves."""
    deadline = time.monotonic() + SECONDS_FOR_DAGS
    while not all(airflow.knows(dag) for dag in (*DAGS, *AFTERWARDS, WATCH)):
        if time.monotonic() > deadline:
            raise ServiceError(f"Airflow at {airflow.url} has not read dags/ in {SECONDS_FOR_DAGS} s; see its log")
        time.sleep(1)
