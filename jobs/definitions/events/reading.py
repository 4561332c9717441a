"""Records as they lie in bronze → readings: coordinates, headers, the parsed body, the honest time, and the verdict."""

from functools import cache

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions import clock
from jobs.definitions.events import text as body_text
from jobs.definitions.events.faults import faults
from jobs.definitions.events.form import Form
from jobs.definitions.events.judging import is_taken, reasons

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
    bodies = records.transform(opened).transform(with_body, form).transform(with_look, form)
    return bodies.transform(with_times, form).transform(with_verdict, form)


def opened(records: DataFrame) -> DataFrame:
    """The record's parts as text: key, headers, value; invalid UTF-8 in key or headers counts as absent."""
    return records.select(
        "topic",
        *places(records),
        "ingest_seq",
        F.try_validate_utf8(F.col("key").cast("string")).alias("key"),
        *(header(name).alias(column) for column, name in HEADERS.items()),
        body_text.trimmed(F.col("value")).alias("text"),
    )


def header(name: str) -> Column:
    """The first header of that name as text; null when absent."""
    place = F.array_position(F.col("headers.key"), F.lit(name)).cast("int")
    return F.try_validate_utf8(F.get(F.col("headers.value"), place - 1).cast("string"))


def with_body(opened_records: DataFrame, form: Form) -> DataFrame:
    """Add `body`. Through a generator, or the optimizer would parse again wherever a field is looked at."""
    body = F.struct(body_text.parsed(F.col("text"), form.struct).alias("body"))
    return opened_records.select("*", F.inline(F.array(body)))


def with_look(bodies: DataFrame, form: Form) -> DataFrame:
    """Add `torn`: null for a plain text (the common case), else all that is wrong with it, which may be nothing.

    Through a generator too, so that it is worked out once for all that ask.
    """
    return bodies.select("*", F.inline(F.array(F.struct(look(form).alias("torn")))))


@cache
def look(form: Form) -> Column:
    """What is wrong with a text that is not plain."""
    text, body = F.col("text"), F.col("body")
    plain = text.isNull() | body_text.is_plain(text, body, form.fields)
    return F.when(~plain, faults(text, body, form.fields))


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
