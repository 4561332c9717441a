"""Time contenders fairly: warm-up apart, order rotated, answers compared, the whole process tree measured."""

import gc
import statistics
import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psutil
from rich.console import Console

SAMPLE_SECONDS = 0.1  # looking more often would itself cost a noticeable share of a core
MEBIBYTE = 1024 * 1024


class DifferError(AssertionError):
    """Two contenders that should have done the same work gave different answers: no time counts."""


@dataclass(frozen=True)
class Contender:
    """One way to do the work; its answer is comparable with ==, or None where there is none to compare.

    What `run` returns is the answer, unless `answer` reads it from what was written. `before` and `answer` are not
    timed. `aside` names processes (pids) that only happen to be there, such as another contender's warm JVM. Where a
    run takes as long as it is let, `seconds` says afterwards what counts instead of the wall time, such as a latency.
    """

    name: str
    run: Callable[[], Any]
    role: str = "peer"  # ours | peer | limit
    note: str = ""
    before: Callable[[], object] | None = None
    answer: Callable[[], Any] | None = None
    aside: Callable[[], Collection[int]] = tuple
    seconds: Callable[[], float] | None = None


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


def race(contenders: Sequence[Contender], *, repeats: int, console: Console, warm_ups: int = 1) -> list[Outcome]:
    """Run each contender `repeats` times after the warm-up, in rotated order.

    All answers are compared after the warm-up, before any time counts, and again after each turn.
    """
    outcomes = {c.name: Outcome(c.name, c.role, c.note) for c in contenders}
    agreed: dict[str, Any] = {}
    for turn in range(warm_ups + repeats):
        answers: dict[str, Any] = {}
        for contender in rotated(contenders, turn):
            answers[contender.name], figures = measure(contender)
            label = "warm-up" if turn < warm_ups else f"run {turn - warm_ups + 1}"
            console.print(f"  [dim]{label:8}[/] {contender.name:44} {figures[0]:8.2f} s")
            if turn >= warm_ups:
                record(outcomes[contender.name], figures)
        agreed = {"the warm-up": agree(agreed | answers)}
    return list(outcomes.values())


def rotated(contenders: Sequence[Contender], turn: int) -> list[Contender]:
    """Another one begins each turn, so that nobody always runs in the wake of the same neighbour."""
    shift = turn % len(contenders)
    return [*contenders[shift:], *contenders[:shift]]


def measure(contender: Contender) -> tuple[Any, tuple[float, float, float]]:
    """Run once: the answer, and (wall seconds, CPU seconds, peak MiB) of this process and all below it."""
    if contender.before:
        contender.before()
    gc.collect()  # nobody pays for what the one before left behind
    aside = frozenset(contender.aside())
    watch = Watch(aside)
    watch.start()
    cpu, start = tree_cpu(aside), time.perf_counter()
    answer = contender.run()
    wall, used = time.perf_counter() - start, tree_cpu(aside) - cpu
    peak = watch.stop()
    figures = (contender.seconds() if contender.seconds else wall, used, peak)
    return contender.answer() if contender.answer else answer, figures


def record(outcome: Outcome, figures: tuple[float, float, float]) -> None:
    """Keep one repetition."""
    outcome.wall.append(figures[0])
    outcome.cpu.append(figures[1])
    outcome.peak_mib.append(figures[2])


def agree(answers: dict[str, Any]) -> Any:
    """The one answer of all who have one; DifferError, which names the odd ones, when there are several."""
    given = {name: answer for name, answer in answers.items() if answer is not None}
    if not given:
        return None
    name, first = next(iter(given.items()))
    odd = {other: answer for other, answer in given.items() if answer != first}
    if odd:
        raise DifferError(f"{name} says {first}; " + "; ".join(f"{other} says {said}" for other, said in odd.items()))
    return first


def tree(aside: Collection[int] = ()) -> list[psutil.Process]:
    """This process and everything below it, less those that stand aside."""
    me = psutil.Process()
    return [each for each in (me, *me.children(recursive=True)) if each.pid not in aside]


def tree_cpu(aside: Collection[int] = ()) -> float:
    """CPU seconds used so far by the tree, ended children included."""
    total = 0.0
    for process in tree(aside):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def family_of(pid: int) -> frozenset[int]:
    """A process and all below it, for those who want it to stand aside."""
    try:
        root = psutil.Process(pid)
        return frozenset([pid, *(child.pid for child in root.children(recursive=True))])
    except psutil.NoSuchProcess:
        return frozenset()


class Watch(threading.Thread):
    """Samples the resident memory of the tree and keeps the peak; a page that two processes share counts twice.

    A process counts from the second look on: a JVM that starts `chmod` is for an instant there twice in its full size.
    """

    def __init__(self, aside: Collection[int] = ()) -> None:
        super().__init__(daemon=True)
        self._done = threading.Event()
        self._aside = aside
        self._peak = 0.0
        self._known = {process.pid for process in tree(aside)}

    def run(self) -> None:
        """Sample until stopped."""
        while not self._done.wait(SAMPLE_SECONDS):
            self._peak = max(self._peak, self._resident())

    def stop(self) -> float:
        """End sampling and return the peak in MiB."""
        self._done.set()
        self.join()
        return max(self._peak, self._resident())

    def _resident(self) -> float:
        total, seen = 0, set()
        for process in tree(self._aside):
            seen.add(process.pid)
            try:
                total += process.memory_info().rss if process.pid in self._known else 0
            except psutil.NoSuchProcess:
                continue
        self._known = seen
        return total / MEBIBYTE
