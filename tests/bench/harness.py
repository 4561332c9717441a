"""Time contenders fairly: warm-up apart, order rotated, answers compared, the whole process tree measured."""

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
from rich.console import Console

SAMPLE_SECONDS = 0.05
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Contender:
    """One way to do the work. `run` returns an answer comparable with ==, or None where there is none to compare."""

    name: str
    run: Callable[[], Any]
    role: str = "peer"  # ours | peer | limit
    note: str = ""
    before: Callable[[], None] | None = None  # done before each run, not timed


@dataclass
class Outcome:
    """What was measured of one contender; seconds and MiB, one entry a repetition."""

    name: str
    role: str
    note: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mib: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Median wall seconds."""
        return statistics.median(self.wall)

    def as_row(self, ours: float) -> dict[str, Any]:
        """A row of the report; `ratio` is ours ÷ this one's time, below 1 where ours is faster."""
        return {
            **{key: value for key, value in asdict(self).items() if key in {"name", "role", "note"}},
            "wall_seconds": round(self.median, 3),
            "wall_spread": [round(min(self.wall), 3), round(max(self.wall), 3)],
            "cpu_seconds": round(statistics.median(self.cpu), 2),
            "peak_mib": round(max(self.peak_mib)),
            "ours_ratio": round(ours / self.median, 2),
        }


def race(contenders: Sequence[Contender], *, repeats: int, console: Console) -> list[Outcome]:
    """Run each contender `repeats` times after a warm-up, in rotated order; differing answers are an AssertionError."""
    outcomes = {c.name: Outcome(c.name, c.role, c.note) for c in contenders}
    answers: dict[str, Any] = {}
    for turn in range(repeats + 1):
        shift = turn % len(contenders)
        for contender in [*contenders[shift:], *contenders[:shift]]:
            answer, figures = measure(contender)
            label = "warm-up" if turn == 0 else f"run {turn}"
            console.print(f"  [dim]{label:8}[/] {contender.name:44} {figures[0]:8.2f} s")
            if turn == 0:
                answers[contender.name] = answer
                continue
            record(outcomes[contender.name], figures)
    agree(answers)
    return list(outcomes.values())


def measure(contender: Contender) -> tuple[Any, tuple[float, float, float]]:
    """Run once: the answer, and (wall seconds, CPU seconds, peak MiB) of this process and all its children."""
    if contender.before:
        contender.before()
    watch = Watch()
    watch.start()
    cpu, start = tree_cpu(), time.perf_counter()
    answer = contender.run()
    wall, used = time.perf_counter() - start, tree_cpu() - cpu
    return answer, (wall, used, watch.stop())


def record(outcome: Outcome, figures: tuple[float, float, float]) -> None:
    """Keep one repetition."""
    outcome.wall.append(figures[0])
    outcome.cpu.append(figures[1])
    outcome.peak_mib.append(figures[2])


def agree(answers: dict[str, Any]) -> None:
    """All who have an answer have the same one, or no time counts."""
    given = {name: answer for name, answer in answers.items() if answer is not None}
    if given:
        name, first = next(iter(given.items()))
        differing = {other: answer for other, answer in given.items() if answer != first}
        assert not differing, f"{name} says {first}; {differing}"


def tree() -> list[psutil.Process]:
    """This process and everything below it."""
    me = psutil.Process()
    return [me, *me.children(recursive=True)]


def tree_cpu() -> float:
    """CPU seconds used so far by the tree, ended children included."""
    total = 0.0
    for process in tree():
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


class Watch(threading.Thread):
    """Samples the resident memory of the tree and keeps the peak."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._peak = 0.0

    def run(self) -> None:
        """Sample until stopped."""
        while not self._done.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, self._resident())

    def stop(self) -> float:
        """End sampling and return the peak in MiB."""
        self._done.set()
        self.join()
        return max(self._peak, self._resident())

    @staticmethod
    def _resident() -> float:
        total = 0
        for process in tree():
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total / MEBIBYTE
