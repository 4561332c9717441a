"""Nothing that fails a critical check is released; what fails is named, counted and held; nobody's values are kept."""

from collections.abc import Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.lake.contracts import contract
from jobs.lake.errors import ContractError, QualityError
from jobs.lake.quality import Finding, Gate
from jobs.lake.runner import Runner
from jobs.lake.work import pending
from tests.lake.toys import DAYS, FAMILY, MONDAY, NOON, TUESDAY, UNLUCKY, WEDNESDAY, Toys, write_contract

ODD = {
    "day": ("date", "public"),
    "name": ("string", "personal"),
    "kind": ("string", "public"),
    "act_count": ("bigint", "public"),
    "like_rate": ("double", "public"),
}
WRITTEN = [
    {"name": "kinds_known", "type": "sql", "severity": "warning", "description": "Kinds are known.",
     "query": "SELECT COUNT(*) FROM {table} WHERE kind NOT IN ('a', 'b')", "mustBe": 0},
    {"name": "enough_rows", "type": "library", "metric": "rowCount", "severity": "info", "description": "Many.",
     "mustBeGreaterOrEqualTo": 6},
    {"name": "few_acts", "type": "sql", "severity": "critical", "description": "Acts are few.",
     "query": "SELECT MAX(act_count) FROM {table}", "mustBeLessThan": 1000},
]  # fmt: skip
ROWS = [  # (day, name, kind, act_count, like_rate)
    (MONDAY, "good", "a", 1, 0.5),
    (MONDAY, "twice", "b", 1, 1.0),
    (MONDAY, "twice", "b", 1, 0.0),
    (TUESDAY, None, "a", -1, 0.5),
    (TUESDAY, "SECRET", "odd", 1, 1.5),
    (WEDNESDAY, "outside", "a", 1, 0.5),
]
FOUND = {  # check → (its failing day, or None for the whole table; rows)
    "grain_is_unique": (MONDAY, 1),
    "name_is_there": (TUESDAY, 1),
    "act_count_is_not_negative": (TUESDAY, 1),
    "like_rate_is_a_rate": (TUESDAY, 1),
    "rows_are_in_their_slices": (None, None),
    "kinds_known": (TUESDAY, 1),
}


@pytest.fixture(scope="module")
def findings(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    """One judgement of a table in which each expectation has its own bad row."""
    schemas = tmp_path_factory.mktemp("schemas")
    write_contract(schemas, "gold.odd", ODD, ["day", "name"], write="replace_slice", slice="day", quality=WRITTEN)
    promised = contract("gold.odd", schemas)
    frame = spark.createDataFrame(ROWS, promised.spark_schema(enforced=False))
    return Gate().judge(promised, frame, (MONDAY, TUESDAY))


def failures(findings: list[Finding]) -> Iterator[Finding]:
    return (finding for finding in findings if not finding.success)


@pytest.mark.parametrize("check", FOUND)
def test_each_bad_row_is_found_on_its_day_by(findings, check):
    found = [(finding.day, finding.unexpected_rows) for finding in failures(findings) if finding.rule.name == check]
    assert found == [FOUND[check]]


def test_good_rows_are_blamed_for_nothing(findings):
    assert {finding.rule.name for finding in failures(findings)} == set(FOUND)
    kept = {finding.rule.name for finding in findings if finding.success}
    assert {"day_is_there", "enough_rows", "few_acts"} <= kept


def test_only_critical_failures_block(findings):
    blocking = {finding.rule.name for finding in findings if finding.blocks}
    assert blocking == set(FOUND) - {"kinds_known"}


def test_no_value_of_a_row_is_kept(findings):
    assert "SECRET" not in str(findings)


def test_a_check_that_cannot_be_evaluated_is_a_broken_contract(spark, tmp_path):
    broken = {"name": "broken", "type": "sql", "severity": "info", "description": "Broken.",
              "query": "SELECT COUNT(*) FROM {table} WHERE nonsense > 1", "mustBe": 0}  # fmt: skip
    write_contract(tmp_path, "gold.odd", ODD, ["day", "name"], write="replace_all", quality=[broken])
    promised = contract("gold.odd", tmp_path)
    frame = spark.createDataFrame(ROWS[:1], promised.spark_schema(enforced=False))
    with pytest.raises(ContractError, match="gold.odd: check broken cannot be evaluated: .*nonsense"):
        Gate().judge(promised, frame, ())


def runner(toys: Toys, run_id: str) -> Runner:
    return Runner(toys.settings, FAMILY, run_id, session=lambda _: toys.lake.spark)


def steps(toys: Toys, run_id: str) -> None:
    made = runner(toys, run_id)
    made.build(NOON)
    made.check()
    made.release()


def results(toys: Toys, check: str) -> list[dict[str, Any]]:
    rows = toys.ledger.read("ops.check_results").to_pylist()
    return [row for row in rows if row["check"] == check]


def test_a_failed_critical_check_leaves_the_public_table_as_it_was(toys):
    toys.ingest(("ann", MONDAY, 1))
    steps(toys, "run-1")
    before = {table: toys.ledger.version(table) for table in ("gold.toy_days", "gold.toy_users", "gold.toy_log")}
    toys.ingest(*[("bob", TUESDAY, 1)] * 3, ("eve", WEDNESDAY, 1))
    runner(toys, "run-2").build(NOON)
    words = r"gold.toy_days on 2026-11-17: unlucky_day failed for 1 rows .*2026-11-17 is held; see docs/runbooks/red"
    with pytest.raises(QualityError, match=words):
        runner(toys, "run-2").check()
    with pytest.raises(QualityError, match="has not passed its checks"):
        runner(toys, "run-2").release()
    assert {table: toys.ledger.version(table) for table in before} == before
    told = [
        (row["run_id"], row["slice"], row["success"], row["unexpected_rows"]) for row in results(toys, "unlucky_day")
    ]
    assert ("run-2", TUESDAY, False, 1) in told
    left = pending(toys.ledger, toys.settings, FAMILY)
    assert (left.days, left.held) == ((WEDNESDAY,), (TUESDAY,))


def test_the_other_days_are_released_and_the_held_one_follows_when_its_data_is_mended(toys):
    toys.ingest(*[("bob", TUESDAY, 1)] * 3, ("eve", WEDNESDAY, 1))
    runner(toys, "run-1").build(NOON)
    with pytest.raises(QualityError):
        runner(toys, "run-1").check()
    steps(toys, "run-2")
    assert [row[0] for row in toys.rows("gold.toy_days")] == [WEDNESDAY]
    assert runner(toys, "run-3").build(NOON).outcome == "nothing_to_do"
    toys.ingest(("bob", TUESDAY, 1))
    steps(toys, "run-4")
    assert [row[:2] for row in toys.rows("gold.toy_days")] == [(TUESDAY, 4), (WEDNESDAY, 1)]
    assert pending(toys.ledger, toys.settings, FAMILY).held == ()


def test_a_warning_is_recorded_and_released(toys):
    toys.ingest(("ann", MONDAY, 1))
    steps(toys, "run-1")
    (warning,) = results(toys, "busy_day")
    assert (warning["severity"], warning["success"], warning["observed"]) == ("warning", False, "1")
    assert {row["verdict"] for row in toys.ledger.read("ops.publications").to_pylist()} == {"warned"}


def test_a_check_tried_again_with_a_milder_contract_passes(toys):
    toys.ingest(*[("bob", TUESDAY, 1)] * 3)
    runner(toys, "run-1").build(NOON)
    with pytest.raises(QualityError):
        runner(toys, "run-1").check()
    mild = [{**UNLUCKY, "severity": "warning"}]
    write_contract(
        toys.settings.schemas_dir, "gold.toy_days", DAYS, ["event_date"], version="1.0.1", quality=mild, family=FAMILY,
        write="replace_slice", slice="event_date", inputs=["silver.plays"],
    )  # fmt: skip
    contract.cache_clear()
    steps(toys, "run-2")
    assert [row[:2] for row in toys.rows("gold.toy_days")] == [(TUESDAY, 3)]


def test_messages_and_results_name_no_user(toys):
    toys.ingest(("SECRET", MONDAY, 1))
    runner(toys, "run-1").build(NOON)
    with pytest.raises(QualityError, match="no_capitals failed for 1 rows .*the family is held") as refusal:
        runner(toys, "run-1").check()
    assert "SECRET" not in str(refusal.value)
    assert "SECRET" not in str(toys.ledger.read("ops.check_results").to_pylist())
