"""What Delta writes beside the rows: no value of a person, and no text of mixed records."""

import pytest

from jobs.lake.contract_model import Contract
from jobs.lake.contracts import all_tables, contract
from jobs.lake.settings import ROOT
from jobs.lake.table_properties import properties

STATISTICS = "delta.dataSkippingStatsColumns"
TABLES = all_tables(ROOT / "schemas")


def promised_of(table: str) -> Contract:
    return contract(table, ROOT / "schemas")


@pytest.mark.parametrize("table", TABLES)
def test_no_value_of_a_person_gets_into_the_log(table: str) -> None:
    promised = promised_of(table)
    measured = set(properties(promised)[STATISTICS].split(","))
    assert measured <= {column.name for column in promised.columns}
    assert not measured & {column.name for column in promised.columns if column.privacy == "personal"}


def test_the_texts_of_bronze_are_not_measured_for_its_files_hold_every_topic() -> None:
    kinds = {column.name: column.type for column in promised_of("bronze.events").columns}
    measured = properties(promised_of("bronze.events"))[STATISTICS].split(",")
    assert {"offset", "kafka_time", "ingest_seq"} <= set(measured)
    assert "string" not in {kinds[name] for name in measured}


def test_a_table_of_facts_can_be_skipped_by_day_and_by_place() -> None:
    assert {"event_date", "kafka_offset"} <= set(properties(promised_of("silver.views"))[STATISTICS].split(","))


def test_no_commit_lets_those_of_bronze_go_that_tell_the_plans_of_batches() -> None:
    off = [table for table in TABLES if properties(promised_of(table)).get("delta.enableExpiredLogCleanup") == "false"]
    assert off == ["bronze.events"]


def test_files_can_be_found_by_any_reader() -> None:
    assert {properties(promised_of(table))["delta.enableDeletionVectors"] for table in TABLES} == {"false"}
