"""What a replay would change in gold: it is played on a copy of the lake, by the very steps that would change it.

The copy takes in what the replay would send, builds, checks and releases; what its restatements then put down to the
replay is what ours would. Nothing of ours is written to, and the broker hears of nothing.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from jobs.definitions.causes import OF_NEWS, REPLAY, SEVERAL
from jobs.lake.copies import copied
from jobs.lake.errors import QualityError, UsageError
from jobs.lake.file_topics import Entry, file_topics
from jobs.lake.ingest.progress import progress
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families, inputs_of, latest
from jobs.lake.restating.booking import TABLE as RESTATEMENTS
from jobs.lake.restating.cells import RESTATED
from jobs.lake.settings import Settings
from jobs.lake.topics import REPLAY_HEADER
from jobs.lake.work import pending, read_families
from jobs.produce.again import EPOCH, MICROSECOND, Replay, note, unsent
from jobs.produce.envelope import completed, encoded
from jobs.produce.records import headers, key, stamped

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NAME = "foretelling"
CHANGED, NEW, GONE = "changed", "new", "gone"


@dataclass(frozen=True)
class Move:
    """A published number that would change: of which row (its grain as JSON), from what to what, by how much.

    `row_is`: CHANGED, or NEW or GONE when the whole row is; such a row has nothing on the other side.
    """

    table: str
    row_key: str
    measure: str
    old: int | None
    new: int | None
    by: int
    row_is: str

    @property
    def row(self) -> dict[str, Any]:
        """The grain with its values."""
        return dict(json.loads(self.row_key))


def foretold(
    settings: Settings, found: Replay, at: datetime, open_spark: "Callable[[Settings], SparkSession]",
    told: Callable[[str], None] = lambda words: None,
) -> list[Move]:  # fmt: skip
    """The numbers a replay would change, the greatest changes first; `told` hears of each step.

    UsageError where nothing is published, or the lake cannot be copied; QualityError when checks would stop it.
    """
    names = _families(settings)
    if not any(latest(Ledger(settings), name) for name in names):
        raise UsageError("no family of gold tables is published yet, so no number can change")
    if not found.passing:
        return []
    told("copying the lake")
    with copied(settings, NAME) as copy:
        is_alone = not any(pending(Ledger(copy), copy, name).reasons for name in names)
        put(copy, found, at)
        spark = open_spark(settings)
        told("ingest")
        _ingest(copy, spark)
        for name in names:
            told(name)
            _publish(copy, name, spark)
        return sorted(
            _moves(copy, at, is_alone=is_alone),
            key=lambda move: (-abs(move.by), move.table, move.row_key, move.measure),
        )


def put(copy: Settings, found: Replay, at: datetime) -> None:
    """The replay's records, as they would be sent at an instant, on topics that go on where the lake has read to."""
    topics, reached = file_topics(copy), progress(Ledger(copy))
    if topics is None:
        raise UsageError(f"{copy.kafka_bootstrap_servers} is a broker; a replay is foretold on topics in files")
    for topic, offsets in reached.next_offsets.items():
        topics.succeed(topic, reached.topic_ids[topic], offsets)
    partition = min(reached.next_offsets[found.patch.topic])
    for entry in entries(found, at):
        topics.append(found.patch.topic, partition, entry)
    note(copy, found, at)


def entries(found: Replay, at: datetime) -> Iterator[Entry]:
    """The records as the broker would have them, had they been sent at an instant."""
    topic, now_us, seq = found.patch.topic, (at - EPOCH) // MICROSECOND, count()
    for one in found.sendings():
        for mended in one.records:
            whole = completed(unsent(mended.body), partial(_position, next(seq)))
            value = stamped(encoded(whole, is_stamped_late=True), now_us)
            own = headers(topic, one.source, whole["event_id"], whole["event_time"], one.declared_range, mended.version)
            yield Entry(key(topic, whole), value, (*own, (REPLAY_HEADER, found.replay_id.encode())), at)


def _position(seq: int) -> dict[str, Any]:
    return {"id": NAME, "epoch": 0, "seq": seq}


def _families(settings: Settings) -> list[str]:
    """The families whose numbers have a history, each after those it reads."""
    known = families(settings.schemas_dir)
    found: list[str] = []
    waiting = [name for name in known if set(known[name]) & set(RESTATED)]
    while waiting:
        name = waiting.pop()
        read = read_families(inputs_of(name, settings.schemas_dir), settings)
        found = [each for each in found if each != name]
        found.insert(0, name)
        waiting.extend(read)
    return found


def _ingest(copy: Settings, spark: "SparkSession") -> None:
    from jobs.lake.clock import now
    from jobs.lake.ingest.loop import INGEST_CONF, Ingest

    Ingest(copy, NAME, now, lambda _: spark).until_caught_up()
    for name in INGEST_CONF:  # of no use to what comes next on the same session
        spark.conf.unset(name)


def _publish(copy: Settings, family: str, spark: "SparkSession") -> None:
    from jobs.lake.clock import now
    from jobs.lake.runner import Runner

    runner = Runner(copy, family, NAME, lambda _: spark, tells_new_days=True)
    try:
        runner.build(now())
        runner.check()
        runner.release()
    except QualityError as failed:
        raise QualityError(f"on a copy of the lake, with the replay taken in: {failed}") from failed


def _moves(copy: Settings, since: datetime, *, is_alone: bool) -> Iterator[Move]:
    """What the releases since then put down to the replay; numbers that have no parts, of rows that it changed.

    Where its records are the only news (`is_alone`) whatever news changed: of days and weeks that still go on
    restatements do not say whose they are.
    """
    import pyarrow.compute as pc

    lines = Ledger(copy).read(RESTATEMENTS, filter=pc.field("released_at") >= pc.scalar(since)).to_pylist()
    by_row: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for line in lines:
        by_row.setdefault((line["table"], line["row_key"]), []).append(line)
    for (table, row_key), of_row in by_row.items():
        causes = {*OF_NEWS, SEVERAL} if is_alone else _causes(of_row)
        row_is = _fate(of_row)
        for line in of_row:
            if line["cause"] in causes and line["part"]:
                old, new = (None if line[name] is None else int(line[name]) for name in ("old_value", "new_value"))
                yield Move(table, row_key, line["measure"], old, new, int(line["part"]), row_is)


def _causes(lines: Sequence[dict[str, Any]]) -> set[str]:
    """What is put down to the replay in a row with other news: what has no parts, only where it has a part itself."""
    return {REPLAY, SEVERAL} if any(line["cause"] == REPLAY for line in lines) else set()


def _fate(lines: Sequence[dict[str, Any]]) -> str:
    """What becomes of a row: its counts are never null while it is there."""
    if all(line["old_value"] is None for line in lines):
        return NEW
    return GONE if all(line["new_value"] is None for line in lines) else CHANGED
