"""Records as they lie in bronze → readings: coordinates, headers, the parsed body, the honest time, and the verdict."""

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions import clock
from jobs.definitions.event_ids import id_date
from jobs.definitions.events.editions import reading_of
from jobs.definitions.events.form import Form
from jobs.definitions.events.judging import is_taken
from jobs.definitions.events.scanned import columns_told

PLACE = ("kafka_topic_id", "kafka_partition", "kafka_offset", "kafka_time")
HEADERS = {
    "ce_id": "ce_id", "ce_type": "ce_type", "source_uri": "ce_source", "said_time": "ce_time",
    "declared_range": "ce_replayrange", "replay_time": "ce_replaytime",
}  # fmt: skip
OPENED = ", ".join(
    [
        "topic string, kafka_topic_id string, kafka_partition int, kafka_offset bigint, kafka_time timestamp",
        "ingest_seq bigint, key string",
        *(f"{name} string" for name in HEADERS),
        "value binary",
    ]
)


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
    bodies = records.transform(opened).transform(with_body, form)
    return bodies.transform(with_times, form).transform(with_verdict, form)


def opened(records: DataFrame) -> DataFrame:
    """The record's parts, as OPENED: key and headers as text (absent when not UTF-8), the value as it is."""
    return records.select(
        "topic",
        *places(records),
        "ingest_seq",
        as_text(F.col("key")).alias("key"),
        *(header(name).alias(column) for column, name in HEADERS.items()),
        "value",
    )


def header(name: str) -> Column:
    """The first header of that name as text; null when absent."""
    place = F.array_position(F.col("headers.key"), F.lit(name)).cast("int")
    return as_text(F.get(F.col("headers.value"), place - 1))


def as_text(raw: Column) -> Column:
    """Bytes as text; null for what is not UTF-8.

    Spark makes a text of any bytes, which has to be looked at; an engine of Arrow's makes none of such.
    """
    return F.try_validate_utf8(raw.try_cast("string"))


def with_body(opened_records: DataFrame, form: Form) -> DataFrame:
    """Add what the text says (`body`, `rest`) and what is wrong with it (`torn`, `is_unread`), as `scanned.READING`."""
    told = f"{OPENED}, {columns_told(form.struct.simpleString())}"
    return opened_records.mapInArrow(reading_of(form), told)


def with_times(bodies: DataFrame, form: Form) -> DataFrame:
    """Add the contract version (null for an unknown type), the id's date, what the clocks say, and the true time."""
    version = F.coalesce(*(F.when(F.col("ce_type") == name, F.lit(n)) for name, n in form.versions.items()))
    arrived = clock.arrival_by(F.col("source_uri"), F.col("kafka_time"), F.col("replay_time"))
    with_skew = bodies.select(
        "*",
        version.cast("int").alias("schema_version"),
        id_date(F.col("body.event_id")).alias("id_date"),
        arrived.alias("arrived_us"),
        clock.skew(arrived, F.col("body.sent_time")).alias("skew_us"),
    )
    return with_skew.select("*", clock.corrected(F.col("body.event_time"), F.col("skew_us")).alias("at_us"))


def with_verdict(timed: DataFrame, form: Form) -> DataFrame:
    """Add `taken`; what is wrong with the others is for those who ask (`rows.refused`)."""
    return timed.select("*", is_taken(form).alias("taken"))
