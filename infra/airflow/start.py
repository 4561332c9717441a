"""`airflow standalone` as we want it: our pools made first, and no log servers that listen on every address.

Runs in Airflow's environment: `python start.py POOLS.json`. Task logs are read from the shared folder instead.
"""

import json
import signal
import sys
from pathlib import Path
from typing import Any

from airflow.cli.commands import standalone_command
from airflow.models.pool import Pool

SERVING_LOGS = ("scheduler", "triggerer")


class SubCommand(standalone_command.SubCommand):
    """A part of standalone that keeps its logs to itself."""

    def __init__(self, parent: Any, name: str, command: list[str], env: dict[str, str]) -> None:
        quiet = ["--skip-serve-logs"] if name in SERVING_LOGS else []
        super().__init__(parent, name, [*command, *quiet], env)


class Standalone(standalone_command.StandaloneCommand):
    """Standalone with our pools."""

    def __init__(self, pools: Path) -> None:
        super().__init__()
        self.pools = pools

    def initialize_database(self) -> None:
        """Make the tables as ever, then the pools: one writer a table, before any task can run."""
        super().initialize_database()
        for name, pool in json.loads(self.pools.read_text(encoding="utf-8")).items():
            Pool.create_or_update_pool(name, pool["slots"], pool["description"], pool["include_deferred"])


def main() -> None:
    """Run until told to end."""
    standalone_command.SubCommand = SubCommand  # type: ignore[misc]
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # standalone ends its parts on an interrupt only
    Standalone(Path(sys.argv[1])).run()


if __name__ == "__main__":
    main()
