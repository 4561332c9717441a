"""The quarantine desk: what was refused and why, with examples that show nobody."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from jobs.definitions.shown import safe_producer, safe_source
from jobs.lake.errors import UsageError
from jobs.lake.event_contracts import all_topics
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ledger import Ledger
from jobs.lake.reasons import reasons, remedy_of
from jobs.lake.settings import Settings
from jobs.serve.asked import check_topic, quoted
from jobs.serve.masking import FREE_NAMED, UNKNOWN_FIELD, masked, words_of
from jobs.serve.query import answer
from jobs.serve.sequences import good_producers

OVERVIEW = ("reason", "topic", "contract_version", "source", "producer", "first_seen", "last_seen", "records")
EXAMPLE = ("topic", "partition", "offset", "kafka_time", "ingest_seq", "reasons", "detail", "twin", "contract_version",
           "source", "producer", "producer_epoch", "producer_seq", "event_id", "remedies", "key_bytes", "value_bytes",
           "value_masked")  # fmt: skip
PRODUCER = "producer_id"
Place = tuple[str, int, int]  # topic id, partition, offset


def overview(settings: Settings, reason: str = "", topic: str = "") -> list[dict[str, Any]]:
    """Refused records by reason, topic, contract version, source and producer (OVERVIEW), most first; times in UTC.

    A record counts once under each of its reasons. A `reason` without its field stands for all fields. A source of no
    kind we know is masked, and a producer of whom nothing but refused records came; two that look alike then stand in
    rows of their own. The producer is null where it is not stored.
    UsageError for a topic that is none, and for a reason that nothing was refused for and that is no word of ours.
    """
    check_topic(settings, topic)
    query = f"""
        {_told(settings)}
        SELECT reason, topic, schema_version AS contract_version, source_uri AS source,
               producer_id AS producer, min(kafka_time) AS first_seen, max(kafka_time) AS last_seen, count(*) AS records
        FROM told WHERE {_wanted(reason, topic)}
        GROUP BY ALL ORDER BY records DESC, reason, topic, contract_version, source, producer"""  # noqa: S608 (quoted below)
    good = good_producers(settings)
    rows = [
        row | {"source": safe_source(row["source"]), "producer": safe_producer(row["producer"], good)}
        for row in _rows(settings, query)
    ]
    return rows or _nothing(settings, reason)


def count(settings: Settings, reason: str = "", topic: str = "") -> int:
    """How many records that is, each counted once."""
    places = "kafka_topic_id, kafka_partition, kafka_offset"
    query = f"{_told(settings)} SELECT count(DISTINCT ({places})) AS n FROM told WHERE {_wanted(reason, topic)}"  # noqa: S608
    return int(_rows(settings, query)[0]["n"])


def examples(settings: Settings, reason: str = "", topic: str = "", limit: int = 5) -> list[dict[str, Any]]:
    """The newest refused records (EXAMPLE) with the form of their bytes; errors as of `overview`.

    `value_masked` is null when the bytes are null or no longer in bronze; `value_bytes` tells which.
    """
    check_topic(settings, topic)
    query = f"""
        {_told(settings)}
        SELECT topic, kafka_topic_id, kafka_partition, kafka_offset, kafka_time, ingest_seq, detail, twin,
               schema_version, source_uri, event_id, all_reasons
        FROM (SELECT *, list(reason ORDER BY reason) OVER
                        (PARTITION BY kafka_topic_id, kafka_partition, kafka_offset) AS all_reasons FROM told)
        WHERE {_wanted(reason, topic)}
        QUALIFY row_number() OVER (PARTITION BY kafka_topic_id, kafka_partition, kafka_offset) = 1
        ORDER BY kafka_time DESC, topic, kafka_partition, kafka_offset DESC LIMIT {int(limit)}"""  # noqa: S608
    rows, good = _rows(settings, query), good_producers(settings)
    bytes_at = received(Ledger(settings), rows)
    return [_example(settings, row, bytes_at.get(_place(row)), good) for row in rows] or _nothing(settings, reason)


def received(ledger: Ledger, rows: list[dict[str, Any]]) -> dict[Place, tuple[bytes | None, bytes | None]]:
    """Keys and values of these records as bronze has them; nothing of them may be shown unmasked."""
    import pyarrow.compute as pc

    days: list[date] = sorted({row["kafka_time"].date() for row in rows})
    if not days:
        return {}
    there = pc.field("received_date").isin(days) & pc.field("offset").isin({row["kafka_offset"] for row in rows})
    columns = ["topic_id", "partition", "offset", "key", "value"]
    found = ledger.read(BRONZE, columns, there).to_pylist()
    return {(each["topic_id"], each["partition"], each["offset"]): (each["key"], each["value"]) for each in found}


def _example(
    settings: Settings, row: Mapping[str, Any], found: tuple[bytes | None, bytes | None] | None, good: set[str]
) -> dict[str, Any]:
    key, value = found or (None, None)
    sender = _sender(settings, value)
    told = {
        "topic": row["topic"],
        "partition": row["kafka_partition"],
        "offset": row["kafka_offset"],
        "reasons": row["all_reasons"],
        "contract_version": row["schema_version"],
        "source": safe_source(row["source_uri"]),
        "producer": safe_producer(sender.get("producer_id"), good),
        "producer_epoch": sender.get("producer_epoch"),
        "producer_seq": sender.get("producer_seq"),
        "remedies": list(dict.fromkeys(remedy_of(reason) for reason in row["all_reasons"])),
        "key_bytes": None if key is None else len(key),
        "value_bytes": None if value is None else len(value),
        "value_masked": None if value is None else masked(value, words_of([row["topic"]], settings.schemas_dir)),
    }
    return {name: told[name] if name in told else row[name] for name in EXAMPLE}


def _sender(settings: Settings, value: bytes | None) -> dict[str, Any]:
    """Who sent a record and under which number, by its bytes; empty where they do not say."""
    import pyarrow as pa

    from jobs.definitions.events.numbered import numbered
    from jobs.lake.event_contracts import producer_field

    told = numbered(pa.array([value], pa.binary()), producer_field(settings.schemas_dir)).to_pylist()
    return dict(told[0]) if told else {}


def _place(row: Mapping[str, Any]) -> Place:
    return row["kafka_topic_id"], row["kafka_partition"], row["kafka_offset"]


def _told(settings: Settings) -> str:
    """SQL: `told`, one row per record and reason; a name that only the body knows may be a person's: left out."""
    names = words_of(all_topics(settings.schemas_dir), settings.schemas_dir).names | {"body"}
    known = ", ".join(quoted(FREE_NAMED + name) for name in sorted(names))
    return f"""
        WITH each AS (SELECT * EXCLUDE (reasons), unnest(reasons) AS said{_unnamed(settings)} FROM {QUARANTINE}),
        told AS (SELECT DISTINCT * EXCLUDE (said), CASE WHEN starts_with(said, {quoted(FREE_NAMED)})
                 AND said NOT IN ({known}) THEN {quoted(UNKNOWN_FIELD)} ELSE said END AS reason FROM each)"""  # noqa: S608


def _unnamed(settings: Settings) -> str:
    """SQL: the producer as nobody, in a lake whose table has no such column yet."""
    ledger = Ledger(settings)
    if not ledger.exists(QUARANTINE) or PRODUCER in {field.name for field in ledger.open(QUARANTINE).schema().fields}:
        return ""
    return f", NULL::VARCHAR AS {PRODUCER}"


def _wanted(reason: str, topic: str) -> str:
    """SQL: which rows of `told` are asked for."""
    by_reason = f"(reason = {quoted(reason)} OR starts_with(reason, {quoted(reason + ':')}))" if reason else "true"
    return f"{by_reason} AND topic = {quoted(topic)}" if topic else by_reason


def _rows(settings: Settings, query: str) -> list[dict[str, Any]]:
    found = answer(settings, query, {QUARANTINE: Ledger(settings).version(QUARANTINE)}, as_it_came=True)
    return list(found.to_pylist(maps_as_pydicts="strict"))


def refuse_unknown_reason(settings: Settings, reason: str) -> None:
    """UsageError for a reason that nothing was refused for and that is no word of ours, with a field or without."""
    if reason.partition(":")[0] not in reasons(settings.schemas_dir):
        _nothing(settings, reason)


def _nothing(settings: Settings, reason: str) -> list[dict[str, Any]]:
    """No rows, if that can be meant: a word of the vocabulary may well have none; UsageError for any other."""
    if not reason or reason in reasons(settings.schemas_dir):
        return []
    query = f"{_told(settings)} SELECT DISTINCT reason FROM told ORDER BY 1"  # noqa: S608
    there = [row["reason"] for row in _rows(settings, query)]
    if reason in there or any(each.startswith(f"{reason}:") for each in there):
        return []  # it is there, in another topic
    raise UsageError(
        f"nothing was refused for {reason!r}; there are {', '.join(there) or 'no refused records'} "
        f"(schemas/reasons.yaml has the words: {', '.join(reasons(settings.schemas_dir))})"
    )
