"""silver.products: what is for sale, as it was and when.

Grain: product_id x event_id; one row per accepted change, with the time it held.
"""

from pyspark.sql import DataFrame

from jobs.definitions.histories import rebuilt


def build(changes: DataFrame, known: DataFrame) -> DataFrame:
    """New changes and all known rows of their keys in, the rows that are new or hold for another time out."""
    return rebuilt(changes, known, key="product_id")
