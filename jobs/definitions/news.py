"""News: which cause of a change a fact or a description is, by the watermark of the release before it came."""

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions.causes import CORRECTION, ERASURE, LATE_DATA, OF_NEWS, ON_TIME, REPLAY, REVERSAL

REVERSING = ("cancelled", "refunded")


def place_of_fact(watermark: Column, is_replayed: Column) -> Column:
    """The place in OF_NEWS of a view, like or order; late is what happened before the watermark."""
    return (
        F.when(is_replayed, _place(REPLAY))
        .when(F.col("kind").isin(*REVERSING), _place(REVERSAL))
        .when(F.col("event_time") < watermark, _place(LATE_DATA))
        .otherwise(_place(ON_TIME))
    )


def place_of_undoing() -> Column:
    """The place in OF_NEWS of a replay that was undone: what it changed is taken back under the same word."""
    return _place(REPLAY)


def place_of_erasure() -> Column:
    """The place in OF_NEWS of a person who was erased: whatever else is new of them, it is that."""
    return _place(ERASURE)


def place_of_description(watermark: Column) -> Column:
    """The place in OF_NEWS of what is said of a person or video: a correction if it holds from before the watermark.

    A row that was closed is news from its end on, and not from its beginning.
    """
    since = F.coalesce("valid_to", "valid_from")
    return F.when(since < watermark, _place(CORRECTION)).otherwise(_place(ON_TIME))


def cause_at(place: Column) -> Column:
    """The word at a place in OF_NEWS."""
    return F.get(F.array(*[F.lit(word) for word in OF_NEWS]), place)


def _place(cause: str) -> Column:
    return F.lit(OF_NEWS.index(cause))
