"""The engine of small runs has a process of its own: memory that it never gives back ends with it (docs/adr/0028).

The process is kept for the runs that follow, for functions and kernels are loaded there once; it listens only while a
run is at work. It ends with the one that started it, however that ends: it reads its orders from a pipe.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import psutil

from jobs.lake.errors import TooMuchError

MOST_KEPT = 2**30  # bytes; some 600 MB after a hundred batches of 1,000 records
STOP = "stop"
PATIENCE_SECONDS = 10.0
DEATH_SECONDS = 0.2  # from what a client sees of a death until the system tells of it


@dataclass
class EngineProcess:
    """The process, started at first need, and again after one that ended."""

    most_kept: int = MOST_KEPT
    process: "subprocess.Popen[str] | None" = None

    @contextmanager
    def listening(self, environment: Mapping[str, str]) -> Iterator[int]:
        """A server with these variables, and the port where it listens on loopback.

        After a failure the process is killed, so that nothing it was at goes on. TooMuchError where it died of itself.
        """
        if self.process is None or not self.is_alive:
            self.process = _started()
        port = self._ask(self.process, json.dumps(dict(environment)))
        try:
            yield int(port)
        except BaseException as failed:
            code = self._kill(self.process)
            if code is not None and isinstance(failed, Exception):
                raise _death(code) from failed
            raise
        self._ask(self.process, STOP)
        if _resident(self.process) > self.most_kept:
            self.end()

    @property
    def is_alive(self) -> bool:
        """Whether there is a process, and it has not ended."""
        return self.process is not None and self.process.poll() is None

    def end(self) -> None:
        """End the process, if there is one."""
        if self.process is not None:
            _close(self.process)

    def _ask(self, process: "subprocess.Popen[str]", order: str) -> str:
        """The answer to an order."""
        answer = ""
        with suppress(BrokenPipeError):
            print(order, file=process.stdin, flush=True)
            answer = process.stdout.readline() if process.stdout else ""
        if not answer:
            raise _death(self._kill(process))
        return answer

    @staticmethod
    def _kill(process: "subprocess.Popen[str]") -> int | None:
        """How the process had ended by itself; null when it had to be killed."""
        code = None
        with suppress(subprocess.TimeoutExpired):
            code = process.wait(DEATH_SECONDS)
        process.kill()
        _close(process)
        return code


def _started() -> "subprocess.Popen[str]":
    """A new process, which finds the modules that this one finds, for functions reach it by their names."""
    places = os.pathsep.join(place or str(Path.cwd()) for place in sys.path)
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": places},
    )


def _death(code: int | None) -> TooMuchError:
    return TooMuchError(f"its process ended with {code}, perhaps for want of memory")


def _resident(process: "subprocess.Popen[str]") -> int:
    """Bytes of memory; none of one that has ended."""
    with suppress(psutil.NoSuchProcess):
        return int(psutil.Process(process.pid).memory_info().rss)
    return 0


def _close(process: "subprocess.Popen[str]") -> None:
    """Let it read that there are no more orders, and see it end."""
    for pipe in (process.stdin, process.stdout):
        with suppress(BrokenPipeError):
            if pipe:
                pipe.close()
    try:
        process.wait(PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


ENGINE = EngineProcess()
atexit.register(ENGINE.end)


def serve(orders: TextIO, answers: TextIO) -> None:
    """One server after the other, as `orders` ask: a line of variables begins one, a further line ends it."""
    from pysail.spark import SparkConnectServer

    for order in iter(orders.readline, ""):
        os.environ.update(json.loads(order))
        server = SparkConnectServer(ip="127.0.0.1", port=0)
        server.start(background=True)
        place = server.listening_address
        print(place[1] if place else "", file=answers, flush=True)
        if not orders.readline():
            return
        server.stop()
        print(STOP, file=answers, flush=True)


def main() -> None:
    """Serve whoever started this process until the pipe ends, whatever is at work then.

    Signals are for that one: what a terminal or a service's manager sends to all must not end a batch in its middle.
    """
    # Ignoring them would not do, for the engine hears them itself; its threads do as this one does.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # what a function prints is no answer
        serve(sys.stdin, answers)
        os._exit(0)


if __name__ == "__main__":
    main()
