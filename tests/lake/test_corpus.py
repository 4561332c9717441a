"""Every bad record ends in quarantine with its reasons, every odd one in silver, and the books balance (P1–P11)."""

from __future__ import annotations

import json
from collections import defaultdict

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from jobs.drills.corpus import Case, cases
from jobs.lake.clock import now
from jobs.lake.digest import digest_of
from jobs.lake.ingest.batch import SMALL
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ingest.progress import SEQUENCES
from jobs.lake.ingest.sequences import counted
from jobs.lake.ingest.steps import Done
from jobs.lake.reasons import reason_named
from jobs.lake.settings import Settings
from tests.lake.logs import ALL, Log, Record

CASES = cases()
# The least rows that are Spark's, and the most of a batch that is small.
WAYS = {"without Spark": (1, SMALL), "by Spark": (0, SMALL), "large, without Spark": (1, 0)}
WRITTEN = ("bronze.events", "silver.quarantine", *(f"silver.{topic}" for topic in ALL if topic != "control"))
Place = tuple[str, int, int]
Ingested = tuple[Ingest, list[Done], dict[str, Place], Log]


@pytest.fixture(scope="module")
def every(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ingested]:
    """All cases in one batch; where each lies, by name. Once in each way, under one key."""
    log, places = Log(), {}
    for case in CASES:
        log.put([case.record])
        part = log.parts[case.record.topic][case.record.partition]
        places[name_of(case)] = (case.record.topic, case.record.partition, len(part) - 1)
    keys, found = tmp_path_factory.mktemp("keys") / "pseudonyms.json", {}
    for name, (small_run_rows, small) in WAYS.items():
        settings = Settings(home=tmp_path_factory.mktemp("corpus"), key_file=keys, small_run_rows=small_run_rows)
        run = Ingest(settings, "corpus", now, lambda _: spark)
        with pytest.MonkeyPatch.context() as patch:
            log.installed(patch)
            patch.setattr("jobs.lake.ingest.batch.SMALL", small)
            found[name] = (run, run.until_caught_up(), places, log)
    return found


@pytest.fixture(scope="module", params=WAYS)
def ingested(request: pytest.FixtureRequest, every: dict[str, Ingested]) -> Ingested:
    """What one of them made of it."""
    return every[request.param]


@pytest.fixture(scope="module")
def refused(ingested: Ingested) -> dict[Place, set[str]]:
    """Reasons by place."""
    rows = ingested[0].lake().read("silver.quarantine").collect()
    return {(row.topic, row.kafka_partition, row.kafka_offset): set(row.reasons) for row in rows}


@pytest.fixture(scope="module")
def taken(ingested: Ingested) -> set[Place]:
    """The places that made a silver row."""
    lake = ingested[0].lake()
    found = set()
    for topic in ALL:
        for row in lake.read(f"silver.{topic}").select("kafka_partition", "kafka_offset").collect():
            found.add((topic, row[0], row[1]))
    return found


def name_of(case: Case) -> str:
    return f"{case.hazard} {case.name} ({case.record.topic})"


def test_there_are_at_least_sixty_of_them_under_different_names() -> None:
    names = [name_of(case) for case in CASES]
    assert len(names) == len(set(names)) >= 60


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_each_record_has_the_fate_it_should(
    case: Case,
    ingested: Ingested,
    refused: dict[Place, set[str]],
    taken: set[Place],
) -> None:
    place = ingested[2][name_of(case)]
    assert refused.get(place, set()) == set(case.reasons)
    if case.record.topic != "control":
        assert (place in taken) == (not case.reasons and case.fate == "taken")


def test_every_reason_is_in_the_vocabulary(refused: dict[Place, set[str]]) -> None:
    for reason in set().union(*refused.values()):
        reason_named(reason)


def test_the_books_balance(ingested: Ingested) -> None:
    totals: dict[str, int] = defaultdict(int)
    for line in (line for batch in ingested[1] for line in batch.books):
        for fate in ("received", "accepted", "duplicate", "quarantined"):
            totals[fate] += line[fate]
    assert totals["received"] == len(CASES) == totals["accepted"] + totals["duplicate"] + totals["quarantined"]


def test_bronze_keeps_every_bit(ingested: Ingested) -> None:
    run, _, places, log = ingested
    rows = run.lake().read("bronze.events").select("topic", "partition", "offset", "key", "value", "headers").collect()
    kept = {(row[0], row[1], row[2]): row for row in rows}
    for topic, partition, offset in places.values():
        sent: Record = log.parts[topic][partition][offset]
        row = kept[topic, partition, offset]
        assert (row.key, row.value) == (sent.key, sent.value)
        assert [tuple(pair) for pair in row.headers or ()] == list(sent.headers or ())


def test_every_way_makes_the_same_of_it(every: dict[str, Ingested]) -> None:
    lakes = [run.lake() for run, *_ in every.values()]
    for table in WRITTEN:
        assert len({digest_of(lake, table) for lake in lakes}) == 1, table


def test_numbers_are_those_of_the_bodies_whoever_told_them(ingested: Ingested) -> None:
    run, (batch,), *_ = ingested
    topics, rows = {line["topic"] for line in batch.books}, run.ledger.read(SEQUENCES)
    told = counted(run.ledger, 0, topics, rows["recorded_at"][0].as_py(), is_any_refused=True)
    assert told.num_rows
    assert in_order(rows) == in_order(told)


def in_order(rows: pa.Table) -> list[str]:
    return sorted(str(sorted(row.items())) for row in rows.to_pylist())


def test_what_is_taken_says_what_was_sent(ingested: Ingested, taken: set[Place]) -> None:
    """Odd letters stay what they are, and text that would like to be code stays text."""
    run, _, _, log = ingested
    columns = ("video_id", "region", "watch_ms")
    rows = run.lake().read("silver.views").select("kafka_partition", "kafka_offset", *columns).collect()
    told = {("views", row[0], row[1]): tuple(row[2:]) for row in rows}
    sent = {}
    for topic, partition, offset in (place for place in taken if place[0] == "views"):
        body = json.loads(log.parts[topic][partition][offset].value or b"")
        sent[topic, partition, offset] = tuple(body.get(name) for name in columns)
    assert told == sent


def test_unknown_fields_are_kept(ingested: Ingested) -> None:
    run, _, places, _ = ingested
    offset = places["P11 a new field with structure is kept (views)"][2]
    rows = run.lake().read("silver.views").where(f"kafka_offset = {offset}").select("rest").collect()
    assert rows[0].rest == {"mood": '{"a":[1,2]}'}


def test_a_conflict_names_its_twin(ingested: Ingested) -> None:
    run, _, places, _ = ingested
    first = places["P7 the first of three (views)"]
    row = run.lake().read("silver.quarantine").where("array_contains(reasons, 'conflict')").collect()[0]
    assert (row.twin.partition, row.twin.offset) == first[1:]


def test_no_raw_id_is_in_silver(ingested: Ingested) -> None:
    rows = ingested[0].lake().read("silver.views").select("user_id", "device_id").collect()
    assert all(value is None or value.startswith("k1:") for row in rows for value in row)
