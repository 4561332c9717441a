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
from jobs.definitions.funnel import order_lines
from jobs.definitions.funnel.model import Definition, Exclusion, Step
from jobs.definitions.funnel.vocabulary import ACTS, DERIVED, FROM_LINES, FROM_USERS, FROM_VIDEOS, TOPIC_PREFIX
from jobs.definitions.json_text import json_text
from jobs.definitions.money import gross_fen
from jobs.definitions.unions import together
from jobs.definitions.watching import ASKED, is_completed_view, is_valid_view

OBJECTS = ("video_id", "product_id", "live_room_id", "creator_id", "order_id", "query")  # what a double tap repeats
BASE = ("user_id", "event_time", "event_id", "event", "kind", "reversed_at")
MADE = (order_lines.PLACE, "line_product")
IN_SCOPE, IS_OPENING, IS_TAP = 1, 2, 4  # bits of flags_<n>


def named_events(views: DataFrame, likes: DataFrame, orders: DataFrame, definitions: Sequence[Definition]) -> DataFrame:
    """The acts, and what else a definition names; `event` is that name, with the columns of the facts asked for."""
    names = sorted({name for definition in definitions for name in definition.events} | set(ACTS))
    asked, orders = _asked(definitions), with_reversal(orders)
    if any(order_lines.is_held(one) for one in definitions):
        orders = order_lines.per_product(orders)
    facts = {"views": views, "likes": likes, "orders": orders}
    renamed = [
        frame.withColumn("event", F.concat(F.lit(TOPIC_PREFIX[topic]), F.col("kind")))
        .where(F.col("event").isin(names))
        .select(*[name for name in [*frame.columns, "event"] if name in asked])
        for topic, frame in facts.items()
    ]
    return together(*renamed)


def _asked(definitions: Sequence[Definition]) -> set[str]:
    """Names of columns that some definition may need; the words of a `where` are among them, whatever they are."""
    wheres = " ".join(where for one in definitions for where in one.predicates)
    named = {name for one in definitions for name in (*one.hold, *one.broken_down_by)}
    return {*BASE, *MADE, *OBJECTS, *ASKED, *named, *re.findall(r"[A-Za-z_]\w*", wheres)}


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
    broken_down = {name for definition in definitions for name in definition.broken_down_by}
    if any(name in asked for name in (*FROM_VIDEOS, *DERIVED)) or broken_down & set(FROM_VIDEOS):
        events = with_version(events, videos, "video_id", "event_time", {name: name for name in FROM_VIDEOS})
    else:
        events = events.withColumns({name: F.lit(None).cast(kind) for name, kind in FROM_VIDEOS.items()})
    return events.withColumns({"is_valid_view": is_valid_view(), "is_completed_view": is_completed_view()})


def kernel_events(events: DataFrame, definitions: Sequence[Definition], acts: Sequence[str] = ()) -> DataFrame:
    """One row per event that matters to any definition or is one of `acts`, in the kernel's columns.

    user_id, at (µs), event_id, reversed_at (µs), object, act (its place in `acts`, from 1), by_<breakdown>, and per
    definition n: steps_<n>; where it needs them exclusions_<n> (bits), flags_<n>, and hold_<n> (JSON of the key, null
    where one of its parts is).
    """
    per_definition: dict[str, Column] = {}
    for number, one in enumerate(definitions):
        columns = _columns_of(number, one)
        per_definition |= columns if order_lines.is_held(one) else _of_whole_events(columns, definitions)
    is_asked = [F.col(name) != 0 for name in per_definition if not name.startswith("hold_")]
    names = F.array(*[F.lit(name) for name in acts]) if acts else F.array().cast("array<string>")
    return events.select(
        "user_id",
        F.unix_micros("event_time").alias("at"),
        "event_id",
        F.unix_micros("reversed_at").alias("reversed_at"),
        _object(definitions).alias("object"),
        F.array_position(names, F.col("event")).cast("int").alias("act"),
        *[F.col(name).cast("string").alias(f"by_{name}") for name in event_breakdowns(definitions)],
        *[column.alias(name) for name, column in per_definition.items()],
    ).where(joined(Column.__or__, [*is_asked, F.col("act") > 0]))


def _object(definitions: Sequence[Definition]) -> Column:
    """What a double tap would repeat, the event's name included; the rows of one order are things of their own."""
    if not any(step.distinct for one in definitions for step in one.steps):
        return F.lit(None).cast("string")
    names = [F.col(name) for name in OBJECTS]
    if any(order_lines.is_held(one) for one in definitions):
        names.append(F.when(F.col(order_lines.PLACE) > 0, F.col("line_product")).alias("line_product"))
    return F.to_json(F.struct("event", *names))


def event_breakdowns(definitions: Sequence[Definition]) -> list[str]:
    """Breakdowns read from the event (the others are read from the user as of the entry), sorted."""
    return sorted({name for one in definitions for name in one.broken_down_by} - set(FROM_USERS))


def _columns_of(number: int, definition: Definition) -> dict[str, Column]:
    """What the kernel needs to know of an event for one definition."""
    columns = {f"steps_{number}": _bits(definition.steps)}
    if definition.exclusions:
        columns[f"exclusions_{number}"] = _bits(definition.exclusions)
    if definition.scope or definition.first_entry_only == "true" or _distinct_events(definition):
        columns[f"flags_{number}"] = _flags(definition)
    if definition.hold:
        columns[f"hold_{number}"] = _hold(definition)
    return columns


def _of_whole_events(columns: dict[str, Column], definitions: Sequence[Definition]) -> dict[str, Column]:
    """The columns of a funnel that holds no product: to it an order is one event, whatever rows others need."""
    if not any(order_lines.is_held(one) for one in definitions):
        return columns
    is_whole = F.coalesce(F.col(order_lines.PLACE), F.lit(0)) == 0
    return {
        name: column if name.startswith("hold_") else F.when(is_whole, column).otherwise(0)
        for name, column in columns.items()
    }


def _flags(definition: Definition) -> Column:
    """IN_SCOPE, IS_OPENING and IS_TAP of the event, as a bigint; whatever a `where` says of it."""
    asked = {
        IN_SCOPE: definition.scope,
        IS_OPENING: definition.steps[0].events if definition.first_entry_only == "true" else (),
        IS_TAP: _distinct_events(definition),  # one that fills no step may be what the next one only repeats
    }
    bits = [F.when(F.col("event").isin(*names), bit).otherwise(0) for bit, names in asked.items() if names]
    return reduce(Column.bitwiseOR, bits).cast("bigint")


def _distinct_events(definition: Definition) -> tuple[str, ...]:
    """The events of which a double tap fills no step (rule 22)."""
    return tuple(sorted({name for step in definition.steps if step.distinct for name in step.events}))


def _hold(definition: Definition) -> Column:
    """The key that all steps share, as JSON; null where one of its parts is."""
    parts = {name: order_lines.product() if name == FROM_LINES else F.col(name) for name in definition.hold}
    complete = reduce(Column.__and__, [part.isNotNull() for part in parts.values()])
    return F.when(complete, json_text(F.struct(*[part.alias(name) for name, part in parts.items()])))


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
