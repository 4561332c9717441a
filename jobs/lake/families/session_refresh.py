"""What a run must do to the sessions, as a pure plan: facts and what is published in, what to write out.

New acts can only lengthen sessions and join them (a pause may be filled, never made): whatever new acts and old
sessions lie within half an hour of each other becomes one. So the spans of those are read again, and nothing else.
That does not hold where an act went away, since an earlier arrival took its place: then all is built anew.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from jobs.definitions.local_time import local_date
from jobs.definitions.sessions import own_acts, reach, starts_session
from jobs.lake.work import Staged
from jobs.silver import sessions
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

Keep = Callable[[DataFrame], DataFrame]
TABLE = "silver.sessions"
SPAN = ("user_id", "from_at", "until_at")


@dataclass(frozen=True)
class Facts:
    """The inputs, each at one version."""

    views: DataFrame
    likes: DataFrame
    orders: DataFrame

    def where(self, condition: Column) -> "Facts":
        """Some of each."""
        return Facts(*(facts.where(condition) for facts in (self.views, self.likes, self.orders)))

    def within(self, spans: DataFrame, days: Sequence[date]) -> "Facts":
        """What the users of the spans did in them; all of it lies in the `days`."""
        near = self.where(F.col("event_date").isin(*days))
        return Facts(*(_within(facts, spans) for facts in (near.views, near.likes, near.orders)))

    def sessions(self) -> DataFrame:
        """The sessions these facts form."""
        return sessions.build(self.views, self.likes, self.orders)


def rebuild(facts: Facts) -> Iterator[Staged]:
    """Everything from the facts."""
    yield Staged(TABLE, facts.sessions(), "replace_all")


def refresh(
    facts: Facts, touched: Facts, known: DataFrame, zone: str, keep: Keep = DataFrame.persist
) -> Iterator[Staged]:
    """The days on which a session has become another by the touched facts; nothing when none of them is an own act."""
    acts = keep(acts_of(touched))
    met = keep(met_by(acts, known))
    spans = keep(spans_of(acts, met))
    fresh = keep(facts.within(spans, days_of(spans, zone)).sessions())
    days = session_days(fresh, met)
    if days:
        yield Staged(TABLE, now(known, met, fresh, days), "replace_slices", days)


def acts_of(facts: Facts) -> DataFrame:
    """(user_id, at) of every own act."""
    return own_acts(facts.views, facts.likes, facts.orders, ("user_id", "event_time")).select(
        "user_id", F.col("event_time").alias("at")
    )


def met_by(acts: DataFrame, known: DataFrame) -> DataFrame:
    """The known sessions (rows of silver.sessions) that an act (user_id, at) lies in, or near enough to lengthen."""
    theirs = acts.select(F.col("user_id").alias("whose"), "at")
    is_near = (known["started_at"] <= reach(theirs["at"])) & (theirs["at"] <= reach(known["ended_at"]))
    return known.join(theirs, on=[known["user_id"] == theirs["whose"], is_near], how="left_semi")


def spans_of(acts: DataFrame, met: DataFrame) -> DataFrame:
    """SPAN: where the sessions lie that acts (user_id, at) and the sessions they meet become, one row each."""
    points = acts.select("user_id", F.col("at").alias("from_at"), F.col("at").alias("until_at"))
    parts = points.unionByName(
        met.select("user_id", F.col("started_at").alias("from_at"), F.col("ended_at").alias("until_at"))
    )
    in_turn = Window.partitionBy("user_id").orderBy("from_at", "until_at")
    before = F.max("until_at").over(in_turn.rowsBetween(Window.unboundedPreceding, -1))
    number = F.count_if("starts").over(in_turn.rowsBetween(Window.unboundedPreceding, 0))
    return (
        parts.withColumn("starts", starts_session(F.col("from_at"), before))
        .withColumn("number", number)
        .groupBy("user_id", "number")
        .agg(F.min("from_at").alias("from_at"), F.max("until_at").alias("until_at"))
        .select(*SPAN)
    )


def days_of(spans: DataFrame, zone: str) -> tuple[date, ...]:
    """Every local day a span touches, in order."""
    each = F.explode(F.sequence(local_date(F.col("from_at"), zone), local_date(F.col("until_at"), zone)))
    return _days(spans.select(each.alias("day")))


def session_days(*frames: DataFrame) -> tuple[date, ...]:
    """The days on which sessions of any of the frames began, in order."""
    first, *others = (frame.select(F.col("session_date").alias("day")) for frame in frames)
    for other in others:
        first = first.unionByName(other)
    return _days(first)


def now(known: DataFrame, met: DataFrame, fresh: DataFrame, days: Sequence[date]) -> DataFrame:
    """All sessions of the days: those that were not met as they were, the others as they have become."""
    of_days = known.where(F.col("session_date").isin(*days))
    kept = of_days.join(met.select("user_id", "started_at"), on=["user_id", "started_at"], how="left_anti")
    return kept.unionByName(fresh)


def _within(facts: DataFrame, spans: DataFrame) -> DataFrame:
    whose = spans.withColumnRenamed("user_id", "whose")
    inside = facts["event_time"].between(whose["from_at"], whose["until_at"])
    return facts.join(whose, on=[facts["user_id"] == whose["whose"], inside], how="left_semi")


def _days(of: DataFrame) -> tuple[date, ...]:
    return tuple(sorted(row["day"] for row in of.distinct().collect()))
