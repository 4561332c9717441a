"""silver.quarantine: records that could not be read, typed or believed, with every reason; their bytes stay in bronze.

Grain: kafka_topic_id x kafka_partition x kafka_offset.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.events.form import Form
from jobs.definitions.events.rows import refused


def build(readings: DataFrame, *, form: Form) -> DataFrame:
    """Readings of one topic in, one row for each that was refused out, with every reason."""
    return refused(readings, form)


def conflicts(verdicts: DataFrame, *, topic: str, ingest_seq: int) -> DataFrame:
    """Arrivals that repeat an id with another content (columns of `firsts.judged`) as rows of the table."""
    found = verdicts.where("fate = 'conflict'")
    return refused_for("conflict", "the event of this id that came first has another content", found, topic, ingest_seq)


def retracted(arrivals: DataFrame, *, topic: str, ingest_seq: int) -> DataFrame:
    """Arrivals of a replay that was taken back (PLACE, kafka_time, event_id, event_hour) as rows of the table."""
    twinless = arrivals.withColumn("twin", F.lit(None).cast("struct<partition:int,offset:bigint>"))
    return refused_for("retracted", "the replay that sent it was undone", twinless, topic, ingest_seq)


def refused_for(reason: str, detail: str, arrivals: DataFrame, topic: str, ingest_seq: int) -> DataFrame:
    """Arrivals that are good in themselves (PLACE, kafka_time, twin, event_id, event_hour) as rows of the table."""
    return arrivals.select(
        F.lit(topic).alias("topic"),
        "kafka_topic_id",
        "kafka_partition",
        "kafka_offset",
        "kafka_time",
        F.array(F.lit(reason)).alias("reasons"),
        F.lit(detail).alias("detail"),
        "twin",
        F.lit(None).cast("int").alias("schema_version"),
        F.lit(None).cast("string").alias("source_uri"),
        "event_id",
        "event_hour",
        F.lit(ingest_seq).cast("bigint").alias("ingest_seq"),
        F.lit(None).cast("string").alias("producer_id"),
        F.lit(None).cast("bigint").alias("producer_epoch"),
        F.lit(None).cast("bigint").alias("producer_seq"),
    )
