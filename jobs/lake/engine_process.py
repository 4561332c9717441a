"""The engine of small runs has a process of its own: memory that it never gives back ends with it (docs/adr/0028).

The process is kept for the runs that follow, for functions and kernels are loaded there once; it listens only while a
run is at work. It ends with the one that started it, however that ends: it reads its orders from a pipe.
"""

import atexit
import json
import logging
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import psutil

from jobs.lake.errors import ReelhouseError, TooMuchError

MOST_KEPT = 2**30  # bytes; some 600 MB after a hundred batches of 1,000 records
STOP = "stop"
PORT, ERROR = "port", "error"  # of an answer
ANSWER_SECONDS = 60.0  # a cold start takes one
END_SECONDS = 10.0
DEATH_SECONDS = 0.2  # from what a client sees of a death until the system tells of it
# What a terminal or a service's manager sends to all: the one that started the engine says when a run ends.
NOT_FOR_IT = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
SOONER = "500"  # of a thousand: how much sooner than its like the system takes it for want of memory
log = logging.getLogger(__name__)


class EngineDiedError(TooMuchError):
    """The engine's process ended by itself, or does not answer; what it was at is left to Spark."""


@dataclass
class EngineProcess:
    """The process, started at first need, and again after one that ended."""

    most_kept: int = MOST_KEPT
    process: "subprocess.Popen[str] | None" = None

    @contextmanager
    def listening(self, environment: Mapping[str, str]) -> Iterator[int]:
        """A server with these variables, and the port where it listens on loopback.

        After a failure the process is killed, so that nothing it was at goes on; an error of ours is no failure of its
        own, and comes when it is at nothing. EngineDiedError where it died of itself.
        """
        if not self.is_alive:
            self.end()
            self.process = _started()
        port = int(self._ask(json.dumps(dict(environment)))[PORT])
        try:
            yield port
        except ReelhouseError:
            self._rest()
            raise
        except BaseException as failed:
            code = self._kill()
            if code is not None and isinstance(failed, Exception):
                raise _death(code) from failed
            raise
        self._rest()

    @property
    def is_alive(self) -> bool:
        """Whether there is a process, and it has not ended."""
        return self.process is not None and self.process.poll() is None

    def end(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            _close(self.process)

    def _rest(self) -> None:
        """Have it listen no more; end it when it has grown. Whatever it says to that, the run is done."""
        try:
            self._ask(STOP)
        except EngineDiedError as died:
            log.warning("the engine of small runs, after its work: %s", died)
        else:
            if self.process is not None and held_by(self.process.pid) > self.most_kept:
                self.end()

    def _ask(self, order: str) -> dict[str, Any]:
        """The answer to an order; the process is killed when it has none, so that no answer is taken for another's."""
        process = self.process
        try:
            answer = _answer(process, order) if process else {}
        except BaseException:
            self._kill()
            raise
        if not answer:
            raise _death(self._kill())
        if ERROR in answer:
            raise TooMuchError(answer[ERROR])
        return answer

    def _kill(self) -> int | None:
        """How the process had ended by itself; null when it had to be killed."""
        code = None
        if self.process is not None:
            with suppress(subprocess.TimeoutExpired):
                code = self.process.wait(DEATH_SECONDS)
            self.process.kill()
            _close(self.process)
        return code


def _started() -> "subprocess.Popen[str]":
    """A new process, which finds the modules that this one finds and no others, for functions reach it by name."""
    program = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import main; main()"
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOT_FOR_IT)  # it is born with what is blocked here
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _answer(process: "subprocess.Popen[str]", order: str) -> dict[str, Any]:
    """What the process says to an order; nothing when it says nothing, or takes too long."""
    with suppress(BrokenPipeError):
        print(order, file=process.stdin, flush=True)
        if process.stdout and select.select([process.stdout], [], [], ANSWER_SECONDS)[0]:
            return dict(json.loads(process.stdout.readline() or "{}"))
    return {}


def _death(code: int | None) -> EngineDiedError:
    if code is None:
        return EngineDiedError("its process gave no answer, and was ended")
    memory = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
    return EngineDiedError(f"its process ended with {code}{memory}")


def held_by(pid: int) -> int:
    """Bytes of memory that a process holds, those put out to disk too; none of one that has ended."""
    with suppress(psutil.NoSuchProcess):
        told = psutil.Process(pid).memory_full_info()
        return int(told.rss) + int(getattr(told, "swap", 0))
    return 0


def _close(process: "subprocess.Popen[str]") -> None:
    """Let it read that there are no more orders, and see it end."""
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


ENGINE = EngineProcess()
atexit.register(ENGINE.end)


def serve(orders: TextIO, answers: TextIO) -> None:
    """One server after the other, as `orders` ask: a line of variables begins one, a further line ends it."""
    for order in iter(orders.readline, ""):
        try:
            server, port = _server(json.loads(order))
        except (ImportError, OSError, RuntimeError, ValueError) as failed:
            print(json.dumps({ERROR: f"{type(failed).__name__}: {failed}"}), file=answers, flush=True)
            continue
        print(json.dumps({PORT: port}), file=answers, flush=True)
        if not orders.readline():
            return
        server.stop()
        print(json.dumps({STOP: port}), file=answers, flush=True)


def _server(variables: dict[str, str]) -> tuple[Any, int]:
    from pysail.spark import SparkConnectServer

    os.environ.update(variables)
    server = SparkConnectServer(ip="127.0.0.1", port=0)
    server.start(background=True)
    place = server.listening_address
    if place is None:
        raise OSError("it does not listen")
    return server, place[1]


def main() -> None:
    """Serve whoever started this process until the pipe ends, whatever is at work then."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(SOONER)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a function prints is no answer
    sys.stdout = sys.stderr
    try:
        serve(sys.stdin, answers)
    finally:
        os._exit(0)
