"""What families read alike, and that it is what their contracts declare."""

from collections.abc import Iterable

import pytest
from pyspark.sql import DataFrame, SparkSession

from jobs.lake.families import funnels, inputs, scores, sessions
from jobs.lake.families.inputs import FEW, handed_round, names_at_hand
from jobs.lake.families.profile_refresh import Silver, tables
from jobs.lake.publications import families, inputs_of
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake

ODD = (  # what another format could lose on the way
    "id",
    "if(id % 2 = 0, timestamp_micros(1700000000123456 + id), null) AS at",
    "array(null, cast(id AS string)) AS names",
    "cast(repeat('9', 38) AS decimal(38,0)) - 7 * id AS exact",
)
READ = {
    "funnels": funnels.SILVER,
    "profiles": tables(Silver),
    "scores": scores.READ,
    "sessions": sessions.FACTS,
}


@pytest.mark.parametrize("family", families(Settings().schemas_dir))
def test_a_family_reads_the_tables_that_its_contracts_declare_and_no_other(family: str) -> None:
    """Another would be read as it is newest, not as the run was planned on, and its news would wake nobody."""
    read: Iterable[str] = READ[family]
    assert sorted(read) == list(inputs_of(family, Settings().schemas_dir))


def test_few_names_are_handed_round_and_many_are_not(spark: SparkSession) -> None:
    """Spark knows how many there were before a filter, not how few it left: it would shuffle all the facts."""
    assert _is_shuffled(spark, FEW + 1)
    assert not _is_shuffled(spark, FEW)


def _is_shuffled(spark: SparkSession, count: int) -> bool:
    """Whether the facts would be moved to be joined with `count` names that are too big by Spark's own guess."""
    facts, names = spark.range(10**9), spark.range(10**9).where("id % 1000 = 0")
    joined: DataFrame = facts.join(handed_round(names, count), on=["id"], how="left_semi")
    plan = joined._jdf.queryExecution().executedPlan().toString()  # type: ignore[operator]
    return "SortMergeJoin" in plan


@pytest.mark.parametrize(("count", "goes_along"), [(9, True), (10, False)])
def test_very_few_names_go_along_with_a_query_and_more_stay_with_the_workers(
    spark: SparkSession, settings: Settings, monkeypatch: pytest.MonkeyPatch, count: int, goes_along: bool
) -> None:
    monkeypatch.setattr(inputs, "FEW_ROWS", 10)
    rows = spark.range(count).selectExpr(*ODD)
    found = names_at_hand(Lake(settings, spark), rows)
    plan = found._jdf.queryExecution().optimizedPlan().toString()  # type: ignore[operator]
    assert ("LocalRelation" in plan) is goes_along
    assert found.schema == rows.schema
    assert sorted(map(repr, found.collect())) == sorted(map(repr, rows.collect()))
