"""gold.user_profiles: who is a user, what do they do, like and buy.

Grain: user_id, as of one business day (`as_of_day`): windows end with it, later days are not known yet on it.
"""

from collections.abc import Iterator, Mapping
from datetime import date

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.bots import is_suspected_bot
from jobs.definitions.interest import TOP_TOPICS
from jobs.definitions.lifecycle import RECENT_DAYS, lifecycle
from jobs.definitions.local_time import local_date
from jobs.definitions.money import PRICE_BANDS_FEN, REPEAT_WITHIN_DAYS, TOP_PRICE_BAND
from jobs.definitions.orders import settled
from jobs.definitions.people import NEEDS_PERSONALISATION, PERSONALISATION, generation, is_minor, may
from jobs.definitions.postings import IN, OUT, no_day, posted
from jobs.gold.user_days import ACTS, SCENES

WINDOWS = (7, 30, 90)
HABIT_DAYS = 90  # habits, favourite scenes and signs of a bot are read from so many days
TOPIC_KINDS = ("category", "creator", "tag", "price_band")
COUNTS = ("order_count", "gross_gmv_fen", "net_gmv_fen", "returned_order_count", "over_refunded_order_count",
          "unbelievable_order_count", "unmatched_refund_count", "event_count",
          *(f"{name}_{days}d" for days in WINDOWS for name in (
              "active_days", "session_count", "watch_seconds", "completed_view_count",
              *(f"{act}_count" for act in ACTS), "order_count", "gross_gmv_fen", "net_gmv_fen")))  # fmt: skip


def build(
    days: DataFrame,
    interest_days: DataFrame,
    interests: DataFrame,
    orders: DataFrame,
    people: DataFrame,
    *,
    day: date,
    zone: str,
) -> DataFrame:
    """Tiles, interests, silver.orders and the users as of `day` in, one row per user out.

    Every part has one row per user; a user is there who was registered, seen or paid by `day`.
    """
    parts = [done(days, day), bought(orders, day), chosen(interest_days, day), liked(interests)]
    known = who(people, day, zone)
    for part in parts:
        known = known.join(part, on=["user_id"], how="full")
    return known.where(_is_somebody()).transform(with_state, day=day).transform(with_consent)


def who(people: DataFrame, day: date, zone: str) -> DataFrame:
    """What silver.users says."""
    return people.select(
        "user_id",
        F.lit(True).alias("is_registered"),
        generation(F.col("birth_year"), day).alias("generation"),
        is_minor(F.col("birth_year"), day).alias("is_minor"),
        "city_tier",
        "region",
        "member_tier",
        "acquisition_channel",
        F.col("invited_by").alias("referred_by"),
        local_date(F.col("registered_at"), zone).alias("registered_on"),
        F.sort_array(F.array_distinct("consent")).alias("consent"),
        F.coalesce("is_staff", F.lit(False)).alias("is_staff"),
    )


def done(days: DataFrame, day: date) -> DataFrame:
    """What user_days sums up to."""
    recent = F.col("day") > F.date_sub(F.lit(day), RECENT_DAYS)
    lately = F.col("day") > F.date_sub(F.lit(day), HABIT_DAYS)
    hours = F.array(
        *[F.coalesce(F.sum(F.when(lately, F.get("events_by_hour", F.lit(h)))), F.lit(0)) for h in range(24)]
    )
    sums = [column for window in WINDOWS for column in _window_sums(day, window)]
    return (
        days.where(F.col("day") <= F.lit(day))
        .groupBy("user_id")
        .agg(
            F.sum("event_count").alias("event_count"),
            F.min("first_seen_at").alias("first_seen_at"),
            F.max("last_seen_at").alias("last_seen_at"),
            F.min("day").alias("first_seen_day"),
            F.max("day").alias("last_seen_day"),
            F.min(F.when(recent, F.col("day"))).alias("returned_day"),
            F.max(F.when(~recent, F.col("day"))).alias("earlier_day"),
            hours.alias("hours"),
            F.array(*[F.coalesce(F.sum(F.when(lately, F.col(f"{s}_event_count"))), F.lit(0)) for s in SCENES]).alias(
                "scenes"
            ),
            F.coalesce(F.sum(F.when(lately, F.col("play_count"))), F.lit(0)).alias("plays"),
            F.coalesce(F.sum(F.when(lately, F.col("valid_view_count"))), F.lit(0)).alias("valid_views"),
            *sums,
        )
        .withColumn("preferred_scene", _most("scenes", SCENES))
        .withColumn("habit_hour", _most("hours", tuple(range(24))).cast("bigint"))
        .withColumn("is_suspected_bot", is_suspected_bot(F.col("plays"), F.col("valid_views")))
    )


def _window_sums(day: date, window: int) -> list[Column]:
    inside = F.col("day") > F.date_sub(F.lit(day), window)
    sums = ["session_count", "completed_view_count", *(f"{act}_count" for act in ACTS)]
    watch_ms = F.coalesce(F.sum(F.when(inside, F.col("watch_ms"))), F.lit(0))
    return [
        F.count_if(inside).alias(f"active_days_{window}d"),
        F.call_function("div", watch_ms, F.lit(1000)).alias(f"watch_seconds_{window}d"),
        *[F.sum(F.when(inside, F.col(name))).alias(f"{name}_{window}d") for name in sums],
    ]


def bought(orders: DataFrame, day: date) -> DataFrame:
    """What the orders paid by `day` come to, all refunds known so far carried through."""
    counted = F.col("is_paid") & F.col("is_believable")
    columns = [column for window in (None, *WINDOWS) for column in _spend(counted, day, window)]
    paid_days = F.sort_array(F.collect_list(F.when(counted, F.col("paid_date"))))
    return (
        settled(orders)
        .where(_is_known_by(day))
        .groupBy("user_id")
        .agg(
            *columns,
            F.count_if(counted & F.col("is_returned")).alias("returned_order_count"),
            F.count_if(counted & F.col("is_over_refunded")).alias("over_refunded_order_count"),
            F.count_if(F.col("is_paid") & ~F.col("is_believable")).alias("unbelievable_order_count"),
            F.count_if(~F.col("is_paid") & (F.col("asked_back_fen") > 0)).alias("unmatched_refund_count"),
            F.min(F.when(counted, F.col("paid_at"))).alias("first_order_at"),
            F.max(F.when(counted, F.col("paid_at"))).alias("last_order_at"),
            paid_days.alias("paid_days"),
        )
        .transform(with_rhythm)
    )


def _is_known_by(day: date) -> Column:
    """The order (settled) was paid by the day, or never, and money is asked back all the same."""
    return (F.col("paid_date") <= F.lit(day)) | (~F.col("is_paid") & (F.col("asked_back_fen") > 0))


def _spend(counted: Column, day: date, window: int | None) -> list[Column]:
    inside, suffix = counted, ""
    if window:
        inside, suffix = counted & (F.col("paid_date") > F.date_sub(F.lit(day), window)), f"_{window}d"
    return [
        F.count_if(inside).alias(f"order_count{suffix}"),
        F.sum(F.when(inside, F.col("gross_fen"))).alias(f"gross_gmv_fen{suffix}"),
        F.sum(F.when(inside, F.col("net_fen"))).alias(f"net_gmv_fen{suffix}"),
    ]


def with_rhythm(spend: DataFrame) -> DataFrame:
    """Average value and the days between orders, as whole numbers that lose nothing but the stated rounding."""
    first, second, last = (
        F.get("paid_days", F.lit(0)),
        F.get("paid_days", F.lit(1)),
        F.get("paid_days", F.size("paid_days") - 1),
    )
    value = F.call_function("div", F.col("gross_gmv_fen"), F.nullif(F.col("order_count"), F.lit(0)))
    return spend.withColumns(
        {
            "average_order_value_fen": value,
            "order_span_days": F.date_diff(last, first).cast("bigint"),
            "is_repeat_buyer": F.coalesce(F.date_diff(second, first) <= REPEAT_WITHIN_DAYS, F.lit(False)),
        }
    ).drop("paid_days")


def chosen(interest_days: DataFrame, day: date) -> DataFrame:
    """Categories and price band bought from most often: purchases that stand, unfaded."""
    bands = F.array(*[F.lit(band) for band in (*PRICE_BANDS_FEN, TOP_PRICE_BAND)])
    place = F.when(F.col("topic_kind") == "price_band", F.array_position(bands, F.col("topic_name")))
    in_order = Window.partitionBy("user_id", "topic_kind").orderBy(F.desc("weight"), place, "topic_name")
    return (
        interest_days.where((F.col("fact") == "orders") & (F.col("day") <= F.lit(day)))
        .groupBy("user_id", "topic_kind", "topic_name")
        .agg(F.sum("weight").alias("weight"))
        .withColumn("rank", F.row_number().over(in_order))
        .where(F.col("rank") <= TOP_TOPICS)
        .groupBy("user_id")
        .agg(
            _listed(F.col("topic_kind") == "category", F.col("topic_name")).alias("preferred_categories"),
            F.get(_listed(F.col("topic_kind") == "price_band", F.col("topic_name")), F.lit(0)).alias(
                "preferred_price_band"
            ),
        )
    )


def liked(interests: DataFrame) -> DataFrame:
    """The top topics of each kind as `kind:topic`, kinds in a fixed order."""
    kinds = F.array(*[F.lit(kind) for kind in TOPIC_KINDS])
    place = F.struct(F.array_position(kinds, F.col("topic_kind")), F.col("rank"))
    top = interests.where((F.col("rank") <= TOP_TOPICS) & (F.col("interest") > 0))
    named = F.struct(place.alias("place"), F.concat_ws(":", "topic_kind", "topic_name").alias("name"))
    return top.groupBy("user_id").agg(_names(F.sort_array(F.collect_list(named))).alias("top_interests"))


def _listed(condition: Column, name: Column) -> Column:
    """Names of the rows that meet the condition, by rank; null where there are none."""
    named = F.sort_array(F.collect_list(F.when(condition, F.struct(F.col("rank"), name.alias("name")))))
    return F.when(F.size(named) > 0, _names(named))


def _names(ranked: Column) -> Column:
    """Of a list of structs their `name`s."""
    return F.transform(ranked, lambda one: one["name"])


def _most(counts: str, names: tuple[str | int, ...]) -> Column:
    """The name with the highest count, the first of equals; null if all are 0."""
    highest = F.array_max(counts)
    place = F.array_position(F.col(counts), highest).cast("int")
    return F.when(highest > 0, F.element_at(F.array(*[F.lit(name) for name in names]), place))


def _is_somebody() -> Column:
    """Registered, seen, or with an order to the name: decayed leftovers alone make nobody."""
    return F.col("is_registered").isNotNull() | F.col("event_count").isNotNull() | F.col("order_count").isNotNull()


def with_state(known: DataFrame, *, day: date) -> DataFrame:
    """Lifecycle, and zeros where nothing happened."""
    began = F.least("registered_on", "first_seen_day")
    absent = F.date_diff(F.lit(day), F.coalesce("last_seen_day", "registered_on"))
    state = lifecycle(F.date_diff(F.lit(day), began), absent, F.date_diff("returned_day", "earlier_day"))
    flags = ("is_registered", "is_staff", "is_suspected_bot", "is_repeat_buyer")
    return (
        known.withColumn("lifecycle", F.when(absent.isNotNull(), state))
        .withColumns({name: F.coalesce(name, F.lit(0)).cast("bigint") for name in COUNTS})
        .withColumns({name: F.coalesce(name, F.lit(False)) for name in flags})
        .withColumn("generation", F.coalesce("generation", F.lit("unknown")))
        .withColumn("as_of_day", F.lit(day))
        .drop(
            "returned_day", "earlier_day", "hours", "scenes", "plays", "valid_views", "first_seen_day", "last_seen_day"
        )
    )


def with_consent(profiles: DataFrame) -> DataFrame:
    """Empty what needs a consent that was not given."""
    agreed = may(PERSONALISATION)
    return profiles.withColumns({name: F.when(agreed, F.col(name)) for name in NEEDS_PERSONALISATION})


def postings(
    profiles: DataFrame, days: DataFrame, orders: DataFrame, people: DataFrame, *, day: date
) -> Iterator[DataFrame]:
    """What must add up: who was registered, seen or paid by `day` has a profile; and acts, orders and money, summed up.

    All as for `build`, and of the same users.
    """
    counted, none = F.col("is_paid") & F.col("is_believable"), F.lit(0)
    of_tile = {"acts": F.col("event_count"), "orders": none, "gross_fen": none, "net_fen": none}
    money = {name: F.when(counted, F.col(name)).otherwise(0) for name in ("gross_fen", "net_fen")}
    of_order = {"acts": none, "orders": F.when(counted, 1).otherwise(0)} | money
    told = tuple(of_tile)
    seen = _numbers(days.where(F.col("day") <= F.lit(day)), of_tile)
    paid = _numbers(settled(orders).where(_is_known_by(day)), of_order)
    known = _numbers(people, dict.fromkeys(told, none)).unionAll(seen).unionAll(paid)
    mine = known.groupBy("user_id").agg(*[F.sum(name).alias(name) for name in told])
    came = {("people", IN): F.lit(1)} | {(name, IN): F.col(name) for name in told}
    made = dict(zip(told, ("event_count", "order_count", "gross_gmv_fen", "net_gmv_fen"), strict=True))
    counts = {("people", OUT): F.lit(1)} | {(name, OUT): F.col(column) for name, column in made.items()}
    yield posted(mine, came, no_day(), are_many=True)
    yield posted(profiles, counts, no_day(), are_many=True)


def _numbers(rows: DataFrame, numbers: Mapping[str, Column]) -> DataFrame:
    return rows.select("user_id", *[number.cast("bigint").alias(name) for name, number in numbers.items()])
