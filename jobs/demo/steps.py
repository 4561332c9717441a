"""Run the platform's own commands as named steps: each has a log file, and a failure names step, log and remedy."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from jobs.lake.errors import ReelhouseError, ServiceError

LAST_LINES = 3


@dataclass(frozen=True)
class Steps:
    """Runs steps for people to watch; logs go to `folder`."""

    console: Console
    folder: Path

    def run(self, name: str, *arguments: str, remedy: str, allow: Sequence[int] = (0,)) -> str:
        """Run `reelhouse ARGUMENTS…` to its end and return what it printed; a code not in `allow` is an error."""
        return self.finish(self.start(name, *arguments), remedy=remedy, allow=allow)

    def start(self, name: str, *arguments: str) -> "Running":
        """Start a step beside others."""
        self.folder.mkdir(parents=True, exist_ok=True)
        log = self.folder / f"{name.replace(' ', '-')}.log"
        with log.open("w", encoding="utf-8") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "jobs", *arguments],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "COLUMNS": str(self.console.width)},
            )
        return Running(name, arguments, log, process, time.monotonic())

    @contextmanager
    def beside(self, name: str, *arguments: str, remedy: str) -> Iterator[None]:
        """Let a step run beside what is done meanwhile; it ends first when that fails."""
        step = self.start(name, *arguments)
        try:
            yield
        except BaseException:
            step.process.terminate()
            raise
        self.finish(step, remedy=remedy)

    def finish(self, step: "Running", *, remedy: str, allow: Sequence[int] = (0,)) -> str:
        """Wait for a started step, saying how long it takes."""
        try:
            with self.console.status(f"{step.name} …"):
                printed, _ = step.process.communicate()
        except BaseException:  # a person's Ctrl-C too: nothing we started may outlive us
            step.process.terminate()
            raise
        seconds = time.monotonic() - step.started
        if step.process.returncode not in allow:
            raise step.failure(printed, remedy)
        self.console.print(f"[green]✓[/] {step.name} [dim]{seconds:.0f} s · reelhouse {' '.join(step.arguments)}[/]")
        return printed


@dataclass(frozen=True)
class Running:
    """A step that was started."""

    name: str
    arguments: tuple[str, ...]
    log: Path
    process: subprocess.Popen[str]
    started: float

    def failure(self, printed: str, remedy: str) -> ReelhouseError:
        """The error a person can act on: step, last words, log, remedy."""
        words = self.log.read_text(encoding="utf-8", errors="replace").strip() or printed.strip()
        last = " / ".join(words.splitlines()[-LAST_LINES:])
        return ServiceError(
            f"step {self.name!r} ended with code {self.process.returncode}: {last}. Log: {self.log}. Remedy: {remedy}"
        )
