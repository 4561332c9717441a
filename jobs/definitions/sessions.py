"""What it means to be there: own acts, and the visits they form."""

from pyspark.sql import Column
from pyspark.sql import functions as F

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
