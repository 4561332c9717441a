"""Our Airflow: standalone on SQLite with two local workers, on loopback, from an environment of its own."""

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path
from urllib.request import ProxyHandler, build_opener

from jobs.lake.errors import SettingsError
from jobs.lake.services.connect import Connect
from jobs.lake.services.kafka import Kafka
from jobs.lake.services.service import Service, answers
from jobs.lake.settings import ROOT

INFRA = ROOT / "infra" / "airflow"
PROBE_SECONDS = 5.0
PARTS = ("metadatabase", "scheduler", "dag_processor")


class Airflow(Service):
    """The scheduler, its page, and the workers that run our commands."""

    name = "airflow"
    patience_seconds = 300.0

    @property
    def outside(self) -> str:
        """Set by AIRFLOW_URL, unless that names our own."""
        named = self.settings.airflow_url.rstrip("/")
        return "" if named == self._own_address else named

    @property
    def address(self) -> str:
        """The page and the root of the REST API."""
        return self.outside or self._own_address

    @property
    def _own_address(self) -> str:
        return f"http://127.0.0.1:{self.settings.airflow_port}"

    @property
    def ports(self) -> dict[str, int]:
        """One, for the page and both APIs."""
        return {"REELHOUSE_AIRFLOW_PORT": self.settings.airflow_port}

    @property
    def _bin(self) -> Path:
        return ROOT / ".venv-airflow" / "bin"

    @property
    def _home(self) -> Path:
        """Airflow's database, its keys and the logs of its tasks."""
        return self.folder / "home"

    def prepare(self) -> None:
        """Airflow makes its database and its keys itself; nobody else may read them."""
        if not (self._bin / "airflow").is_file():
            raise SettingsError(f"no Airflow in {self._bin.parent}; run `make setup`")
        self._home.mkdir(parents=True, exist_ok=True)
        self._home.chmod(0o700)
        if not self._secret.is_file():
            self._secret.write_text(secrets.token_hex(64))
            self._secret.chmod(0o600)

    @property
    def _secret(self) -> Path:
        """Signs the tokens that tasks show to the API."""
        return self._home / "jwt-secret"

    def command(self) -> list[str]:
        """Standalone, by way of our starter."""
        return [str(self._bin / "python"), str(INFRA / "start.py"), str(INFRA / "pools.json")]

    def environment(self) -> dict[str, str]:
        """Airflow's own settings, and all that a task hands on to `reelhouse`."""
        return {**os.environ, **_read_env(INFRA / "airflow.env"), **self._places(), **self._for_tasks()}

    def _places(self) -> dict[str, str]:
        return {
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self._own_address}/execution/",
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret.read_text(),
            "AIRFLOW__API__PORT": str(self.settings.airflow_port),
            "AIRFLOW__API__BASE_URL": self._own_address,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self._home}/airflow.db",
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_STORAGE_PATH": str(self._home / "bundles"),
            "PATH": f"{self._bin}{os.pathsep}{os.environ.get('PATH', '')}",
            "PYTHONPATH": str(ROOT),
            "NO_PROXY": "127.0.0.1,localhost",
        }

    def _for_tasks(self) -> dict[str, str]:
        """Tasks use the broker and the warm server in use here, and the same lake."""
        spark = "SPARK_MASTER" if self.settings.spark_master else "SPARK_REMOTE"
        return {
            **self.settings.as_environment(),
            "KAFKA_BOOTSTRAP_SERVERS": Kafka(self.settings).address,
            spark: Connect(self.settings).address,
            "PYSPARK_PYTHON": str(ROOT / ".venv" / "bin" / "python"),
        }

    def is_well(self) -> bool:
        """The API answers and finds its database, scheduler and DAG processor healthy."""
        if not self.outside and not answers(self.settings.airflow_port):
            return False
        with suppress(OSError, ValueError):
            opener = build_opener(ProxyHandler({}))
            with opener.open(f"{self.address}/api/v2/monitor/health", timeout=PROBE_SECONDS) as answer:
                health = json.load(answer)
            return all((health.get(part) or {}).get("status") == "healthy" for part in PARTS)
        return False


def _read_env(path: Path) -> dict[str, str]:
    """`KEY=value` lines; `#` starts a comment."""
    lines = [line.partition("=") for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
    return {key: value for key, _, value in lines}
