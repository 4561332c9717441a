"""Generations, minors, lifecycles, price bands and bots, each case a row of one job."""

from datetime import date

import pytest
from pyspark.sql import Row, SparkSession
from pyspark.sql import functions as F

from jobs.definitions.bots import is_suspected_bot
from jobs.definitions.lifecycle import lifecycle
from jobs.definitions.money import price_band
from jobs.definitions.people import generation, is_minor, may

DAY = date(2026, 6, 7)
BORN = {  # birth year -> generation, minor
    2027: ("unknown", None),
    2026: ("gen_alpha", True),
    2011: ("gen_alpha", True),
    2010: ("gen_z", True),
    2009: ("gen_z", True),
    2008: ("gen_z", False),
    1995: ("gen_z", False),
    1994: ("millennial", False),
    1980: ("millennial", False),
    1979: ("gen_x", False),
    1967: ("gen_x", False),
    1966: ("silver", False),
    1906: ("silver", False),
    1905: ("unknown", None),
    -5: ("unknown", None),
    None: ("unknown", None),
}


@pytest.fixture(scope="module")
def born(spark: SparkSession) -> dict[int | None, tuple[str, bool | None]]:
    years = spark.createDataFrame([(year,) for year in BORN], "year bigint")
    rows = years.select(
        "year", generation(F.col("year"), DAY).alias("g"), is_minor(F.col("year"), DAY).alias("m")
    ).collect()
    return {row.year: (row.g, row.m) for row in rows}


@pytest.mark.parametrize("year", BORN)
def test_a_birth_year_names_a_generation_and_who_is_a_minor(
    born: dict[int | None, tuple[str, bool | None]], year: int | None
) -> None:
    assert born[year] == BORN[year]


STANDINGS = {  # days known, days absent, days of silence before this week -> state
    "registered yesterday": ((1, 0, None), "new"),
    "known for a week": ((7, 0, None), "active"),
    "here last week": ((100, 13, None), "active"),
    "back after a fortnight": ((100, 2, 14), "waking"),
    "back after thirteen days": ((100, 2, 13), "active"),
    "silent for a fortnight": ((100, 14, None), "dormant"),
    "new and silent for a fortnight": ((14, 14, None), "dormant"),
    "silent for 59 days": ((100, 59, None), "dormant"),
    "silent for 60 days": ((100, 60, None), "lost"),
    "always here": ((900, 0, 1), "active"),
}


@pytest.fixture(scope="module")
def standings(spark: SparkSession) -> dict[str, str]:
    frame = spark.createDataFrame(
        [(n, *days) for n, (days, _) in STANDINGS.items()], "name string, known int, absent int, gap int"
    )
    rows = frame.select("name", lifecycle(F.col("known"), F.col("absent"), F.col("gap")).alias("state")).collect()
    return {row.name: row.state for row in rows}


@pytest.mark.parametrize("name", STANDINGS)
def test_lifecycle_follows_from_days_of_silence(standings: dict[str, str], name: str) -> None:
    assert standings[name] == STANDINGS[name][1]


@pytest.fixture(scope="module")
def judged(spark: SparkSession) -> dict[int, Row]:
    """Prices, plays and consents side by side, one job for all."""
    rows = [
        (0, -1, 99, 0, None),
        (1, 0, 100, 5, []),
        (2, 1_999, 100, 6, ["sharing"]),
        (3, 2_000, 0, 0, ["personalisation"]),
        (4, 99_999, 1_000, 50, None),
        (5, 100_000, 1_000, 51, None),
        (6, None, 1, 1, None),
    ]
    frame = spark.createDataFrame(rows, "case int, price bigint, plays bigint, valid bigint, consent array<string>")
    bot = is_suspected_bot(F.col("plays"), F.col("valid"))
    found = frame.select(
        "case", price_band(F.col("price")).alias("band"), bot.alias("bot"), may("personalisation").alias("may")
    )
    return {row.case: row for row in found.collect()}


def test_price_bands_begin_where_the_one_before_ends(judged: dict[int, Row]) -> None:
    bands = [judged[case].band for case in range(7)]
    assert bands == [
        None,
        "under_20_yuan",
        "under_20_yuan",
        "20_to_50_yuan",
        "300_to_1000_yuan",
        "from_1000_yuan",
        None,
    ]


def test_a_bot_starts_many_videos_and_watches_none(judged: dict[int, Row]) -> None:
    assert [judged[case].bot for case in range(7)] == [False, True, False, False, True, False, False]


def test_nobody_agreed_who_did_not_say_so(judged: dict[int, Row]) -> None:
    assert [case for case in range(7) if judged[case].may] == [3]
