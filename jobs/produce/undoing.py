"""The counter-patch: a replay of refused records is taken back by a statement on the topic `control`.

Ingest carries it out (jobs/lake/ingest/retracting.py), so that Kafka and bronze alone still tell everything. The
statement speaks of the replay's arrivals below the offsets that the topic has reached: applying the patch again, even
before the next ingest, is another replay. It may be said twice: what is taken back is so already.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.lake import topics
from jobs.lake.errors import ContractError, DamageError, UsageError
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS, REPLAY_HEADER
from jobs.produce.again import EPOCH, LOGS, REPLAYS, RETRACTIONS, SOURCE, SPOOL, Place, place_of
from jobs.produce.producer import Producer

Row = dict[str, Any]


@dataclass(frozen=True)
class Undoing:
    """A replay that may be undone: how many records it sent, and by local day those that silver has of it now.

    None of them arrived before `since`, when the first of the records that it mended had been refused.
    """

    replay_id: str
    topic: str
    sent: int
    since: datetime
    days: Counter[date]


def sent_by(settings: Settings, replay_id: str) -> Undoing:
    """What a replay sent; UsageError when there is no such replay, when it is undone already, or never had a name."""
    ledger = Ledger(settings)
    rows = ledger.read(REPLAYS).to_pylist()
    mine = [row for row in rows if row["run_id"] == replay_id]
    undone = {row["replay_id"]: row["recorded_at"] for row in ledger.read(RETRACTIONS).to_pylist()}
    if replay_id in undone:
        raise UsageError(f"{REPLAYS}: {replay_id} was undone at {undone[replay_id]:%Y-%m-%d %H:%M:%S} UTC already")
    if not mine:
        known = sorted({row["run_id"] for row in rows} - undone.keys())
        raise UsageError(
            f"{REPLAYS}: no replay {replay_id!r}; there are {', '.join(known) or 'none to undo'}. "
            "End one that was killed by the same `reelhouse quarantine replay` first"
        )
    if not replay_id.startswith(f"{mine[0]['patch']}-{mine[0]['patch_version']}."):
        raise UsageError(
            f"{REPLAYS}: {replay_id} was made before replays had names, so nothing tells its records from others; "
            "it cannot be undone"
        )
    topic = mine[0]["topic"]
    return Undoing(replay_id, topic, len(mine), _since(ledger, mine), _days(settings, ledger, topic, mine))


def retract(settings: Settings, found: Undoing, why: str, at: datetime) -> None:
    """Say on `control` that the replay is taken back, and note it; BrokerError when the broker is away."""
    with Producer(settings, source=SOURCE, spool=settings.home.joinpath(*SPOOL)) as producer:
        producer.flush()  # what a killed replay left in the spool lies below the offsets then
        ends = topics.end_offsets(settings, [found.topic])[found.topic]
        body = {
            "kind": "retract",
            "source": SOURCE,
            "topic": found.topic,
            "replay_id": found.replay_id,
            "since": (found.since - EPOCH) // timedelta(microseconds=1),
            "why": why,
            "offsets": [{"partition": number, "next_offset": end} for number, end in sorted(ends.items())],
        }
        if not producer.send("control", body, waiting=True):
            raise ContractError(f"control: {', '.join(producer.refused.reasons)}; see {producer.refused.path}")
        producer.flush()
    row = {"replay_id": found.replay_id, "topic": found.topic, "records": found.sent, "why": why, "recorded_at": at}
    Ledger(settings).append(RETRACTIONS, [row], app=f"retraction:{found.replay_id}", version=0)


def _since(ledger: Ledger, sent: Sequence[Row]) -> datetime:
    """When the first of the records that were mended had arrived; DamageError where quarantine has lost them all."""
    import pyarrow.compute as pc

    places, mine = {place_of(row) for row in sent}, pc.field("topic") == sent[0]["topic"]
    columns = ["kafka_topic_id", "kafka_partition", "kafka_offset", "kafka_time"]
    refused = ledger.read(QUARANTINE, columns, mine).to_pylist()
    times: list[datetime] = [row["kafka_time"] for row in refused if place_of(row) in places]
    if not times:
        raise DamageError(
            f"{QUARANTINE}: has none of the {len(sent)} records that {sent[0]['run_id']} mended; `reelhouse doctor "
            "--lake` names a file that is hurt"
        )
    return min(times)


def _days(settings: Settings, ledger: Ledger, topic: str, sent: Sequence[Row]) -> Counter[date]:
    """By local day the rows of silver that came with the replay; of an entity the day from which they hold."""
    zone, column = ZoneInfo(settings.business_zone), "event_time" if topic in FACTS else "valid_from"
    rows = list(_rows(ledger, topic, sent, column))
    marked = _marked(ledger, rows, sent[0]["run_id"])
    return Counter(row[column].astimezone(zone).date() for row in rows if place_of(row) in marked)


def _rows(ledger: Ledger, topic: str, sent: Sequence[Row], column: str) -> Iterator[Row]:
    """Rows of silver that a replay may have brought."""
    import pyarrow.compute as pc

    wanted = pc.field("source_uri").isin([SOURCE, LOGS]) & pc.field("event_id").isin([row["event_id"] for row in sent])
    columns = ["kafka_topic_id", "kafka_partition", "kafka_offset", "kafka_time", column]
    yield from ledger.read(f"silver.{topic}", columns, wanted).to_pylist()


def _marked(ledger: Ledger, rows: Sequence[Row], replay_id: str) -> set[Place]:
    """Which of these records bear the replay's name in bronze."""
    import pyarrow.compute as pc

    days = sorted({row["kafka_time"].date() for row in rows})
    there = pc.field("received_date").isin(days) & pc.field("offset").isin(
        sorted({row["kafka_offset"] for row in rows})
    )
    columns = ["topic_id", "partition", "offset", "headers"]
    return {
        (each["topic_id"], each["partition"], each["offset"])
        for each in (ledger.read(BRONZE, columns, there).to_pylist() if rows else [])
        if any(pair["key"] == REPLAY_HEADER and pair["value"] == replay_id.encode() for pair in each["headers"] or ())
    }
