"""Runs: how a command ended, for the next program (`--result FILE`), the ledger (`ops.runs`) and lineage."""

import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jobs.lake.clock import now
from jobs.lake.failures import failed
from jobs.lake.ledger import Ledger
from jobs.lake.lineage.declared import Declared, declared
from jobs.lake.lineage.telling import tell

TABLE = "ops.runs"
log = logging.getLogger(__name__)


def report(
    ledger: Ledger, command: str, target: str, run_id: str, result: Path | None, work: Callable[[], Mapping[str, Any]],
    moves: Declared | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Do `work` and tell of it; write its result or failure, whatever it was, to the file; book it.

    What had nothing to do is not booked.

    `moves` is what it reads and writes, where command and target do not say so.
    """
    moves = moves or declared(command, target, ledger.settings.schemas_dir)
    started_at = now()
    facts = {"command": command, "target": target, "run_id": run_id}
    try:
        ended: dict[str, Any] = {**facts, **tell(ledger, moves, command, run_id, started_at, work)}
    except Exception as error:
        ending = failed(error, command)
        write_result(result, {**facts, **ending})
        _book_failure(ledger, facts, started_at, ending["message"])
        raise
    write_result(result, ended)
    if ended["outcome"] != "nothing_to_do":
        book(ledger, facts, started_at, str(ended["outcome"]), str(ended.get("message", "")))
    return ended


def _book_failure(ledger: Ledger, facts: Mapping[str, str], started_at: datetime, told: str) -> None:
    """Book a failure, unless what broke the run has broken the ledger too: the run's own error is raised then."""
    try:
        book(ledger, facts, started_at, "failed", told)
    except Exception as unbooked:  # noqa: BLE001 (its words may quote rows, and the run's error is about to go on)
        log.warning("%s: the failure is not booked: %s", TABLE, type(unbooked).__name__)


def write_result(file: Path | None, result: Mapping[str, Any]) -> None:
    """The result as JSON, if somebody asked for it."""
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(result, ensure_ascii=False, default=str, indent=1) + "\n", encoding="utf-8")


def book(ledger: Ledger, facts: Mapping[str, str], started_at: datetime, outcome: str, detail: str) -> None:
    """Book in the ledger how a command (`facts`: run_id, command, target) ended."""
    row = {"run_id": facts["run_id"], "command": facts["command"], "table_or_family": facts["target"]}
    times = {"started_at": started_at, "finished_at": now()}
    ledger.append(TABLE, [{**row, **times, "outcome": outcome, "detail": detail}])
