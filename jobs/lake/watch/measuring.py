"""Measuring: lag, rates, freshness and kept promises, from ledger and broker; no Spark, and nothing is written."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.lake import topics
from jobs.lake.errors import BrokerError
from jobs.lake.ingest.lives import begun, id_of_life
from jobs.lake.ingest.progress import progress
from jobs.lake.ledger import Ledger
from jobs.lake.promises.levels import levels
from jobs.lake.settings import Settings
from jobs.lake.topics import Offsets
from jobs.lake.watch.counting import measure_rates
from jobs.lake.watch.hearing import hear
from jobs.lake.watch.judging import measures, runbooks
from jobs.lake.watch.numbering import measure_numbers
from jobs.lake.watch.seeing import seen
from jobs.ops import freshness, lag, promises
from jobs.ops.missing import Numbers

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Measured:
    """What one measuring found: rows of ops.lag, ops.rates, ops.freshness and ops.promises; producers' numbers."""

    at: datetime
    lag: Rows
    rates: Rows
    freshness: Rows
    promises: Rows
    numbers: Numbers

    @property
    def broken(self) -> Rows:
        """The promises that were not kept."""
        return [row for row in self.promises if not row["is_kept"]]


def measure(settings: Settings, at: datetime, run_id: str) -> Measured:
    """Measure all that can be measured now; a broker that does not answer breaks a promise, not the measuring."""
    ledger = Ledger(settings)
    behind = measure_lag(ledger, settings, at, run_id)
    fresh = freshness.build(seen(ledger, settings, behind), at=at, run_id=run_id)
    numbers = measure_numbers(ledger, at)
    found = measures(ledger, settings, fresh, behind, numbers, at)
    kept = promises.build(levels(settings.schemas_dir), found, runbooks(found, settings), at=at, run_id=run_id)
    return Measured(at, behind, measure_rates(ledger, at, run_id), fresh, kept, numbers)


def record(ledger: Ledger, measured: Measured) -> None:
    """Write what was found into the ledger."""
    for table in ("lag", "rates", "freshness", "promises"):
        if rows := getattr(measured, table):
            ledger.append(f"ops.{table}", rows)


def measure_lag(ledger: Ledger, settings: Settings, at: datetime, run_id: str) -> Rows:
    """How far ingest is behind the broker, and what canaries tell; nothing when the broker does not answer."""
    if not topics.is_reachable(settings):  # within three seconds: whoever scrapes has little patience
        return []
    try:
        reached = progress(ledger)
        ends, brokers = topics.end_offsets(settings), topics.topic_ids(settings)
        lives = {topic: id_of_life(held, reached.topic_ids.get(topic), is_new=False) for topic, held in brokers.items()}
        # Of a topic that was made anew nothing was read.
        anew = begun(reached, lives)
        read = {topic: parts for topic, parts in reached.next_offsets.items() if topic not in anew}
        oldest = topics.times_of(settings, unread(ends, read))
        told = hear(ledger, settings, read, lives, at)
    except BrokerError:
        return []
    return lag.build(ends, read, oldest, lives, told, at=at, run_id=run_id)


def unread(ends: Offsets, reached: Offsets) -> dict[tuple[str, int], int]:
    """The first offset not read, of each partition that has more."""
    starts = {
        (topic, number): reached.get(topic, {}).get(number, 0) for topic, parts in ends.items() for number in parts
    }
    return {place: start for place, start in starts.items() if start < ends[place[0]][place[1]]}
