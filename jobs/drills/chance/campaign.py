"""Many seeds one after the other: each played on a lake of its own, its result kept as a line, a failing one shrunk."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pyspark.sql import SparkSession

from jobs.drills.catalogue import alone
from jobs.drills.chance.playing import Play
from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.chance.schedule import Schedule, draw
from jobs.drills.chance.shrinking import shrink
from jobs.drills.chance.verdict import Counts, compare, judge, settle_up
from jobs.drills.report import Report
from jobs.lake.session import open_session
from jobs.lake.settings import Settings

RESULTS = "random.jsonl"
MEMORY_MB = 3072
Told = Callable[[str], None]
Row = dict[str, Any]
NOTHING = Counts(0, 0, 0, 0)


@dataclass(frozen=True)
class Campaign:
    """Schedules played under `home` on one warm Spark; results of earlier runs count, if the seed means the same."""

    home: Path
    spark: SparkSession
    told: Told

    def run(self, seeds: Iterable[int]) -> Iterator[Row]:
        """Play the seeds that have not passed before; a row for each, the old ones too."""
        known = {row["seed"]: row for row in self.results()}
        for seed in seeds:
            schedule = draw(seed)
            before = known.get(seed)
            if before and before["is_passed"] and before["schedule"] == str(schedule):
                yield before
                continue
            yield self.kept(self.one(schedule) | {"seed": seed})

    def one(self, schedule: Schedule) -> Row:
        """Play a schedule and, if it fails, look for the fewest of its steps that do."""
        began = time.monotonic()
        self.told(f"family {schedule.family}: {schedule}")
        report, counts = self.played(schedule, self.told)
        smallest = None if report.is_passed else self.shrunk(schedule)
        return {
            "schedule": str(schedule),
            "family": schedule.family,
            "is_passed": report.is_passed,
            "seconds": round(time.monotonic() - began, 1),
            **asdict(counts),
            "faults": dict(Counter(schedule.faults)),
            "unmet": [asdict(finding) for finding in report.findings if not finding.is_met],
            "smallest": smallest and str(smallest),
        }

    def shrunk(self, failing: Schedule) -> Schedule:
        """The fewest steps that still fail, told with the command that plays them."""
        self.told("failed; looking for the fewest steps that do")
        smallest = shrink(failing, lambda fewer: not self.played(fewer, lambda words: None)[0].is_passed)
        self.told(f"FAILED: reelhouse drill random --family {smallest.family} --steps '{smallest}'")
        return smallest

    def played(self, schedule: Schedule, told: Told) -> tuple[Report, Counts]:
        """Play a schedule on a new lake, which is thrown away afterwards."""
        # A folder of its own each time: Delta remembers what it read at a path.
        report, folder = Report("random", told), Path(mkdtemp(prefix="random-", dir=self.home))
        counts = rehearse(Sandbox(folder, self.spark, schedule.family), schedule, report)
        shutil.rmtree(folder, ignore_errors=True)
        return report, counts

    def results(self) -> list[Row]:
        """The results of earlier runs, the newest of a seed last."""
        file = self.home / RESULTS
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        return [json.loads(line) for line in lines]

    def kept(self, row: Row) -> Row:
        """Keep a result for the next run."""
        with (self.home / RESULTS).open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(row, ensure_ascii=False) + "\n")
        return row


def rehearse(sandbox: Sandbox, schedule: Schedule, report: Report) -> Counts:
    """Play a schedule on a sandbox to its verdict; whatever breaks is in the report."""
    try:
        Play(sandbox, report).all(schedule)
        settle_up(sandbox)
        counts = judge(sandbox, report)
        compare(sandbox, report)
    except Exception as error:  # noqa: BLE001  whatever breaks is what the drill has to tell
        report.failed(error)
        return NOTHING
    return counts


def play_seeds(home: Path, seeds: Iterable[int], told: Told) -> Iterator[Row]:
    """Play seeds on a Spark of this process; a row for each."""
    with alone(home):
        yield from Campaign(home, warm(home), told).run(seeds)


def play_steps(home: Path, schedule: Schedule, told: Told) -> Row:
    """Play one schedule; its row has no seed."""
    with alone(home):
        return Campaign(home, warm(home), told).one(schedule) | {"seed": None}


def warm(home: Path) -> SparkSession:
    """The Spark of this process."""
    return open_session(
        Settings(home=home, spark_remote="", spark_master="local[2]", spark_memory_mb=MEMORY_MB), "reelhouse drill"
    )


def added_up(rows: Iterable[Row]) -> tuple[Row, list[Row]]:
    """The sums over all runs, and how often each fault was made."""
    total: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for row in rows:
        total.update({name: row[name] for name in ("sent", "lost", "doubled", "unaccounted", "seconds")})
        total.update(runs=1, failed=int(not row["is_passed"]))
        faults.update(row["faults"])
    names = ("runs", "failed", "sent", "lost", "doubled", "unaccounted", "seconds")
    sums = {name: round(total[name]) for name in names}
    return sums, [{"fault": name, "times": times} for name, times in sorted(faults.items())]
