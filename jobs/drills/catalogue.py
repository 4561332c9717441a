"""The drills there are, and how one is played."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.drills import airflow, arrivals, interruptions, outages, publishing, replaying, storage
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch, warm_spark
from jobs.lake.errors import LeaseError, UsageError

Play = Callable[[Scratch, Report], None]


@dataclass(frozen=True)
class Drill:
    """One fault that is made on purpose; `hazards` are those of docs/reliability.md that it shows survived."""

    name: str
    hazards: str
    play: Play

    @property
    def story(self) -> str:
        """What happens, in a sentence."""
        return (self.play.__doc__ or "").strip()


DRILLS = {
    drill.name: drill
    for drill in (
        Drill("kill-after-write", "R1 R2", interruptions.kill_after_write),
        Drill("poison-batch", "P1–P11", arrivals.poison_batch),
        Drill("sent-twice", "P7", arrivals.sent_twice),
        Drill("quarantine-replay", "P5 P11", replaying.quarantine_replay),
        Drill("hour-missing", "P8", arrivals.hour_missing),
        Drill("clock-skew", "P6", arrivals.clock_skew),
        Drill("checkpoint-lost", "R1 R4 R5", interruptions.checkpoint_lost),
        Drill("topic-re-created", "R6", interruptions.topic_re_created),
        Drill("retention-gap", "R7", interruptions.retention_gap),
        Drill("two-ingests-at-once", "R9", interruptions.two_ingests_at_once),
        Drill("broker-restart", "R10", outages.broker_restart),
        Drill("disk-full", "S1", outages.disk_full),
        Drill("corrupt-log", "S2", storage.corrupt_log),
        Drill("release-killed", "R11", publishing.release_killed),
        Drill("double-backfill", "R12", publishing.double_backfill),
        Drill("airflow-killed", "R9 R12", airflow.airflow_killed),
    )
}


def chosen(names: Sequence[str]) -> list[Drill]:
    """The drills of these names, or all; a UsageError lists those there are."""
    unknown = [name for name in names if name not in DRILLS]
    if unknown:
        raise UsageError(f"no drill called {unknown[0]!r}; there are {', '.join(DRILLS)}")
    return [DRILLS[name] for name in names or DRILLS]


def play_all(drills: Sequence[Drill], home: Path, told: Callable[[str], None]) -> Iterator[dict[str, Any]]:
    """Play drills one after the other, each on a lake and a broker of its own under `home`; their records (Report)."""
    with alone(home):
        told("starting Spark for the drills")
        with warm_spark(home / "spark") as server:
            for drill in drills:
                yield play(drill, Scratch(home / drill.name, server), told)
        shutil.rmtree(home / "spark", ignore_errors=True)


@contextmanager
def alone(home: Path) -> Iterator[None]:
    """One run of drills at a time in a folder; LeaseError for the second. The lock ends with its process."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LeaseError(f"another run of drills is at work in {home}; wait for it") from None
        yield


def play(drill: Drill, scratch: Scratch, told: Callable[[str], None]) -> dict[str, Any]:
    """Play one drill; its lake stays for a look if anything was not as expected."""
    began, report = time.monotonic(), Report(drill.name, told)
    told(f"{drill.name}: {drill.story}")
    try:
        with scratch.set_up():
            drill.play(scratch, report)
    except Exception as error:  # noqa: BLE001  whatever breaks is what the drill has to tell, a broker that is not up too
        report.failed(error)
    kept = "" if report.is_passed else str(scratch.folder)
    if report.is_passed:
        shutil.rmtree(scratch.folder, ignore_errors=True)
    return report.row(time.monotonic() - began, kept)
