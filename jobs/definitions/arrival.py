"""Who was first: of several arrivals of one event, the least by (Kafka time, partition, offset).

Two lives of one topic may share all three; the topic's id tells them apart.
"""

from pyspark.sql import Column, Window, WindowSpec
from pyspark.sql import functions as F

ARRIVAL = ("kafka_time", "kafka_partition", "kafka_offset", "kafka_topic_id")


def by_arrival(*keys: str) -> WindowSpec:
    """All arrivals with the same keys, first arrival first; a total order, for no two records share a place."""
    return Window.partitionBy(*keys).orderBy(*ARRIVAL)


def nth_arrival(*keys: str) -> Column:
    """The place in the line of arrivals, 1 for the first."""
    return F.row_number().over(by_arrival(*keys))


def of_first(column: str, *keys: str) -> Column:
    """A column's value in the first arrival."""
    return F.first(column).over(by_arrival(*keys).rowsBetween(Window.unboundedPreceding, Window.currentRow))
