"""Matches: the same records and the same fault for each contender, each on topics and a table of its own."""

import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from pyspark.sql import SparkSession

from jobs.drills.beside.contender import TOPIC, TOPICS, Contender
from jobs.drills.beside.judging import Truth, judge, truth_of
from jobs.drills.beside.ours import Reelhouse
from jobs.drills.beside.python_consumer import PythonConsumer
from jobs.drills.beside.spark_sink import SparkSink
from jobs.drills.catalogue import alone
from jobs.drills.chance.campaign import warm
from jobs.drills.corpus import Case, cases
from jobs.drills.records import NOON, body_of, record
from jobs.lake.file_topics import Entry, FileTopics

Row = dict[str, Any]
APART = timedelta(milliseconds=1)  # between two records, so that its time names each
FIRST, SECOND, THIRD = range(6), range(6, 12), range(12, 18)  # views, by number
CONTENDERS: dict[str, Callable[[Path, SparkSession], Contender]] = {
    SparkSink.name: SparkSink,
    PythonConsumer.name: lambda folder, _: PythonConsumer(folder),
    Reelhouse.name: Reelhouse,
}
HAZARDS = {
    "P1": "broken texts",
    "P2": "wrong types and values",
    "P3": "too deep, too large",
    "P4": "odd letters, no UTF-8",
    "P5": "no body, no headers, unknown kinds",
    "P6": "clocks that are off",
    "P7": "repeats and contradictions",
    "P8": "late",
    "P9": "no key or another's, no id",
    "P10": "text that would like to be code",
    "P11": "fields that come, go, change their names",
}


@dataclass
class Match:
    """One contender and what was sent to it."""

    contender: Contender
    folder: Path
    truth: list[Truth] = field(default_factory=list)
    stopped: str = ""

    @property
    def topics(self) -> FileTopics:
        """The topics that this contender reads."""
        return FileTopics(self.folder / TOPICS)

    def put(self, told: Iterable[Case], *, is_again: bool = False) -> None:
        """Put records on the topic, each with a time of its own."""
        for case in told:
            there, at = case.record, NOON + len(self.truth) * APART
            self.topics.append(TOPIC, there.partition, Entry(there.key, there.value, there.headers, at))
            self.truth.append(truth_of(case, at, is_again=is_again))

    def run(self) -> None:
        """Let the contender take in all there is; note why it stopped if it does."""
        try:
            self.contender.run()
        except Exception as error:  # noqa: BLE001  whatever stops a contender is what the drill has to tell
            self.stopped = str(error).splitlines()[0]


def views(numbers: Iterable[int]) -> Iterator[Case]:
    """Good views."""
    for number in numbers:
        yield Case("", f"view {number}", record(TOPIC, body_of(TOPIC, number)))


def undisturbed(match: Match) -> None:
    """Nothing happens."""
    match.put(views(FIRST))
    match.run()
    match.put(views(SECOND))
    match.run()


def killed_after_write(match: Match) -> None:
    """Killed after the write, before it is noted how far it read; run again."""
    match.put(views(FIRST))
    match.run()
    match.put(views(SECOND))
    match.contender.killed(written=True)
    match.run()


def killed_in_the_middle(match: Match) -> None:
    """Killed in the middle of a write; run again."""
    match.put(views(FIRST))
    match.run()
    match.put(views(SECOND))
    match.contender.killed(written=False)
    match.run()


def two_at_once(match: Match) -> None:
    """One stands still after its write, another does its work, the first goes on."""
    match.put(views(FIRST))
    match.contender.stands_still()
    match.put(views(SECOND))
    match.run()


def progress_lost(match: Match) -> None:
    """What was noted of how far it read is lost: checkpoint, offsets, books."""
    match.put(views(FIRST))
    match.run()
    match.contender.forget()
    match.put(views(SECOND))
    match.run()


def sent_twice(match: Match) -> None:
    """The whole log is sent a second time."""
    match.put(views(FIRST))
    match.run()
    match.put(views(FIRST), is_again=True)
    match.run()


def topic_re_created(match: Match) -> None:
    """The topic is deleted and made anew, and filled as far as it was read."""
    match.put(views(FIRST))
    match.run()
    match.topics.remake(TOPIC)
    match.put(views(SECOND))
    match.run()


def retention_gap(match: Match) -> None:
    """Retention takes six records before they are read."""
    match.put(views(FIRST))
    match.run()
    match.put(views(SECOND))
    match.topics.forget(TOPIC)
    match.put(views(THIRD))
    match.run()


def commit_torn(match: Match) -> None:
    """The newest commit of its table is torn, and mended as it can be."""
    match.put(views(FIRST))
    match.run()
    match.put(views(SECOND))
    match.run()
    match.contender.torn()
    match.put(views(THIRD))
    match.run()


FAULTS = (
    undisturbed,
    killed_after_write,
    killed_in_the_middle,
    two_at_once,
    progress_lost,
    sent_twice,
    topic_re_created,
    retention_gap,
    commit_torn,
)


def label(fault: Callable[[Match], None]) -> str:
    """What happens, in a sentence."""
    return (fault.__doc__ or "").strip().removesuffix(".")


@dataclass(frozen=True)
class Tournament:
    """All matches, under `home`, on a warm Spark."""

    home: Path
    spark: SparkSession
    told: Callable[[str], None]

    def all(self) -> Iterator[Row]:
        """Every kind of record, then every fault; a row for each contender."""
        yield from self.records()
        for fault in FAULTS:
            yield from self.fault(fault)

    def records(self) -> Iterator[Row]:
        """The views of the corpus to each contender, undisturbed; a row for each hazard."""
        played = [self.play(contender, "records", corpus) for contender in CONTENDERS]
        for hazard, name in HAZARDS.items():
            for match in played:
                yield row_of(match, f"{hazard} {name}", hazard)

    def fault(self, fault: Callable[[Match], None]) -> Iterator[Row]:
        """Good views and one fault to each contender."""
        for contender in CONTENDERS:
            yield row_of(self.play(contender, fault.__name__, fault), label(fault))

    def play(self, contender: str, what: str, story: Callable[[Match], None]) -> Match:
        """One contender in one match."""
        self.told(f"{what.replace('_', ' ')}: {contender}")
        folder = self.home / what / contender.replace(" ", "-")
        folder.mkdir(parents=True)
        match = Match(CONTENDERS[contender](folder, self.spark.newSession()), folder)
        story(match)
        return match


def corpus(match: Match) -> None:
    """Every view of the corpus, in one go."""
    match.put(case for case in cases() if case.record.topic == TOPIC)
    match.run()


def row_of(match: Match, what: str, hazard: str = "") -> Row:
    """A match, or the part of a hazard in it, as one row."""
    counts = judge(match.truth, match.contender.found(), has_stopped=bool(match.stopped), hazard=hazard)
    return {"what": what, "contender": match.contender.name, **asdict(counts), "stopped": match.stopped or None}


def play_all(home: Path, told: Callable[[str], None]) -> list[Row]:
    """Play every match on a Spark of this process; what the contenders wrote is thrown away afterwards."""
    with alone(home):
        folder = Path(mkdtemp(prefix="compare-", dir=home))
        rows = list(Tournament(folder, warm(home), told).all())
        shutil.rmtree(folder, ignore_errors=True)
    return rows


def are_ours_clean(rows: Sequence[Row]) -> bool:
    """Whether Reelhouse lost, doubled, mistook or left out nothing."""
    ours = [row for row in rows if row["contender"] == Reelhouse.name]
    return bool(ours) and not any(row[name] for row in ours for name in ("lost", "doubled", "wrong", "unaccounted"))
