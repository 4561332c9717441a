"""Who people are: generations, ages and what their consent opens."""

from datetime import date

from pyspark.sql import Column
from pyspark.sql import functions as F

ADULT_AGE = 18
SILVER_AGE = 60
OLDEST_AGE = 120  # a birth year further back is a slip of the pen, not a person
GENERATIONS = {  # name -> first and last birth year; whoever is 60 by then is silver instead
    "gen_x": (1965, 1979),
    "millennial": (1980, 1994),
    "gen_z": (1995, 2010),
    "gen_alpha": (2011, 9999),
}
SILVER, BEFORE_GEN_X, UNKNOWN = "silver", "before_gen_x", "unknown"

# What may be filled only for people who agreed; the contracts repeat it column by column.
PERSONALISATION = "personalisation"
NEEDS_PERSONALISATION = (
    "preferred_scene",
    "habit_hour",
    "preferred_categories",
    "preferred_price_band",
    "top_interests",
)
# Who is worth how much is worked out to court them.
MARKETING = "marketing"
NEEDS_MARKETING = (
    "recency_score",
    "frequency_score",
    "monetary_score",
    "value_tier",
    "alive_ppm",
    "expected_purchases_7d_ppm",
    "expected_purchases_30d_ppm",
    "expected_purchases_90d_ppm",
    "expected_purchase_fen",
    "expected_value_90d_fen",
)


def age(birth_year: Column, day: date | Column) -> Column:
    """Years of age reached by the end of the day's year; null for a birth year nobody alive has."""
    years = (F.lit(day.year) if isinstance(day, date) else F.year(day)) - birth_year
    return F.when(years.between(0, OLDEST_AGE), years)


def is_minor(birth_year: Column, day: date | Column) -> Column:
    """Under 18, by calendar years: only the year of birth is known. Null when that is unknown or absurd."""
    return age(birth_year, day) < ADULT_AGE


def generation(birth_year: Column, day: date | Column) -> Column:
    """Name of the generation as of the day; `unknown` for no birth year or an absurd one."""
    years = age(birth_year, day)
    named = F.when(years.isNull(), UNKNOWN).when(years >= SILVER_AGE, SILVER)
    for name, (first, last) in GENERATIONS.items():
        named = named.when(birth_year.between(first, last), name)
    return named.otherwise(BEFORE_GEN_X)


def may(scope: str) -> Column:
    """The person agreed to this use; somebody who never said so has not."""
    return F.coalesce(F.array_contains("consent", scope), F.lit(False))


def is_flagged() -> Column:
    """The profile is of a suspected bot or a minor: kept, and left out of what is said about everybody."""
    return F.coalesce("is_suspected_bot", F.lit(False)) | F.coalesce("is_minor", F.lit(False))
