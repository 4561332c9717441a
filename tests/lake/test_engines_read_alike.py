"""Odd records are read, judged and written alike by both engines of ingest (docs/adr/0025): row by row, to the bit.

Both read the same bronze and write a lake of their own; then every reader reads both. Of each difference the record is
named. Thousands of records (`odd_records`), of every topic, the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import read
from jobs.definitions.events.rows import changes
from jobs.definitions.firsts import judged, without
from jobs.lake.contracts import contract
from jobs.lake.errors import TooMuchError
from jobs.lake.identity import ensure_key_file, pseudonym_function
from jobs.lake.ingest.contests import claim, new_claims
from jobs.lake.ingest.forms import form, silver_table
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import ROOT, Settings
from jobs.lake.small_engine import SmallLake, small_lake
from jobs.lake.tables import Lake
from jobs.lake.topics import ENTITIES, FACTS, TOPICS
from jobs.silver import quarantine
from tests.lake.odd_records import Odd, odd_records
from tests.lake.test_engines_agree import plain

SEED, BATCH, NOTE = 20_261_120, 7, "{}"
OUTPUTS = (*FACTS, *ENTITIES)
TABLES = (QUARANTINE, *map(silver_table, OUTPUTS))
MOST_NAMED = 20  # differences; the first will say it
Key = tuple[str, str]  # topic or table, what was asked of it
Answers = dict[Key, pa.Table]


@cache
def odd(topic: str) -> list[Odd]:
    """The odd records of a topic; each lies at the offset that is its place in the list."""
    return odd_records(topic, SEED)


def bronze() -> pa.Table:
    """All of them as they lie in bronze."""
    schema = pa.schema(contract(BRONZE, ROOT / "schemas").arrow_schema())
    rows = [
        {
            "topic": topic, "topic_id": topic, "partition": each.record.partition, "offset": offset,
            "kafka_time": each.record.at, "key": each.record.key, "value": each.record.value, "ingest_seq": BATCH,
            "headers": each.headers and [{"key": name, "value": value} for name, value in each.headers],
            "received_date": each.record.at.date(),
        }
        for topic in TOPICS
        for offset, each in enumerate(odd(topic))
    ]  # fmt: skip
    return pa.Table.from_pylist(rows, schema=schema)


@dataclass(frozen=True)
class Run:
    """One engine at work: its lake, and where the bronze lies that both read."""

    lake: Lake
    bronze: str

    def answers(self) -> Answers:
        """What is read of every topic; on the way its tables are written."""
        return {key: table for topic in TOPICS for key, table in self.of_topic(topic)}

    def of_topic(self, topic: str) -> Iterator[tuple[Key, pa.Table]]:
        """What is read and judged of one topic."""
        how = form(topic, self.lake.settings)
        records = self.lake.read_at(self.bronze).where(F.col("topic") == topic)
        readings = self.lake.hold(read(records, how)) if self.lake.keeps_readings else read(records, how)
        yield (topic, "readings"), told(readings)
        number = TOPICS.index(topic)
        self.lake.append_few(QUARANTINE, quarantine.build(readings, form=how), app="a", version=number, metadata=NOTE)
        if how.role != "control":
            verdicts = self.lake.hold(judged(new_claims(readings, how)))
            firsts = without(readings, verdicts.where("fate <> 'first'"))
            (self.write_facts if how.role == "fact" else self.write_entities)(firsts, how)
            yield (topic, "fates"), told(judged(self.claims(readings, how)))

    def write_facts(self, firsts: DataFrame, how: Form) -> None:
        """In one append, as files that the engine writes."""
        build = import_module(f"jobs.silver.{how.topic}").build
        rows = build(firsts, form=how, pseudonym=pseudonym_function(self.lake.settings.keys_path))
        self.lake.append(silver_table(how.topic), rows, app="a", version=1, metadata=NOTE)

    def write_entities(self, firsts: DataFrame, how: Form) -> None:
        """In two batches, of which the second finds the first there: an append of files, then a merge by delta-rs."""
        table, key = silver_table(how.topic), how.key_field
        build = import_module(f"jobs.silver.{how.topic}").build
        told = changes(firsts, how, pseudonym_function(self.lake.settings.keys_path))
        for number, write in enumerate((self.lake.append, self.lake.merge_few)):
            new = self.lake.hold(told.where(F.col("kafka_offset") % 2 == number))
            known = self.lake.read(table).join(new.select(key).distinct(), on=[key], how="left_semi")
            keys = [[key, "event_id"]] * number
            write(table, build(new, known), *keys, app="a", version=number, metadata=NOTE)

    def claims(self, readings: DataFrame, how: Form) -> DataFrame:
        """The topic's arrivals, and some that silver knows, as if they had come by other partitions."""
        silver = self.lake.read(silver_table(how.topic)).where(F.col("kafka_offset") % 3 == 0)
        moved = silver.withColumn("kafka_partition", F.col("kafka_partition") - 1)
        return new_claims(readings, how).unionByName(moved.select(*claim(how)))

    def seen(self, lakes: dict[str, Settings]) -> dict[tuple[str, str], pa.Table]:
        """The tables of these lakes as this engine reads them."""
        return {
            (name, table): told(self.lake.read_at(settings.table_path(table)))
            for name, settings in lakes.items()
            for table in TABLES
        }


def told(frame: DataFrame) -> pa.Table:
    """The rows in the order of their places; instants and days as numbers, which any year fits into."""
    return in_order(frame.toArrow())


def in_order(rows: pa.Table) -> pa.Table:
    plainly = rows.cast(pa.schema([(field.name, plain(field.type)) for field in rows.schema]))
    places = [
        name for name in ("topic", "kafka_topic_id", "kafka_offset", "kafka_partition") if name in rows.column_names
    ]
    return plainly.sort_by([(name, "ascending") for name in places])


def differences(one: pa.Table, other: pa.Table) -> list[tuple[Any, ...]]:
    """What differs, by record and column: (record, column, the one, the other); types and numbers of rows, too."""
    if one.schema.names != other.schema.names or one.schema.types != other.schema.types:
        return [("schema", str(one.schema), str(other.schema))]
    named = [*zip(one["kafka_topic_id"].to_pylist(), one["kafka_offset"].to_pylist(), strict=True)]
    if one.num_rows != other.num_rows:
        there = [*zip(other["kafka_topic_id"].to_pylist(), other["kafka_offset"].to_pylist(), strict=True)]
        return [(name_of(*place), place in named, place in there) for place in sorted({*named} ^ {*there})]
    return [
        (name_of(*named[row]), name, here, there)
        for name in one.column_names
        for row, (here, there) in enumerate(zip(one[name].to_pylist(), other[name].to_pylist(), strict=True))
        if here != there
    ]


def name_of(topic: str, offset: int) -> str:
    return f"{topic} {offset}: {odd(topic)[offset].name}"


@dataclass(frozen=True)
class Found:
    """What both engines made: their answers, their lakes, and how each engine reads each lake."""

    small: Answers
    large: Answers
    lakes: dict[str, Settings]
    by_small: dict[tuple[str, str], pa.Table]
    by_large: dict[tuple[str, str], pa.Table]


@pytest.fixture(scope="module")
def found(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Found:
    """Both engines at the same records."""
    keys = tmp_path_factory.mktemp("keys") / "pseudonyms.json"
    ensure_key_file(keys)
    lakes = {
        name: Settings(home=tmp_path_factory.mktemp(name), key_file=keys, spark_remote="", spark_master="")
        for name in ("small", "large")
    }
    with small_lake(lakes["small"]) as lake:
        lake.append(BRONZE, lake.spark.createDataFrame(bronze()), app="a", version=1, metadata=NOTE)
        small = Run(lake, lake.path(BRONZE)).answers()
    at = lakes["small"].table_path(BRONZE)
    run = Run(Lake(lakes["large"], spark), at)
    large, by_large = run.answers(), run.seen(lakes)
    with small_lake(lakes["small"]) as lake:
        return Found(small, large, lakes, Run(lake, at).seen(lakes), by_large)


def in_arrow(found: Found, lake: str, table: str) -> pa.Table:
    return in_order(dataset_of(DeltaTable(found.lakes[lake].table_path(table))).to_table())


def test_there_are_thousands_and_many_of_every_fate(found: Found) -> None:
    assert sum(len(odd(topic)) for topic in TOPICS) > 5000
    for topic in TOPICS:
        taken = found.large[topic, "readings"]["taken"].to_pylist()
        assert taken.count(True) > 200
        assert taken.count(False) > 400
    fates = {
        fate for (_, asked), table in found.large.items() if asked == "fates" for fate in table["fate"].to_pylist()
    }
    assert fates == {"first", "duplicate", "conflict"}
    told = found.by_large["large", QUARANTINE]["reasons"].to_pylist()
    assert len({reason.partition(":")[0] for reasons in told for reason in reasons}) > 20


@pytest.mark.parametrize("asked", ["readings", "fates"])
@pytest.mark.parametrize("topic", TOPICS)
def test_both_engines_read_and_judge_alike(found: Found, topic: str, asked: str) -> None:
    assert ((topic, asked) in found.small) == ((topic, asked) in found.large)
    if (topic, asked) in found.large:
        assert differences(found.small[topic, asked], found.large[topic, asked])[:MOST_NAMED] == []


@pytest.mark.parametrize("table", TABLES)
def test_both_engines_write_alike(found: Found, table: str) -> None:
    small, large = (in_arrow(found, name, table) for name in ("small", "large"))
    assert small.num_rows > 200
    assert differences(small, large)[:MOST_NAMED] == []


@pytest.mark.parametrize("lake", ["small", "large"])
@pytest.mark.parametrize("table", TABLES)
def test_every_reader_reads_the_same(found: Found, table: str, lake: str) -> None:
    plainly = in_arrow(found, lake, table)
    assert differences(found.by_small[lake, table], plainly)[:MOST_NAMED] == []
    assert differences(found.by_large[lake, table], plainly)[:MOST_NAMED] == []


@pytest.mark.parametrize("lake", ["small", "large"])
@pytest.mark.parametrize("table", TABLES)
def test_rows_are_found_by_what_they_hold(found: Found, table: str, lake: str) -> None:
    rows = dataset_of(DeltaTable(found.lakes[lake].table_path(table)))
    for name in [field.name for field in rows.schema if is_asked_for(field.type)]:
        held = rows.to_table(columns=[name])[name].drop_null()
        for value in [pc.min(held), pc.max(held), *held[:: max(1, len(held) // 3)]] if len(held) else []:
            expected = pc.sum(pc.equal(held, value)).as_py()
            assert rows.count_rows(filter=pc.field(name) == value) == expected, (name, value)


def is_asked_for(kind: pa.DataType) -> bool:
    """Whether a log may have bounds of such a column."""
    return any(
        is_one(kind) for is_one in (pa.types.is_string, pa.types.is_integer, pa.types.is_timestamp, pa.types.is_date)
    )


@pytest.mark.parametrize(("table", "lake"), [(BRONZE, "small"), *product(TABLES, ["small", "large"])])
def test_the_log_leaves_no_row_out(found: Found, table: str, lake: str) -> None:
    at = Path(found.lakes[lake].table_path(table))
    files = set(DeltaTable(str(at)).file_uris())
    for added in added_by(at):
        if f"{at}/{added['path']}" not in files:
            continue
        rows, stats = pq.ParquetFile(f"{at}/{added['path']}").read(), json.loads(added["stats"])
        assert stats["numRecords"] == rows.num_rows
        for name, least in stats["minValues"].items():
            assert_within(rows[name].drop_null(), least, stats["maxValues"].get(name), name)
        for name, nulls in stats["nullCount"].items():
            assert isinstance(nulls, dict) or rows[name].null_count == nulls, name


def added_by(table: Path) -> Iterator[dict[str, Any]]:
    """What a table's log says of files."""
    for commit in sorted((table / "_delta_log").glob("*.json")):
        actions = map(json.loads, commit.read_text().strip().split("\n"))
        yield from (action["add"] for action in actions if "add" in action)


def assert_within(values: pa.ChunkedArray, least: Any, greatest: Any, name: str) -> None:
    """Every value lies between the bounds that the log has; of instants it may have cut off less than a millisecond."""
    if len(values):
        assert as_held(least, values.type) <= pc.min(values).as_py(), name
    if len(values) and greatest is not None:
        most = pc.max(values).as_py()
        cut_off = most - timedelta(milliseconds=1) if pa.types.is_timestamp(values.type) else most
        assert as_held(greatest, values.type) >= cut_off, name


def as_held(bound: Any, kind: pa.DataType) -> Any:
    """A bound of the log as the values are in memory."""
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(bound)
    return date.fromisoformat(bound) if pa.types.is_date(kind) else bound


def test_what_the_engine_would_commit_without_saying_whose_it_is_is_left_to_spark(
    found: Found, spark: SparkSession
) -> None:
    lake = SmallLake(found.lakes["small"], spark)
    with pytest.raises(TooMuchError, match="quarantine"):  # its lists cannot be looked at in files
        lake.append(QUARANTINE, lake.nothing(QUARANTINE), app="b", version=1)
    with pytest.raises(TooMuchError, match="views"):
        lake.replace_all("silver.views", lake.nothing("silver.views"), app="b", version=1)


def test_a_difference_is_named() -> None:
    one = pa.table({"kafka_topic_id": ["views"] * 2, "kafka_offset": [0, 1], "at_us": [5, None]})
    other = one.set_column(2, "at_us", pa.array([5, 0]))
    assert differences(one, one) == []
    assert differences(one, other) == [(name_of("views", 1), "at_us", None, 0)]
    assert differences(one, one.slice(1)) == [(name_of("views", 0), True, False)]
    assert differences(one, one.set_column(2, "at_us", pa.array([5, None], pa.int32())))[0][0] == "schema"
