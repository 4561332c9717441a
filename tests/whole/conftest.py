"""One whole run for all tests here: the demo at a small size, on ports and in a folder of its own, through Airflow."""

import os
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app

ROOT = Path(__file__).resolve().parents[2]
COMMAND = str(ROOT / ".venv" / "bin" / "reelhouse")
PORTS = ("KAFKA_PORT", "KAFKA_CONTROLLER_PORT", "SPARK_CONNECT_PORT", "AIRFLOW_PORT")
OUTSIDE = ("KAFKA_BOOTSTRAP_SERVERS", "SPARK_REMOTE", "SPARK_MASTER", "AIRFLOW_URL")
LONGEST_SECONDS = 2400  # on a machine that has much else to do; two quiet cores take a tenth
PEOPLE = 150


def free_ports(count):
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    for found in sockets:
        found.bind(("127.0.0.1", 0))
    ports = [found.getsockname()[1] for found in sockets]
    for found in sockets:
        found.close()
    return ports


@dataclass(frozen=True)
class Shop:
    """The platform of this run: its settings, and what the demo printed."""

    home: Path
    env: dict[str, str]
    printed: str = ""

    def run(self, *arguments, cwd=ROOT, command=(COMMAND,)):
        """Run a command as a person would; its exit code, output and errors."""
        return subprocess.run(
            [*command, *arguments],
            cwd=cwd,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=LONGEST_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def ask(self, *arguments):
        """What a command that only reads prints, asked in this process; it must end well."""
        answer = CliRunner().invoke(build_app(), [*arguments], env=dict.fromkeys(OUTSIDE) | self.env)
        assert answer.exit_code == 0, f"{answer.output}\n{answer.exception!r}"
        return answer.stdout


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """`make demo`, small; everything it started is stopped afterwards, its logs stay for a look."""
    folder = tmp_path_factory.mktemp("whole")
    ports = {f"REELHOUSE_{name}": str(port) for name, port in zip(PORTS, free_ports(len(PORTS)), strict=True)}
    env = {name: value for name, value in os.environ.items() if name not in OUTSIDE}
    env |= {"REELHOUSE_HOME": str(folder), "NO_COLOR": "1", "COLUMNS": "160", **ports}
    started = Shop(folder, env)
    try:
        made = started.run("demo", f"SIZE={PEOPLE}", command=("make",))
        assert made.returncode == 0, f"{made.stdout}\n{made.stderr}"
        yield Shop(folder, env, made.stdout)
    finally:
        stopped = started.run("services", "down")
    assert stopped.returncode == 0, stopped.stderr
