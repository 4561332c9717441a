"""silver.likes: what people did about what they saw: likes, shares, follows, carts, and their take-backs.

Grain: event_id; the first arrival of each event.
"""

from pyspark.sql import DataFrame

from jobs.definitions.events.form import Form, Pseudonym
from jobs.definitions.events.rows import taken


def build(readings: DataFrame, *, form: Form, pseudonym: Pseudonym) -> DataFrame:
    """Readings of first arrivals in, the rows of those that keep every rule out."""
    return taken(readings, form, pseudonym)
