"""A contract's pattern means one thing: the producer's validator and the row rules made for Spark agree on it."""

import json
import re
import shutil
from dataclasses import replace

import pytest
from pyspark.sql import functions as F

from jobs.lake.contracts import Check, contract
from jobs.lake.event_rules import event_struct, row_rules
from jobs.lake.event_validator import validator
from jobs.lake.expectations import expected_of
from jobs.lake.settings import ROOT

PATTERNS = {  # a field of a made topic -> its pattern
    "word": "^[a-z]+$",
    "words": "^([a-z]+$|[0-9]+$)",
    "price": r"^\$[0-9]+",
    "slash": r"^\\$",
    "coin": "^[$€]$",
    "bracket": r"^[\]$]+$",
}
TEXTS = {  # field -> text -> whether it is what the pattern promises
    "word": {"abc": True, "abc\n": False, "abc\r\n": False, "abc\u2028": False, "\nabc": False, "abc\nabc": False},
    "words": {"abc": True, "12": True, "abc\n": False, "12\n": False},
    "price": {"$12": True, "$12\n": True, "12": False, "": False},
    "slash": {"\\": True, "\\\n": False, "\\$": False},
    "coin": {"$": True, "€": True, "$\n": False, "": False},
    "bracket": {"]": True, "$]": True, "]\n": False, "": False},
}
CASES = [(field, text, fits) for field, texts in TEXTS.items() for text, fits in texts.items()]


@pytest.fixture(scope="module")
def schemas(tmp_path_factory):
    """A folder of promises with one topic, whose fields have the patterns."""
    folder = tmp_path_factory.mktemp("schemas")
    shutil.copytree(ROOT / "schemas/events/envelope", folder / "events/envelope")
    fields = {name: {"type": "string", "pattern": pattern} for name, pattern in PATTERNS.items()}
    (folder / "events/things").mkdir()
    (folder / "events/things/v1.json").write_text(json.dumps({"properties": fields}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def refused_by_spark(spark, schemas):
    """Which (field, text) the row rules refuse: one job."""
    rows = [(field, text, json.dumps({field: text})) for field, text, _ in CASES]
    read = F.from_json("body", event_struct("things", 1, schemas)).alias("body")
    bodies = spark.createDataFrame(rows, "field string, text string, body string").select("field", "text", read)
    reasons = F.array_compact(F.array(*(F.when(bad, F.lit(why)) for why, bad in row_rules("things", 1, schemas))))
    found = bodies.select("field", "text", reasons.alias("reasons")).collect()
    return {(row.field, row.text) for row in found if f"bad_format:{row.field}" in row.reasons}


@pytest.mark.parametrize(("field", "text", "fits"), CASES)
def test_the_validator_and_spark_read_a_pattern_alike(refused_by_spark, schemas, field, text, fits):
    check = validator("things", 1, schemas)
    by_spark = (field, text) not in refused_by_spark
    assert (by_spark, check.is_valid({field: text}), not list(check.thorough({field: text}))) == (fits, fits, fits)


def test_a_fault_quotes_the_pattern_as_the_contract_has_it(schemas):
    (fault,) = validator("things", 1, schemas).faults({"word": "abc\n"})
    assert fault.rule == "must look like ^[a-z]+$"


def test_a_check_of_a_table_reads_a_pattern_as_events_do():
    check = Check("words", "library", "critical", "Words.", ("mustBe", 0), "scene", "invalidValues",
                  {"pattern": "^[a-z]+$"})  # fmt: skip
    promised = replace(contract("gold.funnel_paths", ROOT / "schemas"), columns=(), checks=(check,))
    rule = expected_of(promised)[-1]
    assert [bool(re.search(rule.arguments["regex"], text)) for text in ("live", "live\n")] == [True, False]
