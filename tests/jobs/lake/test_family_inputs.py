"""What families read alike."""

from pyspark.sql import DataFrame, SparkSession

from jobs.lake.families.inputs import FEW, handed_round


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
