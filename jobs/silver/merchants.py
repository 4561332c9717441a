"""silver.merchants: who sells, as they were and when.

Grain: merchant_id x event_id; one row per accepted change, with the time it held.
"""

from pyspark.sql import DataFrame

from jobs.definitions.histories import rebuilt


def build(changes: DataFrame, known: DataFrame) -> DataFrame:
    """New changes and all known rows of their keys in, the rows that are new or hold for another time out."""
    return rebuilt(changes, known, key="merchant_id")
