"""The one operator: run a `reelhouse` command in a process group of its own and carry its result into Airflow."""

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from dags.lib.failures import LEASE_HELD, failure_of

ROOT = Path(__file__).resolve().parents[2]
COMMAND = os.environ.get("REELHOUSE_COMMAND", str(ROOT / ".venv" / "bin" / "reelhouse"))
PAGE = re.compile(r"docs/runbooks/[\w-]+\.md")
SECONDS_TO_END = 15
LIFELINE = "REELHOUSE_LIFELINE"  # jobs/lake/lifeline.py reads it


class ReelhouseOperator(BaseOperator):
    """Run `reelhouse ARGUMENTS… --run-id … --at … --result FILE`; its JSON result goes on every asset event.

    Skips when the command found nothing to do (or, with `skip_unless_unreleased`, when nothing waits for release), so
    no asset event is sent. A killed task ends its whole process group; one that is killed outright, and can end nothing
    any more, leaves a broken pipe, with which the command ends itself.
    """

    template_fields: Sequence[str] = ("arguments",)
    ui_color = "#d5e8d4"

    def __init__(self, *, arguments: Sequence[str], skip_unless_unreleased: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.arguments = list(arguments)
        self.skip_unless_unreleased = skip_unless_unreleased
        self._process: subprocess.Popen[str] | None = None

    def execute(self, context: Any) -> dict[str, Any]:
        """Run the command to its end and judge it by exit code and result."""
        with tempfile.TemporaryDirectory(prefix="reelhouse-") as folder:
            result_file = Path(folder) / "result.json"
            code = self._run([COMMAND, *self.arguments, *self._marks(context), "--result", str(result_file)])
            result = json.loads(result_file.read_text(encoding="utf-8")) if result_file.exists() else {}
        self._judge(code, result)
        self._announce(context, result)
        return result

    def on_kill(self) -> None:
        """End the command and all it started: first kindly, then not."""
        if self._process is None or self._process.poll() is not None:
            return
        os.killpg(self._process.pid, signal.SIGTERM)
        try:
            self._process.wait(SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)

    @staticmethod
    def _marks(context: Any) -> list[str]:
        """The run's name and time are Airflow's to give; jobs have no clock of their own."""
        run = context["dag_run"]
        return ["--run-id", f"{run.dag_id}:{run.run_id}", "--at", run.run_after.isoformat()]

    def _run(self, command: list[str]) -> int:
        self.log.info("running %s", " ".join(command))
        theirs, ours = os.pipe()
        try:
            self._process = self._started(command, theirs)
            assert self._process.stdout is not None  # PIPE was asked for
            for line in self._process.stdout:
                self.log.info("%s", line.rstrip())
            return self._process.wait()
        finally:
            os.close(ours)

    @staticmethod
    def _started(command: list[str], lifeline: int) -> "subprocess.Popen[str]":
        """The command in a process group of its own, which alone has this end of the pipe then."""
        try:
            return subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,
                pass_fds=[lifeline],
                cwd=ROOT,
                env={**os.environ, "COLUMNS": "140", "NO_COLOR": "1", LIFELINE: str(lifeline)},
            )
        finally:
            os.close(lifeline)

    def _judge(self, code: int, result: dict[str, Any]) -> None:
        message = self._told(code, result)
        if code == LEASE_HELD:
            raise AirflowSkipException(f"another run is at work: {message}")
        if code:
            raise failure_of(code, str(result.get("error", "")))(message)
        if self.skip_unless_unreleased and not result.get("unreleased"):
            raise AirflowSkipException(f"nothing waits for release: {message}")
        if not self.skip_unless_unreleased and result.get("outcome") == "nothing_to_do":
            raise AirflowSkipException(message)

    def _told(self, code: int, result: dict[str, Any]) -> str:
        """How the command says that it ended; a failure that names no page has that of the task."""
        message = str(result.get("message") or f"{' '.join(self.arguments)} ended with code {code}; its log is above")
        page = PAGE.search(self.doc_md or "")
        return f"{message}; see {page[0]}" if code and page and not PAGE.search(message) else message

    def _announce(self, context: Any, result: dict[str, Any]) -> None:
        by_table = {entry["table"]: entry for entry in result.get("tables", [])}
        for outlet in self.outlets:
            context["outlet_events"][outlet].extra = {
                "run_id": self._marks(context)[1],
                **by_table.get(outlet.name, {}),
            }
