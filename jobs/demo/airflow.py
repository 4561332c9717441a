"""A small client of Airflow's public REST API: unpause, trigger, and follow runs until they end."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from jobs.lake.errors import ServiceError, SettingsError

TIMEOUT_SECONDS = 20
ENDED = {"success", "failed", "skipped", "upstream_failed", "removed"}


@dataclass
class Airflow:
    """One Airflow, reached at `url`; every call names the address when it fails."""

    url: str
    token_file: Path | None = None
    _session: requests.Session = field(default_factory=requests.Session, repr=False)

    def __post_init__(self) -> None:
        self._session.trust_env = False  # loopback needs no proxy
        if self.token_file:
            self._session.headers["Authorization"] = f"Bearer {self._token(self.token_file)}"

    @staticmethod
    def _token(file: Path) -> str:
        try:
            return file.read_text(encoding="utf-8").strip()
        except OSError as missing:
            raise SettingsError(f"AIRFLOW_TOKEN_FILE: {file} cannot be read: {missing.strerror}") from missing

    @retry(
        retry=retry_if_exception_type(requests.ConnectionError),
        stop=stop_after_attempt(5),
        wait=wait_fixed(1),
        reraise=True,
    )
    def _send(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, f"{self.url}{path}", timeout=TIMEOUT_SECONDS, **options)

    def call(self, method: str, path: str, **options: Any) -> Any:
        """One request to `/api/v2`; logs in when asked to."""
        try:
            answer = self._send(method, f"/api/v2{path}", **options)
            if answer.status_code == requests.codes.unauthorized and not self.token_file:
                token = self._send("GET", "/auth/token").json()["access_token"]
                self._session.headers["Authorization"] = f"Bearer {token}"
                answer = self._send(method, f"/api/v2{path}", **options)
            answer.raise_for_status()
        except (requests.RequestException, KeyError) as failure:
            raise ServiceError(
                f"Airflow at {self.url} refused {method} {path}: {failure}; see `make status`"
            ) from failure
        return answer.json()

    def knows(self, dag: str) -> bool:
        """Whether the DAG has been read from its file yet."""
        return dag in {entry["dag_id"] for entry in self.call("GET", "/dags", params={"limit": 100})["dags"]}

    def unpause(self, dag: str) -> None:
        """Let the scheduler run the DAG."""
        self.call("PATCH", f"/dags/{dag}", json={"is_paused": False})

    def trigger(self, dag: str) -> str:
        """Start a run by hand and return its id."""
        return str(self.call("POST", f"/dags/{dag}/dagRuns", json={"logical_date": None})["dag_run_id"])

    def runs(self, dag: str, limit: int = 5) -> list[dict[str, Any]]:
        """The newest runs of a DAG, newest first."""
        found = self.call("GET", f"/dags/{dag}/dagRuns", params={"order_by": "-run_after", "limit": limit})
        return list(found["dag_runs"])

    def tasks(self, dag: str, run: str) -> dict[str, str]:
        """The state of each task of a run, by task id; a task not looked at yet is `waiting`."""
        found = self.call("GET", f"/dags/{dag}/dagRuns/{run}/taskInstances")
        return {entry["task_id"]: entry["state"] or "waiting" for entry in found["task_instances"]}
