"""A write has a name and a number: the repeat of a pair is skipped by Delta, a second use of it is refused by us."""

import pytest
from pyspark.sql import DataFrame

from jobs.lake.errors import WriteError
from jobs.lake.tables import Lake
from tests.lake.toys import MONDAY, TUESDAY, Toys

TABLE = "gold.toy_days"


def day(toys: Toys, plays: int) -> DataFrame:
    schema = toys.lake.contract(TABLE).spark_schema(enforced=False)
    return toys.lake.spark.createDataFrame([(MONDAY, plays, 1.0)], schema)


def test_one_pair_for_two_writes_of_a_run_is_refused_whatever_kind_they_are(toys: Toys) -> None:
    lake = toys.lake
    lake.append(TABLE, day(toys, 1), app="release", version=7)
    written = toys.ledger.version(TABLE)
    for number in (7, 6):
        with pytest.raises(WriteError, match=r"gold.toy_days: \(release, \d\) follows \(release, 7\)"):
            lake.append(TABLE, day(toys, 2), app="release", version=number)
        with pytest.raises(WriteError, match="give each logical write an app of its own"):
            lake.merge(TABLE, day(toys, 3), ["event_date"], app="release", version=number)
        with pytest.raises(WriteError, match="Delta would skip it silently"):
            lake.replace_slices(TABLE, day(toys, 4), "event_date", [MONDAY, TUESDAY], app="release", version=number)
    assert toys.ledger.version(TABLE) == written
    assert [row[:2] for row in toys.rows(TABLE)] == [(MONDAY, 1)]


def test_the_same_write_of_a_rerun_is_skipped(toys: Toys) -> None:
    for _ in range(2):
        rerun = Lake(toys.settings, toys.lake.spark)
        rerun.append(TABLE, day(toys, 1), app="release", version=7)
    assert [row[:2] for row in toys.rows(TABLE)] == [(MONDAY, 1)]
