"""What it means to be there: own acts, and the visits they form."""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.unions import together

SESSION_GAP_MINUTES = 30
# Steps of an order that the shopper takes; the rest (cancelled by a timer, shipped, refunded, …) happens to them.
OWN_ORDER_STEPS = ("placed", "paid", "return_requested", "reviewed")


def is_own_step() -> Column:
    """The order's step was taken by the shopper, who was there to take it."""
    return F.col("kind").isin(*OWN_ORDER_STEPS)


def starts_session(at: Column, previous_at: Column) -> Column:
    """Nothing by this person in the 30 minutes before; midnight cuts nothing. `previous_at` is null for the first."""
    return previous_at.isNull() | (at > previous_at + F.expr(f"INTERVAL {SESSION_GAP_MINUTES} MINUTES"))


def reach(at: Column) -> Column:
    """The last instant whose session start can depend on an act at `at`."""
    return at + F.expr(f"INTERVAL {SESSION_GAP_MINUTES} MINUTES")


def own_acts(views: DataFrame, likes: DataFrame, orders: DataFrame, columns: Sequence[str]) -> DataFrame:
    """A row for every own act (a view, a like, a step the shopper took); null where its fact lacks a column."""
    facts = (views, likes, orders.where(is_own_step()))
    narrow = [frame.select(*[name for name in columns if name in frame.columns]) for frame in facts]
    return together(*narrow)


def with_session_starts(acts: DataFrame) -> DataFrame:
    """Mark the acts that open a session; acts at one instant open one together, so ties do not matter."""
    in_turn = Window.partitionBy("user_id").orderBy("event_time")
    previous_at = F.lag("event_time").over(in_turn)
    return acts.withColumn("starts_session", starts_session(F.col("event_time"), previous_at))
