"""Many seeds one after the other: each played on a lake of its own, its result kept as a line, a failing one shrunk."""

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import mkdtemp

from pyspark.sql import SparkSession

from jobs.drills.catalogue import alone
from jobs.drills.chance.code import Code, code_of
from jobs.drills.chance.playing import Play
from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.chance.schedule import Schedule, draw
from jobs.drills.chance.shrinking import shrink
from jobs.drills.chance.sums import COUNTED, Row
from jobs.drills.chance.verdict import Counts, compare, judge, settle_up
from jobs.drills.report import Report
from jobs.lake.clock import now
from jobs.lake.session import open_session
from jobs.lake.settings import Settings

RESULTS = "random.jsonl"
MEMORY_MB = 3072
Told = Callable[[str], None]


@dataclass(frozen=True)
class Played:
    """What came of a schedule: what was found, the counts if it went through to its verdict, and what happened."""

    report: Report
    counts: Counts | None
    happened: Counter[str]
    missed: Counter[str]

    def fails_like(self, other: "Played") -> bool:
        """Whether it fails too, at the verdict or before one: what only breaks for want of steps is another failure."""
        return not self.report.is_passed and (self.counts is None) == (other.counts is None)


@dataclass(frozen=True)
class Campaign:
    """Schedules played under `home` on one warm Spark; what passed before counts, if seed and code mean the same."""

    home: Path
    spark: SparkSession
    told: Told
    code: Code
    is_of_any_code: bool = False

    def run(self, seeds: Iterable[int]) -> Iterator[Row]:
        """Play the seeds that have not passed before; a row for each, the old ones too."""
        drawn = {seed: draw(seed) for seed in seeds}
        known = self.known(drawn)
        for seed, schedule in drawn.items():
            if seed in known:
                yield known[seed]
                continue
            row = self.kept({"seed": seed} | self.one(schedule))
            self.told(f"seed {seed}: {ending(row)} ({row['seconds']:.0f} s)")
            yield row

    def known(self, drawn: dict[int, Schedule]) -> dict[int, Row]:
        """The results that need not be played again: the newest of a seed, if it passed, of this code or of any."""
        asked = [row for row in self.results() if is_of(row, drawn.get(row["seed"]))]
        ours = [row for row in asked if self.is_of_any_code or row.get("code") == self.code.digest]
        # Before code was noted, what happened was not, either: such results say nothing of the faults.
        known = {row["seed"]: row for row in ours if "code" in row}
        known = {seed: row for seed, row in known.items() if row["is_passed"]}
        earlier = {row["seed"] for row in asked if row.get("code") != self.code.digest}
        if known:
            self.told(f"{len(known)} of {len(drawn)} seeds passed before and are not played again: {RESULTS}")
        if earlier:
            again = len(earlier - known.keys())
            self.told(f"{len(earlier)} have results of other code, {again} of them are played again (--of-any-code)")
        return known

    def one(self, schedule: Schedule) -> Row:
        """Play a schedule and, if it fails, look for the fewest of its steps that do."""
        began, at = time.monotonic(), now()
        self.told(f"family {schedule.family}: {schedule}")
        played = self.played(schedule, self.told)
        smallest = None if played.report.is_passed else self.shrunk(schedule, played)
        return {
            "schedule": str(schedule),
            "family": schedule.family,
            "code": self.code.digest,
            "commit": self.code.commit,
            "played_at": at.isoformat(timespec="seconds"),
            "is_passed": played.report.is_passed,
            "is_judged": played.counts is not None,
            "seconds": round(time.monotonic() - began, 1),
            **(asdict(played.counts) if played.counts else dict.fromkeys(COUNTED)),
            "drawn": dict(Counter(schedule.faults)),
            "happened": dict(played.happened),
            "missed": dict(played.missed),
            "unmet": [asdict(finding) for finding in played.report.findings if not finding.is_met],
            "smallest": smallest and str(smallest),
        }

    def shrunk(self, failing: Schedule, played: Played) -> Schedule:
        """The fewest steps that still fail as these do, told with the command that plays them."""
        self.told("failed; looking for the fewest steps that do")
        smallest = shrink(failing, lambda fewer: self.played(fewer, lambda words: None).fails_like(played))
        self.told(f"FAILED: reelhouse drill random --family {smallest.family} --steps '{smallest}'")
        return smallest

    def played(self, schedule: Schedule, told: Told) -> Played:
        """Play a schedule on a new lake, which is thrown away afterwards."""
        # A folder of its own each time: Delta remembers what it read at a path.
        folder = Path(mkdtemp(prefix="random-", dir=self.home))
        played = rehearse(Sandbox(folder, self.spark, schedule.family), schedule, Report("random", told))
        shutil.rmtree(folder, ignore_errors=True)
        return played

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


def rehearse(sandbox: Sandbox, schedule: Schedule, report: Report) -> Played:
    """Play a schedule on a sandbox to its verdict; whatever breaks is in the report, and what broke is not judged."""
    play, counts = Play(sandbox, report), None
    try:
        play.all(schedule)
        settle_up(sandbox)
        counts = judge(sandbox, report)
        compare(sandbox, report)
    except Exception as error:  # noqa: BLE001  whatever breaks is what the drill has to tell
        report.failed(error)
    return Played(report, counts, play.happened, play.missed)


def is_of(row: Row, schedule: Schedule | None) -> bool:
    """Whether a result is of this schedule: how seeds are drawn changes with the code, and so may the family."""
    return schedule is not None and (row["schedule"], row.get("family")) == (str(schedule), schedule.family)


def ending(row: Row) -> str:
    """What became of a schedule, in a word or two."""
    if not row["is_judged"]:
        return "NOT JUDGED"
    return "passed" if row["is_passed"] else "FAILED"


def play_seeds(home: Path, seeds: Iterable[int], told: Told, *, of_any_code: bool = False) -> Iterator[Row]:
    """Play seeds on a Spark of this process; a row for each."""
    with alone(home):
        yield from Campaign(home, warm(home), told, code_of(), of_any_code).run(seeds)


def play_steps(home: Path, schedule: Schedule, told: Told) -> Row:
    """Play one schedule; its row has no seed."""
    with alone(home):
        return {"seed": None} | Campaign(home, warm(home), told, code_of()).one(schedule)


def warm(home: Path) -> SparkSession:
    """The Spark of this process."""
    return open_session(
        Settings(home=home, spark_remote="", spark_master="local[2]", spark_memory_mb=MEMORY_MB), "reelhouse drill"
    )
