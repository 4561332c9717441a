"""Where the last fact is gone again, as when the only person is erased, gold has nothing any more either."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake.contracts import contract
from jobs.lake.ledger import Ledger
from jobs.lake.runner import family_module
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Work
from tests.lake.funnel_histories import EMPTY, START, filled

WHO = "k1:" + "0" * 32
TABLES = {
    "funnels": ("gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily"),
    "profiles": ("gold.user_profiles", "gold.user_days", "silver.identity_edges", "gold.user_profiles_history"),
    "scores": ("gold.user_scores", "gold.segment_daily"),
}


@pytest.mark.parametrize("family", TABLES)
def test_who_was_alone_is_gone_from_gold(family: str, tmp_path: Path, spark: SparkSession) -> None:
    settings = Settings(home=tmp_path, spark_remote="", spark_master="")
    ledger = Ledger(settings)
    for table in TABLES[family]:
        is_of_people = "user_id" in contract(table, settings.schemas_dir).names
        ledger.append(table, [filled(table) | ({"user_id": WHO} if is_of_people else {})])
    lost = {"ingest_seq": 2, "table": "silver.views", "day": EMPTY["date"], "subject": WHO, "cause": "erased"}
    ledger.append("ops.touched", [lost | {"rows": 1, "recorded_at": START}])
    work = Work(family, "test", False, (), 1, 2, None, None, START, {})
    staged = {one.table: one for one in family_module(family).stage(Lake(settings, spark), work)}
    assert set(staged) == set(TABLES[family])
    assert [one.table for one in staged.values() if not one.frame.isEmpty()] == []
    for one in staged.values():
        gone = one.removed.count() if one.removed is not None else 0
        assert (one.mode, gone) == (("merge", 1) if "history" in one.table else ("replace_all", 0))
