"""gold.funnel_paths: what people did between a step and the next, and after the last step before they dropped out.

Grain: funnel x funnel_version x entry_date x step_number x path_outcome x act, of attempts past the first step.
"""

from collections.abc import Iterator

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from jobs.definitions.postings import IN, OUT, posted
from jobs.definitions.segments import NONE
from jobs.definitions.unions import together
from jobs.gold.funnel_daily import ASIDE_TOO, ENTERED, funnel_part

TOP = 10  # acts of a group that are told by name
OTHER = "(other)"  # an act, or several, that is none of them
GROUP = ["funnel", "funnel_version", "entry_date", "step_number", "path_outcome"]
ATTEMPT = ["entry_event_id", "hold_key"]
NOT_FROM_THE_FIRST = "first_step_not_filled"  # in a funnel without an order


def build(attempts: DataFrame) -> DataFrame:
    """The ledger in; per step and outcome the acts of most attempts out, beside those without any and with others.

    An attempt counts once for each act it has; `share_base_count` is how many attempts there are.
    """
    stretches = attempts.transform(as_stretches)
    done = stretches.withColumn("act", F.explode("acts"))
    ranked = done.groupBy(*GROUP, "act").agg(F.count("*").alias("attempts_count")).transform(_with_rank)
    rows = together(ranked.where(F.col("act_rank") <= TOP), _of_others(done, ranked), _of_idle(stretches))
    base = stretches.groupBy(*GROUP).agg(F.count("*").alias("share_base_count"))
    return rows.join(base, on=GROUP, how="inner")


def as_stretches(attempts: DataFrame) -> DataFrame:
    """A row per attempt and filled step: what was done from there on, and whether it led to a further step."""
    after = F.posexplode("acts_after").alias("place", "acts")
    steps = attempts.where(F.col("set_aside") == NONE).select("*", after).where(F.col("acts").isNotNull())
    went_on = F.col("place") + 1 < F.size("acts_after")
    return steps.select(
        "funnel",
        "funnel_version",
        "entry_date",
        (F.col("place") + 1).cast("bigint").alias("step_number"),
        F.when(went_on, "went_on").otherwise("dropped").alias("path_outcome"),
        *ATTEMPT,
        "acts",
    )


def _with_rank(counted: DataFrame) -> DataFrame:
    """Number the acts of a group, the most frequent first, equal ones by name."""
    order = Window.partitionBy(*GROUP).orderBy(F.desc("attempts_count"), "act")
    return counted.withColumn("act_rank", F.row_number().over(order).cast("bigint"))


def _of_others(done: DataFrame, ranked: DataFrame) -> DataFrame:
    """Attempts with an act beyond the named ones, each once."""
    rare = ranked.where(F.col("act_rank") > TOP).select(*GROUP, "act")
    others = done.join(rare, on=[*GROUP, "act"], how="left_semi").select(*GROUP, *ATTEMPT).distinct()
    return others.groupBy(*GROUP).agg(F.count("*").alias("attempts_count")).withColumn("act", F.lit(OTHER))


def _of_idle(stretches: DataFrame) -> DataFrame:
    """Attempts with no act at all."""
    idle = stretches.where(F.size("acts") == 0).groupBy(*GROUP).agg(F.count("*").alias("attempts_count"))
    return idle.withColumn("act", F.lit(NONE))


def postings(paths: DataFrame, attempts: DataFrame) -> Iterator[DataFrame]:
    """What must add up, by funnel: attempts of the ledger entered on a day = those that went on or dropped at step one.

    Those set aside have no path. All of the days.
    """
    day, part, kept = F.col("entry_date"), funnel_part(), F.col("set_aside") == NONE
    is_filled = F.coalesce(F.get("acts_after", F.lit(0)).isNotNull(), F.lit(False))
    came = {
        (ENTERED, IN): F.lit(1),
        (ENTERED, ASIDE_TOO): F.when(kept, 0).otherwise(1),
        (ENTERED, NOT_FROM_THE_FIRST): F.when(kept & ~is_filled, 1).otherwise(0),
    }
    groups = paths.where("step_number = 1").groupBy(*GROUP).agg(F.max("share_base_count").alias("share_base_count"))
    yield posted(attempts, came, day, part)
    yield posted(groups, {(ENTERED, OUT): F.col("share_base_count")}, day, part)
