"""Refused records once more: patched, judged by the contracts as they are now, and sent as new arrivals.

Each is judged by the version of its event contract that its own type names, or that a patch says, and sent as such.
So everything else stays as it is for any record: ids that are there already are repeats, touched days are built again,
and the books count the arrival. A record keeps its id; the clock's correction that its first arrival would have got
is written into its time. What came from an old log is sent as such, its times declared, for its days lie in the past.
What was sent is noted in ops.replays, and is not sent again by the same patch, unless that replay is undone
(`undoing`). A header names the replay; one that was killed before it was noted goes on by its name.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from jobs.lake.errors import UsageError
from jobs.lake.event_contracts import event_contract, versions
from jobs.lake.event_validator import Validator, validator
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ledger import Ledger
from jobs.lake.patches import Body, Patch
from jobs.lake.settings import Settings
from jobs.lake.topics import REPLAY_HEADER
from jobs.produce.producer import Producer
from jobs.produce.records import CONTRACT_VERSION

REPLAYS, RETRACTIONS = "ops.replays", "ops.retractions"
SOURCE, LOGS = "app:quarantine", "replay:quarantine"  # of what came from live sources, and from old logs
SPOOL = ("spool", "quarantine")
# Another record has the id; there is nothing to patch; what it was made of is in quarantine itself.
HOPELESS = ("conflict", "tombstone", "retracted")
REPLAY_TIME = "ce_replaytime"  # when an old log says that a record arrived
EPOCH, MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
Place = tuple[str, int, int]  # topic id, partition, offset


@dataclass(frozen=True)
class Mended:
    """A refused record that passes now: its body, the version of the contract that it keeps, whether a log told it."""

    body: Body
    version: int
    is_of_log: bool


@dataclass
class Replay:
    """What a patch would do: records that pass by place, what is still wrong with the others, what is left out.

    `replay_id` is the name it would be undone by.
    """

    patch: Patch
    replay_id: str
    passing: dict[Place, Mended] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)
    sent_before: int = 0

    def days(self, zone: str) -> Counter[date]:
        """The local days that the passing records fall on."""
        times = (EPOCH + timedelta(microseconds=one.body["event_time"]) for one in self.passing.values())
        return Counter(at.astimezone(ZoneInfo(zone)).date() for at in times)

    def sendings(self) -> "Iterator[Sending]":
        """What is to be sent from each of the two sources, if anything is."""
        live = [one for one in self.passing.values() if not one.is_of_log]
        old = [one for one in self.passing.values() if one.is_of_log]
        if live:
            yield Sending(SOURCE, "", live)
        if old:
            times = [one.body["event_time"] for one in old]
            yield Sending(LOGS, f"{min(times)}/{max(times) + 1}", old)


@dataclass(frozen=True)
class Sending:
    """Records of one source; an old log's declare the range of their times (`<from>/<to>` in µs, to exclusive)."""

    source: str
    declared_range: str
    records: list[Mended]


def tried(settings: Settings, patch: Patch, reason: str) -> Replay:
    """Try a patch on every refused record of its topic with this reason; nothing is sent."""
    if reason.partition(":")[0] in HOPELESS:
        raise UsageError(f"{reason}: such records cannot be replayed, for nothing is wrong with their form")
    if patch.contract_version:
        event_contract(patch.topic, patch.contract_version, settings.schemas_dir)  # which says what to write
    ledger = Ledger(settings)
    mine = [row for row in ledger.read(REPLAYS).to_pylist() if is_of(row, patch)]
    found = Replay(patch, next_id(patch, {row["run_id"] for row in mine}))
    undone = set(ledger.read(RETRACTIONS, ["replay_id"])["replay_id"].to_pylist())
    done = {place_of(row) for row in mine if row["run_id"] not in undone}
    rows = {place_of(row): row for row in refused(ledger, patch.topic, reason)}
    found.sent_before = len(rows.keys() & done)
    known = versions(patch.topic, settings.schemas_dir)
    for place, value, replay_time in received(ledger, {place: rows[place] for place in rows.keys() - done}):
        body, version = patch.read(value or b""), version_for(rows[place], patch)
        judge = validator(patch.topic, version, settings.schemas_dir) if version in known else None
        faults = faults_of(body, judge)
        if body is None or faults:
            found.faults.update(faults)
        else:
            is_of_log = is_of_old_log(rows[place]["source_uri"])
            arrived = replay_time if is_of_log else (rows[place]["kafka_time"] - EPOCH) // MICROSECOND
            found.passing[place] = Mended(with_honest_time(body, arrived), version, is_of_log)
    return found


def version_for(row: Mapping[str, Any], patch: Patch) -> int:
    """The version of the contract by which a refused record is judged: the patch's, its own, or where it has none 1."""
    own = None if "unknown_type" in row["reasons"] else row["schema_version"]
    return patch.contract_version or own or CONTRACT_VERSION


def faults_of(body: Body | None, judge: Validator | None) -> list[str]:
    """Why a record would be refused again, as quarantine would name it; `judge` is None for a version nobody knows."""
    if judge is None:
        return ["unknown_version"]
    return ["malformed_json"] if body is None else [fault.reason for fault in judge.faults(body)]


def next_id(patch: Patch, before: set[str]) -> str:
    """The name of the patch's next replay, the same until it is noted: patch, version, and the how manieth it is."""
    return f"{patch.name}-{patch.version}.{len(before) + 1}"


def send_again(settings: Settings, found: Replay, at: datetime) -> int:
    """Send what passes and note it; how many. BrokerError when the broker is away: the next call sends the rest."""
    marks = [(REPLAY_HEADER, found.replay_id.encode())]
    spool = settings.home.joinpath(*SPOOL)
    for one in found.sendings():
        with Producer(
            settings, source=one.source, spool=spool, marks=marks, declared_range=one.declared_range
        ) as producer:
            for mended in one.records:
                producer.send(found.patch.topic, unsent(mended.body), waiting=True, version=mended.version)
            producer.flush()
    return note(settings, found, at)


def unsent(body: Body) -> Body:
    """The body of an event that is yet to be sent."""
    return {name: value for name, value in body.items() if name != "sent_time"}


def note(settings: Settings, found: Replay, at: datetime) -> int:
    """Write down in ops.replays what was sent; how many."""
    common = {"patch": found.patch.name, "patch_version": found.patch.version, "topic": found.patch.topic}
    rows = [
        common | {"kafka_topic_id": topic_id, "kafka_partition": partition, "kafka_offset": offset,
                  "event_id": mended.body["event_id"], "run_id": found.replay_id, "recorded_at": at}
        for (topic_id, partition, offset), mended in found.passing.items()
    ]  # fmt: skip
    if rows:
        Ledger(settings).append(REPLAYS, rows)
    return len(rows)


def is_of_old_log(source_uri: str | None) -> bool:
    """Whether a record came from an old log, as ingest would say it."""
    from jobs.definitions.clock import REPLAY

    return (source_uri or "").startswith(REPLAY)


def with_honest_time(body: Body, arrived: int | None) -> Body:
    """The body with the time that its first arrival would have been given; `arrived` (µs) is by an honest clock."""
    from jobs.definitions.clock import SKEW_TOLERATED

    behind = 0 if arrived is None else arrived - int(body["sent_time"])
    return body if abs(behind) <= SKEW_TOLERATED else body | {"event_time": body["event_time"] + behind}


def refused(ledger: Ledger, topic: str, reason: str) -> Iterator[dict[str, Any]]:
    """Rows of quarantine of a topic with the reason; one without its field stands for all fields."""
    import pyarrow.compute as pc

    for row in ledger.read(QUARANTINE, filter=pc.field("topic") == topic).to_pylist():
        if any(each == reason or each.startswith(f"{reason}:") for each in row["reasons"]):
            yield row


def received(ledger: Ledger, rows: Mapping[Place, dict[str, Any]]) -> Iterator[tuple[Place, bytes | None, int | None]]:
    """The bytes of refused records as bronze has them, and when an old log says they arrived (µs), if it does."""
    import pyarrow.compute as pc

    days = sorted({row["kafka_time"].date() for row in rows.values()})
    there = pc.field("received_date").isin(days) & pc.field("offset").isin(sorted({place[2] for place in rows}))
    columns = ["topic_id", "partition", "offset", "value", "headers"]
    for each in ledger.read(BRONZE, columns, there).to_pylist() if rows else []:
        place = (each["topic_id"], each["partition"], each["offset"])
        if place in rows:
            yield place, each["value"], _replay_time(each["headers"])


def _replay_time(headers: Sequence[Mapping[str, Any]] | None) -> int | None:
    told = [header["value"] for header in headers or () if header["key"] == REPLAY_TIME]
    try:
        return int(told[-1]) if told else None
    except (TypeError, ValueError):
        return None


def place_of(row: Mapping[str, Any]) -> Place:
    """Where a record was received."""
    return row["kafka_topic_id"], row["kafka_partition"], row["kafka_offset"]


def is_of(row: Mapping[str, Any], patch: Patch) -> bool:
    """Whether a line of ops.replays is of this patch, at this version."""
    return bool(row["patch"] == patch.name and row["patch_version"] == patch.version)
