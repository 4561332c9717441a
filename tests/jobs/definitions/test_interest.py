"""Interest fades by whole-number arithmetic: half a life is exactly half, and twenty of them are the end."""

from decimal import Decimal, getcontext

import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.definitions.interest import HALF_LIFE_DAYS, WHOLE_PLAY, fade, fade_table, faded, last_age, play_weight


@pytest.mark.parametrize("kind", HALF_LIFE_DAYS)
def test_half_a_life_apart_is_exactly_half(kind: str) -> None:
    life = HALF_LIFE_DAYS[kind]
    assert fade(0, life) == 2**40
    assert all(fade(age, life) == 2 * fade(age + life, life) for age in range(last_age(life) - life + 1))


@pytest.mark.parametrize("kind", HALF_LIFE_DAYS)
def test_every_day_takes_something_until_nothing_is_left(kind: str) -> None:
    life = HALF_LIFE_DAYS[kind]
    assert all(fade(age, life) > fade(age + 1, life) for age in range(last_age(life)))
    assert fade(last_age(life), life) == 2**20
    assert fade(last_age(life) + 1, life) == 0


@pytest.mark.parametrize("kind", HALF_LIFE_DAYS)
def test_the_table_is_rounded_to_the_nearest_integer(kind: str) -> None:
    getcontext().prec = 60
    life = HALF_LIFE_DAYS[kind]
    for age, value in enumerate(fade_table(life)):
        exact = Decimal(2) ** (Decimal(20) - Decimal(age) / life)
        assert abs(exact - value) <= Decimal("0.5")


def test_columns_fade_as_the_function_does(spark: SparkSession) -> None:
    ages = [(kind, age) for kind, life in HALF_LIFE_DAYS.items() for age in range(-1, last_age(life) + 2)]
    ages.append(("colour", 1))
    rows = spark.createDataFrame(ages, "kind string, age int").select(
        "*", faded(F.col("kind"), F.col("age")).alias("left")
    )
    for kind, age, left in rows.collect():
        life = HALF_LIFE_DAYS.get(kind, 1)
        expected = fade(age, life) if kind in HALF_LIFE_DAYS and 0 <= age <= last_age(life) else None
        assert left == expected, (kind, age)


PLAYS = {  # (watched, length) -> weight
    "the whole": ((20_000, 20_000), WHOLE_PLAY),
    "half": ((10_000, 20_000), 5),
    "rounded down": ((3_999, 20_000), 1),
    "twice over counts once": ((40_000, 20_000), WHOLE_PLAY),
    "no length": ((5_000, 0), 0),
    "unknown length": ((5_000, None), 0),
    "unknown time": ((None, 20_000), 0),
    "a counter gone mad": ((2**62, 2**62), 0),
}


@pytest.fixture(scope="module")
def weights(spark: SparkSession) -> dict[str, int]:
    rows = [(name, *play) for name, (play, _) in PLAYS.items()]
    frame = spark.createDataFrame(rows, "name string, watched bigint, length bigint")
    return {row[0]: row[1] for row in frame.select("name", play_weight(F.col("watched"), F.col("length"))).collect()}


@pytest.mark.parametrize("name", PLAYS)
def test_a_play_weighs_by_the_share_watched(weights: dict[str, int], name: str) -> None:
    assert weights[name] == PLAYS[name][1]
