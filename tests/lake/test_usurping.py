"""An arrival that was earlier than the first leaves of its event what there would be, had all been read at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from jobs.lake import small_runs
from jobs.lake.settings import Settings
from tests.lake.logs import Log, Record, body_of
from tests.lake.test_retracting import VIEWS, arrival, found, killed, never_applied, run, view, word


def lives(minute: int, region: str) -> Record:
    """A word about a user, always of the same event."""
    return arrival("users", body_of("users", 90, user_id="u9", region=region), minute, 0, "")


def tale() -> tuple[list[Record], list[Record], list[Record]]:
    """Repeats and contradictions, one of them by a replay that is taken back as the earlier arrivals come."""
    return (
        [view("repeated", 1, 5), view("repeated", 2, 5), lives(1, "a"), lives(2, "b")],
        [view("repeated", 3, 9), view("repeated", 4, 7), view("repeated", 5, 5, VIEWS), lives(3, "c"),
         view("alone", 3, 5), view("alone", 4, 6)],
        [view("repeated", -1, 9), lives(-1, "b"), view("repeated", 6, 5), view("in time", 6, 9)],
    )  # fmt: skip


@pytest.mark.parametrize("rows", [300_000, 5], ids=["without Spark", "by Spark"])
def test_what_repeats_a_row_that_is_displaced_is_judged_against_what_displaced_it(
    spark: SparkSession, tmp_path: Path, rows: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed where the first table is written, and done again; Spark does it where there is more to be looked at."""
    asked, log = Settings(home=tmp_path / "once", key_file=tmp_path / "keys.json"), Log()
    log.put(never_applied(tale()))
    at_once = found(run(asked, spark, log))
    asked, log = asked.model_copy(update={"home": tmp_path / "by-turns"}), Log()
    for records in tale()[:2]:
        log.put(records)
        run(asked, spark, log)
    log.put([word(log, 0, VIEWS), *tale()[2]])
    asked = asked.model_copy(update={"small_run_rows": rows})
    killed(asked, spark, log, "ingest.after_views")
    assert found(run(asked, spark, log)) == at_once
    left = [line.getMessage() for line in caplog.records if line.name == small_runs.__name__]
    assert left == ["ingest: left to Spark, TooMuchError: more rows are to be looked at than are for it"] * (
        0 if rows > 5 else 2
    )
    fates = {fate: n for (topic, _, fate), n in at_once["books"].items() if topic == "users"}
    assert fates == {"accepted": 1, "duplicate": 1, "conflict": 2, "quarantined": 2}
