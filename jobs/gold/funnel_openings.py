"""gold.funnel_openings: attempts that never got past the first step, counted: what the ledger leaves out, kept exact.

Grain: funnel x funnel_version x entry_date x user_id x breakdown_key x set_aside.
"""

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.definitions.json_text import json_text

GRAIN = ["funnel", "funnel_version", "entry_date", "user_id", "breakdown_key", "set_aside"]


def build(outcomes: DataFrame) -> DataFrame:
    """Count by user, day and breakdown.

    `maturity_times` lists when each attempt matures, so that any watermark finds the exact number of mature ones; the
    first entry (of equal instants the later by id) is the person's best among them (rule 9a).
    """
    opened = outcomes.where("reached <= 1").withColumn("breakdown_key", json_text(F.col("breakdowns")))
    latest_id = F.max_by("entry_event_id", F.struct(-F.unix_micros("entry_at"), "entry_event_id"))
    return opened.groupBy(*GRAIN).agg(
        F.any_value("breakdowns").alias("breakdowns"),
        F.sum("attempt_count").alias("attempt_count"),
        F.coalesce(F.sum("entry_count"), F.lit(0)).alias("entry_count"),
        F.min("entry_at").alias("first_entry_at"),
        latest_id.alias("first_entry_event_id"),
        F.sort_array(F.collect_list("matures_at")).alias("maturity_times"),
        F.count_if("is_excluded").alias("excluded_count"),
        F.any_value("zone").alias("zone"),
    )
