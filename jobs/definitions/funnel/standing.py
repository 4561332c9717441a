"""How a person stood when the business day of an attempt's entry began: what their profile, had it been read, said.

Worked out from facts and users, not read from gold: a funnel is a function of the set of events, so a late event moves
it, and no release of profiles does (ADR 0014). The last instant before the day of the entry is its eve.
"""

from collections.abc import Sequence

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.as_of import with_version
from jobs.definitions.funnel.model import Definition
from jobs.definitions.lifecycle import RECENT_DAYS, lifecycle
from jobs.definitions.local_time import local_date
from jobs.definitions.people import generation
from jobs.definitions.sessions import own_acts

LIFECYCLE, PROFILE = "lifecycle", "profile"
OF_USERS = ("birth_year", "city_tier", "member_tier", "registered_at")


def is_asked(definitions: Sequence[Definition]) -> bool:
    """Whether some definition breaks down by what holds on the eve."""
    return any(is_of_eve(name, one) for one in definitions for name in one.broken_down_by)


def is_of_eve(name: str, definition: Definition) -> bool:
    """Whether a breakdown of the definition is read on the eve; a lifecycle counts whole days, so it always is."""
    return name == LIFECYCLE or definition.breakdown_at == PROFILE


def signs_of_life(views: DataFrame, likes: DataFrame, orders: DataFrame) -> DataFrame:
    """(user_id, sign_days: the business days with an act of their own, sorted), one row per user."""
    days = own_acts(views, likes, orders, ("user_id", "event_date"))
    return days.groupBy("user_id").agg(F.sort_array(F.collect_set("event_date")).alias("sign_days"))


def with_eve(outcomes: DataFrame, users: DataFrame, signs: DataFrame, zone: str) -> DataFrame:
    """Attach eve_<breakdown> to attempts (user_id, seen_at); null where there was no profile on the eve.

    `signs` are those of the users, at all times; `zone` names the business zone.
    """
    of_day = F.to_utc_timestamp(local_date(F.col("seen_at"), zone).cast("timestamp"), zone)
    timed = outcomes.withColumn("eve_at", of_day - F.expr("INTERVAL 1 MICROSECOND"))
    known = with_version(timed, users, "user_id", "eve_at", {name: f"eve_{name}" for name in OF_USERS})
    eve = local_date(F.col("eve_at"), zone)
    who = generation(F.col("eve_birth_year"), eve)
    stood = known.join(signs, on=["user_id"], how="left")
    return stood.withColumns(
        {"eve_generation": who, "eve_lifecycle": _lifecycle(eve, local_date(F.col("eve_registered_at"), zone))}
    ).drop("eve_at", "sign_days")


def _lifecycle(eve: Column, registered_on: Column) -> Column:
    """As jobs/gold/user_profiles.py works it out for one day; null for whom nobody knew."""
    past = F.filter("sign_days", lambda day: day <= eve)
    before = F.date_sub(eve, RECENT_DAYS)
    returned = F.array_min(F.filter(past, lambda day: day > before))
    earlier = F.array_max(F.filter(past, lambda day: day <= before))
    known = F.date_diff(eve, F.least(registered_on, F.array_min(past)))
    absent = F.date_diff(eve, F.coalesce(F.array_max(past), registered_on))
    return F.when(absent.isNotNull(), lifecycle(known, absent, F.date_diff(returned, earlier)))
