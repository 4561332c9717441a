"""The three facts as one stream of events that carry, for every definition at once, which of its steps they match.

One pass and one shuffle serve all funnels: the kernel (jobs/definitions/funnel/in_arrow.py) reads this frame by user.
"""

import re
from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.as_of import with_version
from jobs.definitions.balanced import joined
from jobs.definitions.funnel.model import Definition, Exclusion, Step
from jobs.definitions.funnel.vocabulary import DERIVED, FROM_USERS, FROM_VIDEOS, TOPIC_PREFIX
from jobs.definitions.money import gross_fen
from jobs.definitions.watching import ASKED, is_completed_view, is_valid_view

OBJECTS = ("video_id", "product_id", "live_room_id", "creator_id", "order_id", "query")  # what a double tap repeats
BASE = ("user_id", "event_time", "event_id", "event", "kind", "reversed_at")
IN_SCOPE, IS_OPENING = 1, 2  # bits of flags_<n>


def named_events(views: DataFrame, likes: DataFrame, orders: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """The events any definition names, `event` being that name, with the columns of their facts asked for."""
    names, asked = sorted({name for definition in definitions for name in definition.events}), _asked(definitions)
    facts = {"views": views, "likes": likes, "orders": with_reversal(orders)}
    renamed = [
        frame.withColumn("event", F.concat(F.lit(TOPIC_PREFIX[topic]), F.col("kind")))
        .where(F.col("event").isin(names))
        .select(*[name for name in [*frame.columns, "event"] if name in asked])
        for topic, frame in facts.items()
    ]
    return reduce(lambda one, other: one.unionByName(other, allowMissingColumns=True), renamed)


def _asked(definitions: Sequence[Definition]) -> set[str]:
    """Names of columns that some definition may need; the words of a `where` are among them, whatever they are."""
    wheres = " ".join(where for one in definitions for where in one.predicates)
    named = {name for one in definitions for name in (*one.hold, *one.breakdowns)}
    return {*BASE, *OBJECTS, *ASKED, *named, *re.findall(r"[A-Za-z_]\w*", wheres)}


def with_reversal(orders: DataFrame) -> DataFrame:
    """Attach `reversed_at` to every event of an order: when it was cancelled, or the refunds reached what was paid."""
    key = ["user_id", "order_id"]
    so_far = Window.partitionBy(*key).orderBy("event_time", "event_id").rowsBetween(Window.unboundedPreceding, 0)
    payment = F.when(F.col("kind") == "paid", F.struct("event_time", "event_id"))
    refund = F.when(F.col("kind") == "refunded", F.coalesce("refund_fen", F.lit(0)))
    paid = F.min_by(F.when(F.col("kind") == "paid", gross_fen(F.col("lines"), F.col("freight_fen"))), payment)
    in_full = (F.col("kind") == "refunded") & (F.col("refunded_fen") >= F.col("paid_fen"))
    ends = (
        orders.where(F.col("kind").isin("paid", "cancelled", "refunded"))
        .withColumn("refunded_fen", F.sum(refund).over(so_far))
        .withColumn("paid_fen", paid.over(Window.partitionBy(*key)))
        .groupBy(*key)
        .agg(F.min(F.when((F.col("kind") == "cancelled") | in_full, F.col("event_time"))).alias("reversed_at"))
    )
    return orders.join(ends, on=key, how="left")


def with_properties(events: DataFrame, videos: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """Attach what may be asked beyond the facts: the video as of the event, and the derived booleans."""
    asked = " ".join(where for definition in definitions for where in definition.predicates)
    broken_down = {name for definition in definitions for name in definition.breakdowns}
    if any(name in asked for name in (*FROM_VIDEOS, *DERIVED)) or broken_down & set(FROM_VIDEOS):
        events = with_version(events, videos, "video_id", "event_time", {name: name for name in FROM_VIDEOS})
    else:
        events = events.withColumns({name: F.lit(None).cast(kind) for name, kind in FROM_VIDEOS.items()})
    return events.withColumns({"is_valid_view": is_valid_view(), "is_completed_view": is_completed_view()})


def kernel_events(events: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """One row per event that matters to any definition, in the kernel's columns.

    user_id, at (µs), event_id, reversed_at (µs), object, by_<breakdown>, and per definition n: steps_<n>,
    exclusions_<n> (bits), flags_<n>, hold_<n> (JSON of the key, null where one of its parts is).
    """
    per_definition = [column for number, one in enumerate(definitions) for column in _columns_of(number, one)]
    matters = joined(
        Column.__or__,
        [(F.col(f"{part}_{n}") != 0) for n in range(len(definitions)) for part in ("steps", "exclusions", "flags")],
    )
    needs_object = any(step.distinct for one in definitions for step in one.steps)
    return events.select(
        "user_id",
        F.unix_micros("event_time").alias("at"),
        "event_id",
        F.unix_micros("reversed_at").alias("reversed_at"),
        (F.to_json(F.struct("event", *OBJECTS)) if needs_object else F.lit(None).cast("string")).alias("object"),
        *[F.col(name).cast("string").alias(f"by_{name}") for name in event_breakdowns(definitions)],
        *per_definition,
    ).where(matters)


def event_breakdowns(definitions: Sequence[Definition]) -> list[str]:
    """Breakdowns read from the event (the others are read from the user as of the entry), sorted."""
    return sorted({name for one in definitions for name in one.breakdowns} - set(FROM_USERS))


def _columns_of(number: int, definition: Definition) -> list[Column]:
    """What the kernel needs to know of an event for one definition."""
    in_scope = F.when(F.col("event").isin(*definition.scope), IN_SCOPE).otherwise(0) if definition.scope else F.lit(0)
    needs_opening = definition.first_entry_only == "true"
    opening = F.when(F.col("event").isin(*definition.steps[0].events), IS_OPENING).otherwise(0)
    hold = F.lit(None).cast("string")
    if definition.hold:
        complete = reduce(Column.__and__, [F.col(name).isNotNull() for name in definition.hold])
        hold = F.when(complete, F.to_json(F.struct(*definition.hold)))
    return [
        _bits(definition.steps).alias(f"steps_{number}"),
        _bits(definition.exclusions).alias(f"exclusions_{number}"),
        (in_scope.bitwiseOR(opening) if needs_opening else in_scope).cast("bigint").alias(f"flags_{number}"),
        hold.alias(f"hold_{number}"),
    ]


def _bits(parts: Sequence[Step | Exclusion]) -> Column:
    """A bit per step or exclusion that the event matches, as a bigint."""
    bits = F.lit(0).cast("bigint")
    for place, part in enumerate(parts):
        fits = F.col("event").isin(*part.events)
        if part.where:
            fits &= F.coalesce(F.expr(f"({part.where})"), F.lit(False))
        one = (1 << place) - (1 << 64 if place == 63 else 0)
        bits = bits.bitwiseOR(F.when(fits, F.lit(one).cast("bigint")).otherwise(F.lit(0).cast("bigint")))
    return bits
