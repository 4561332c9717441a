"""Records as they lie in bronze → readings: coordinates, headers, the parsed body, the honest time, and the verdict."""

from collections.abc import Mapping
from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions import clock
from jobs.definitions.events import text as body_text
from jobs.definitions.events.faults import faults, is_unread
from jobs.definitions.events.form import Form
from jobs.definitions.events.judging import is_taken, reasons
from jobs.definitions.events.scanned import plain_bodies

PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset", "kafka_time")
HEADERS = {
    "ce_id": "ce_id", "ce_type": "ce_type", "source_uri": "ce_source", "said_time": "ce_time",
    "declared_range": "ce_replayrange", "replay_time": "ce_replaytime",
}  # fmt: skip


def places(records: DataFrame) -> list[Column]:
    """Bronze's coordinates under the names that silver uses."""
    return [
        records["topic_id"].alias("kafka_topic_id"),
        records["partition"].alias("kafka_partition"),
        records["offset"].alias("kafka_offset"),
        records["kafka_time"],
    ]


def read(records: DataFrame, form: Form) -> DataFrame:
    """Parse and judge each record of the topic once; one row per record, the refused among them."""
    bodies = records.transform(opened).transform(with_plain, form).transform(with_parsed, form)
    return bodies.transform(with_body, form).transform(with_times, form).transform(with_verdict, form)


def opened(records: DataFrame) -> DataFrame:
    """The record's parts: key and headers as text (absent when not UTF-8), the value as it is."""
    return records.select(
        "topic",
        *places(records),
        "ingest_seq",
        F.try_validate_utf8(F.col("key").cast("string")).alias("key"),
        *(header(name).alias(column) for column, name in HEADERS.items()),
        "value",
    )


def header(name: str) -> Column:
    """The first header of that name as text; null when absent."""
    place = F.array_position(F.col("headers.key"), F.lit(name)).cast("int")
    return F.try_validate_utf8(F.get(F.col("headers.value"), place - 1).cast("string"))


def with_plain(opened_records: DataFrame, form: Form) -> DataFrame:
    """Add `plain`: the body, where the kernel can vouch for it; and `text` for a closer look where it cannot."""
    plain, trimmed = F.col("plain"), body_text.trimmed(F.col("value"))
    scanned = opened_records.select("*", plain_bodies(form)(F.col("value")).alias("plain"))
    return scanned.select("*", F.when(plain.isNull(), trimmed).alias("text"))


def with_parsed(bodies: DataFrame, form: Form) -> DataFrame:
    """Add `parsed`: what Spark's reader makes of a text that is not plain.

    Through a generator, or the optimizer would parse again wherever a field is looked at.
    """
    parsed = body_text.parsed(F.col("text"), form.struct)
    return bodies.select("*", once({"parsed": F.when(F.col("text").isNotNull(), parsed)}))


def with_body(bodies: DataFrame, form: Form) -> DataFrame:
    """Add `body`, `is_unread`, and `torn`: null for a plain body, else all that is wrong with it, which may be nothing."""
    return bodies.select("*", once(look(form))).drop("plain", "parsed")


@cache
def look(form: Form) -> dict[str, Column]:
    """The columns that a close look adds."""
    text, parsed = F.col("text"), F.col("parsed")
    body = F.when(parsed.isNotNull(), F.struct(*(parsed[name].alias(name) for name in form.struct.names)))
    return {
        "body": F.coalesce("plain", body),
        "torn": F.when(text.isNotNull(), faults(text, parsed, form.fields)),
        "is_unread": F.when(text.isNotNull(), is_unread(text, parsed)).otherwise(F.lit(False)),
    }


def once(columns: Mapping[str, Column]) -> Column:
    """Columns that are worked out once for all who ask: by a generator of one row."""
    return F.inline(F.array(F.struct(*(column.alias(name) for name, column in columns.items()))))


def with_times(bodies: DataFrame, form: Form) -> DataFrame:
    """Add the contract version (null for an unknown type), what the clocks say, and the corrected time, in µs."""
    version = F.coalesce(*(F.when(F.col("ce_type") == name, F.lit(n)) for name, n in form.versions.items()))
    arrived = clock.arrival_by(F.col("source_uri"), F.col("kafka_time"), F.col("replay_time"))
    with_skew = bodies.select(
        "*",
        version.cast("int").alias("schema_version"),
        arrived.alias("arrived_us"),
        clock.skew(arrived, F.col("body.sent_time")).alias("skew_us"),
    )
    return with_skew.select("*", clock.corrected(F.col("body.event_time"), F.col("skew_us")).alias("at_us"))


def with_verdict(timed: DataFrame, form: Form) -> DataFrame:
    """Add `taken`, and for the others `reasons`."""
    verdict = is_taken(form)
    return timed.select("*", verdict.alias("taken"), F.when(~verdict, reasons(form)).alias("reasons"))
