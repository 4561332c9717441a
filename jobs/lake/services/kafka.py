"""Our Kafka: one KRaft node on loopback, from jars, with its topics made."""

import base64
import os
import subprocess
from pathlib import Path
from uuid import uuid4

from jobs.lake.errors import ServiceError, SettingsError
from jobs.lake.java import good_java
from jobs.lake.services.service import Service, answers
from jobs.lake.settings import ROOT
from jobs.lake.topics import ensure_topics, is_reachable

INFRA = ROOT / "infra" / "kafka"


class Kafka(Service):
    """The broker that takes in views, likes and orders."""

    name = "kafka"

    @property
    def outside(self) -> str:
        """Set by KAFKA_BOOTSTRAP_SERVERS, unless that names our own."""
        named = self.settings.kafka_bootstrap_servers
        return "" if named == self._own_address else named

    @property
    def address(self) -> str:
        """The bootstrap servers."""
        return self.settings.bootstrap

    @property
    def _own_address(self) -> str:
        return f"127.0.0.1:{self.settings.kafka_port}"

    @property
    def ports(self) -> dict[str, int]:
        """One for clients, one for the controller."""
        return {
            "REELHOUSE_KAFKA_PORT": self.settings.kafka_port,
            "REELHOUSE_KAFKA_CONTROLLER_PORT": self.settings.kafka_controller_port,
        }

    @property
    def data(self) -> Path:
        """The broker's log segments."""
        return self.folder / "data"

    def prepare(self) -> None:
        """Write the settings and format the data folder once."""
        if not list((self.settings.jars_dir / "kafka").glob("kafka_2.13-*.jar")):
            raise SettingsError(f"no broker jars in {self.settings.jars_dir}/kafka; run `make setup`")
        self._properties.write_text((INFRA / "server.properties").read_text() + self._places())
        if not (self.data / "meta.properties").is_file():
            self._format()

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _places(self) -> str:
        client, controller = self.settings.kafka_port, self.settings.kafka_controller_port
        return (
            f"\nlisteners=CLIENT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}\n"
            f"advertised.listeners=CLIENT://127.0.0.1:{client}\n"
            f"controller.quorum.voters=1@127.0.0.1:{controller}\n"
            f"log.dirs={self.data}\n"
        )

    def _format(self) -> None:
        cluster_id = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        asked = ["format", "--ignore-formatted", f"--cluster-id={cluster_id}", "-c", str(self._properties)]
        command = [*self._java(64), "kafka.tools.StorageTool", *asked]
        done = subprocess.run(
            command, env=self.environment(), capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
        )
        if done.returncode:
            said = (done.stderr or done.stdout).strip()[-500:]
            raise ServiceError(f"kafka: cannot format {self.data}: {said}; move that folder away and try again")

    def _java(self, memory_mb: int) -> list[str]:
        return [
            str(good_java().command),
            f"-Xmx{memory_mb}m",
            "-XX:+UseSerialGC",
            "-XX:+ExitOnOutOfMemoryError",
            f"-Dlog4j2.configurationFile={INFRA / 'log4j2.xml'}",
            "-cp",
            f"{self.settings.jars_dir}/kafka/*",
        ]

    def command(self) -> list[str]:
        """The broker in one JVM."""
        return [*self._java(self.settings.kafka_memory_mb), "kafka.Kafka", str(self._properties)]

    def environment(self) -> dict[str, str]:
        """Nothing of ours: the broker has all it needs in its file."""
        return dict(os.environ)

    def is_well(self) -> bool:
        """The port answers, and the broker says who it is."""
        return (bool(self.outside) or answers(self.settings.kafka_port)) and is_reachable(self.settings)

    def settle(self) -> None:
        """Make the topics that are not there yet."""
        ensure_topics(self.settings)
