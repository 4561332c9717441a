"""bronze.events: every record of every topic as it was received; nothing upstream is needed ever again.

Grain: topic_id x partition x offset.
"""

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F


def build(records: DataFrame, *, topic_ids: Mapping[str, str], ingest_seq: int) -> DataFrame:
    """What Spark's Kafka source reads (headers included), with the topic's own id and the batch that took it in."""
    return records.select(
        "topic",
        id_of_topic(topic_ids).alias("topic_id"),
        "partition",
        "offset",
        F.col("timestamp").alias("kafka_time"),
        "key",
        "value",
        "headers",
        F.lit(ingest_seq).cast("bigint").alias("ingest_seq"),
        F.to_date("timestamp").alias("received_date"),
    )


def id_of_topic(topic_ids: Mapping[str, str]) -> Column:
    """The broker's id of the record's topic: a re-created topic has another."""
    return F.coalesce(*(F.when(F.col("topic") == name, F.lit(number)) for name, number in sorted(topic_ids.items())))
