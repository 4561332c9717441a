"""Records that cannot be read are a person's if their bytes name the person, however it is spelt; nobody else's."""

import json
import re

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from jobs.lake.ingest.finding import is_named, quoted

IDS = ("u-1", r"ab\Ecd", "abcd", "中文", 'q"t', "a.c", "a c", r"\Q1\E")
BESIDE = ("u-12", "abc", "文", "aXc")  # of nobody: an id in them is not whole, or only looks like it
SPELLINGS = {
    "as it is": lambda raw_id: f'{{"user_id": "{raw_id}", "vi',
    "in single quotes": lambda raw_id: f"{{'user_id': '{raw_id}'",
    "as JSON": lambda raw_id: f'{{"user_id": {json.dumps(raw_id, ensure_ascii=False)}, "vi',
    "as JSON in ASCII": lambda raw_id: f'{{"user_id": {json.dumps(raw_id)}, "vi',
}
TORN = [(whose, spelling, spell(whose)) for whose in (*IDS, *BESIDE) for spelling, spell in SPELLINGS.items()]


@pytest.fixture(scope="module")
def told(spark: SparkSession) -> list[set[str]]:
    """By torn record the ids that it names."""
    rows = spark.createDataFrame([(n, body.encode()) for n, (*_, body) in enumerate(TORN)], "n int, value binary")
    named = F.array_compact(F.array(*[F.when(is_named(raw_id), F.lit(raw_id)) for raw_id in IDS]))
    found = rows.withColumn("is_refused", F.lit(True)).select("n", named.alias("named")).sort("n").collect()
    return [set(row.named) for row in found]


def test_a_torn_record_names_its_person_and_nobody_else(told: list[set[str]]) -> None:
    expected = [{whose} & set(IDS) for whose, *_ in TORN]
    assert dict(enumerate(told)) == dict(enumerate(expected))


def test_the_proof_finds_the_same_as_the_erasure(told: list[set[str]]) -> None:
    texts = [body for *_, body in TORN]
    for raw_id in IDS:
        found = [raw_id in named for named in told]
        assert [re.search(quoted(raw_id), text) is not None for text in texts] == found
        assert pc.match_substring_regex(pa.array(texts), quoted(raw_id)).to_pylist() == found
