"""Readings that were taken → the columns of silver; readings that were refused → the columns of quarantine."""

from collections.abc import Iterator
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions import clock
from jobs.definitions.event_ids import content_hash, in_key_order
from jobs.definitions.events.form import Edition, Form, Pseudonym
from jobs.definitions.events.judging import reasons
from jobs.definitions.events.numbered import LONGEST
from jobs.definitions.local_time import local_date

SHIFT_UNIT = 1000  # µs in a millisecond


def taken(readings: DataFrame, form: Form, pseudonym: Pseudonym) -> DataFrame:
    """One row per reading that keeps every rule, in the columns of the topic's silver table.

    `pseudonym` turns a column of raw ids into pseudonyms; null stays null.
    """
    made = {**body_columns(form, pseudonym), **provenance(form)}
    columns = [made[name].alias(name) for name in form.columns if name in made]
    return readings.where("taken").select(*columns)


def changes(readings: DataFrame, form: Form, pseudonym: Pseudonym) -> DataFrame:
    """One row per accepted change of an entity, tombstones among them, in the silver columns but those of validity.

    A tombstone has no body: its key says who, its headers or else its arrival say when and which.
    """
    made = {**body_columns(form, pseudonym), **provenance(form)}
    gone = F.col("value").isNull()
    raw_id = F.when(gone, F.col("key")).otherwise(F.col(f"body.{form.key_field}"))
    place = F.concat_ws(":", F.lit("tombstone"), "kafka_topic_id", "kafka_partition", "kafka_offset")
    made |= {
        form.key_field: pseudonym(raw_id) if form.field[form.key_field].is_pseudonym else raw_id,
        "event_id": F.when(gone, F.coalesce(F.col("ce_id"), place)).otherwise(made["event_id"]),
        "valid_from": F.when(gone, said_at()).otherwise(made["valid_from"]),
        "is_deleted": gone,
        "content_hash": F.when(~gone, made["content_hash"]),
        "skew_ms": F.when(~gone, made["skew_ms"]),
        "rest": F.when(~gone, made["rest"]),
    }
    columns = [made[name].alias(name) for name in form.columns if name in made]
    return readings.where("taken").select(*columns)


def said_at() -> Column:
    """When a tombstone became true: by its own word, else by a replay's clock, else by the broker's."""
    told = F.coalesce(clock.moment(F.col("said_time")), clock.instant(F.col("replay_time")))
    return F.coalesce(F.timestamp_micros(told), F.col("kafka_time"))


def event_hour(form: Form) -> Column:
    """The UTC hour of a reading, by the time that silver would keep of it; null where it tells none, as on control."""
    if form.role == "control":
        return F.lit(None).cast("timestamp")
    at = F.timestamp_micros(clock.in_years(F.col("at_us")))
    is_tombstone = F.col("value").isNull()
    return clock.utc_hour(at if form.role == "fact" else F.when(is_tombstone, said_at()).otherwise(at))


def time_kept(form: Form) -> str:
    """The column of silver that says when a row's event happened."""
    return "event_time" if form.role == "fact" else "valid_from"


def body_columns(form: Form, pseudonym: Pseudonym) -> dict[str, Column]:
    """The body's own fields: ids of people as pseudonyms, times as instants, unknown fields in `rest`."""
    columns = {}
    for field in form.fields:
        value = F.col(f"body.{field.name}")
        if field.is_pseudonym:
            value = pseudonym(value)
        columns[field.name] = F.timestamp_micros(value) if field.is_time else value
    return columns | {"rest": F.col("rest"), "event_time": F.timestamp_micros(F.col("at_us"))}


@cache
def provenance(form: Form) -> dict[str, Column]:
    """Where the row is from, when it happened and what it is made of."""
    at = F.timestamp_micros(F.col("at_us"))
    return {
        "event_date": local_date(at, form.zone),
        "id_date": F.col("id_date"),
        "valid_from": at,
        "producer_id": F.col("body.producer.id"),
        "producer_epoch": F.col("body.producer.epoch"),
        "producer_seq": F.col("body.producer.seq"),
        "sent_at": F.timestamp_micros(F.col("body.sent_time")),
        "skew_ms": F.call_function("div", F.col("skew_us"), F.lit(SHIFT_UNIT)),
        "content_hash": hash_of_content(form),
        **{name: F.col(name) for name in ("source_uri", "schema_version", "kafka_topic_id", "kafka_partition")},
        **{name: F.col(name) for name in ("kafka_offset", "kafka_time", "ingest_seq")},
    }


def hash_of_content(form: Form) -> Column:
    """The hash of a body by the fields of its version, so that a new version changes no hash of an older one."""
    if len(form.editions) == 1:
        return content_hash(hashed_fields(form.editions[0]))
    version = F.col("schema_version")
    return F.coalesce(*(F.when(version == each.version, content_hash(hashed_fields(each))) for each in form.editions))


def hashed_fields(edition: Edition) -> Iterator[tuple[str, Column]]:
    """The body's raw fields as two equal contents would have them equal, unknown ones included.

    A field that is kept in `rest` until silver has a column for it counts as itself, so that its hash stays then.
    """
    for field in edition.fields:
        value = F.col(f"body.{field.column}")
        yield field.column, in_key_order(value) if field.kind == "map" else value
    rest = F.col("rest")
    if edition.unpromised:
        others = F.map_filter(rest, lambda name, _: ~name.isin(*edition.unpromised))
        rest = F.when(F.size(others) > 0, others)
    yield "rest", in_key_order(rest)


def refused(readings: DataFrame, form: Form) -> DataFrame:
    """One row per refused reading with every reason, in the columns of silver.quarantine."""
    number = F.regexp_extract("ce_type", r"\.v([0-9]{1,9})\z", 1)
    return readings.where("NOT taken").select(
        "topic",
        "kafka_topic_id",
        "kafka_partition",
        "kafka_offset",
        "kafka_time",
        reasons(form).alias("reasons"),
        F.concat(
            F.lit("value of "), F.coalesce(F.octet_length("value"), F.lit(0)).cast("string"), F.lit(" bytes")
        ).alias("detail"),
        F.lit(None).cast("struct<partition:int,offset:bigint>").alias("twin"),
        number.try_cast("int").alias("schema_version"),
        "source_uri",
        F.when(F.col("id_date").isNotNull(), F.col("body.event_id")).alias("event_id"),
        event_hour(form).alias("event_hour"),
        "ingest_seq",
        F.when(F.length("body.producer.id") <= LONGEST, F.col("body.producer.id")).alias("producer_id"),
        F.col("body.producer.epoch").alias("producer_epoch"),
        F.col("body.producer.seq").alias("producer_seq"),
    )
