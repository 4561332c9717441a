"""Follow Airflow's runs in the terminal until nothing is left unreleased."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from jobs.demo.airflow import Airflow
from jobs.lake.errors import ServiceError

DAGS = ("ingest", "gold_funnels", "gold_profiles")
FAMILIES = ("funnels", "profiles")  # what these publish
AFTERWARDS = ("silver_sessions", "gold_scores")  # begin when these are done, while people look at what they gave
SECONDS_BETWEEN_LOOKS = 1.0
COLOURS = {"success": "green", "failed": "red", "running": "cyan", "skipped": "dim", "up_for_retry": "yellow"}
WORTH_TELLING = {"running", "success", "failed", "skipped", "up_for_retry", "upstream_failed"}


@dataclass
class Follower:
    """Looks at the runs made since it began, tells every change of state once, and stops at the first failure."""

    airflow: Airflow
    console: Console
    logs: Path
    _known: set[tuple[str, str]] = field(default_factory=set)
    _seen: dict[tuple[str, str, str], str] = field(default_factory=dict)

    def begin(self) -> str:
        """Unpause the DAGs, start an ingest by hand, and return that run's id; earlier runs are not followed."""
        for dag in (*DAGS, *AFTERWARDS):
            self._known |= {(dag, run["dag_run_id"]) for run in self.airflow.runs(dag)}
        for dag in DAGS[1:]:
            self.airflow.unpause(dag)
        run = self.airflow.trigger("ingest")
        self.airflow.unpause("ingest")
        return run

    def begin_the_rest(self) -> list[str]:
        """Start what goes on while people look, and return these runs' ids."""
        for dag in AFTERWARDS:
            self.airflow.unpause(dag)
        return [self.airflow.trigger(dag) for dag in AFTERWARDS]

    def until_released(
        self, begun: Sequence[str], is_unreleased: Callable[[], bool], *, minutes: int, dags: Sequence[str] = DAGS
    ) -> None:
        """Wait until these runs have ended, no run is at work, and the ledger says nothing is left to release."""
        deadline = time.monotonic() + minutes * 60
        with self.console.status("Airflow is at work …"):
            while not (self._look(begun, dags) and not is_unreleased()):
                if time.monotonic() > deadline:
                    raise ServiceError(
                        f"Airflow has not released everything within {minutes} minutes; look at {self.airflow.url} "
                        f"and the task logs in {self.logs}"
                    )
                time.sleep(SECONDS_BETWEEN_LOOKS)

    def _look(self, begun: Sequence[str], dags: Sequence[str]) -> bool:
        """Tell what changed; true when the begun runs have ended and no run is queued or running."""
        quiet, ended = True, set[str]()
        for dag in dags:
            for run in reversed(self.airflow.runs(dag)):
                run_id, state = run["dag_run_id"], run["state"]
                if (dag, run_id) in self._known:
                    continue
                quiet &= state in {"success", "failed"}
                ended |= {run_id} if state == "success" else set()
                self._tell(dag, run_id)
                if state == "failed":
                    raise self._failure(dag, run_id)
        return quiet and ended >= set(begun)

    def _tell(self, dag: str, run_id: str) -> None:
        for task, state in sorted(self.airflow.tasks(dag, run_id).items()):
            if state in WORTH_TELLING and self._seen.get((dag, run_id, task)) != state:
                self._seen[dag, run_id, task] = state
                colour = COLOURS.get(state, "white")
                self.console.print(f"  {dag:14} {task:18} [{colour}]{state}[/]")

    def _failure(self, dag: str, run_id: str) -> ServiceError:
        failed = [task for task, state in self.airflow.tasks(dag, run_id).items() if state == "failed"]
        return ServiceError(
            f"Airflow's {dag} failed at {', '.join(failed) or 'its start'} (run {run_id}); its log is under "
            f"{self.logs}/dag_id={dag}; the DAG's page at {self.airflow.url}/dags/{dag} says what to do"
        )
