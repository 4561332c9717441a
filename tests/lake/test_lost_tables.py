"""What the books tell of and is not there is named: tables, their newest commits, rows; and nothing else is."""

from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.ailments import BY_BATCH, Kind
from jobs.lake.begun_again import begin_again, first_told, is_gone
from jobs.lake.doctor import Finding, Verdict, examine_lake
from jobs.lake.errors import DamageError, UsageError
from jobs.lake.hours import untold
from jobs.lake.ingest.erasing import Asked, erase
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.mending import newest_of_log
from jobs.lake.publications import Publication, Release, family_of, publish, release_id
from jobs.lake.repairing import mend
from jobs.lake.rolling_back import refuse_untold
from jobs.lake.settings import Settings

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
QUARANTINE, TOUCHED, WATERMARKS, BOOKS = "silver.quarantine", "ops.touched", "ops.watermarks", "ops.books"
HOURS = "ops.book_hours"


class Batches:
    """A ledger to which batches are written as ingest does, of counts alone."""

    def __init__(self, home: Path) -> None:
        self.ledger, self.number = Ledger(Settings(home=home)), -1

    def begin(self, topic: str = "views", *, value: bytes | None = None, refused: int = 0) -> None:
        """Land one record, and refuse so many."""
        self.number += 1
        event = {"topic": topic, "topic_id": f"id-{topic}", "partition": 0, "offset": self.number, "value": value}
        self.write("bronze.events", event | {"kafka_time": NOON, "received_date": NOON.date()})
        place = {"topic": topic, "kafka_topic_id": "other", "kafka_partition": 0}
        rows = [place | {"kafka_offset": 10 * self.number + n, "kafka_time": NOON, "reasons": ["tombstone"]}
                for n in range(refused)]  # fmt: skip
        if rows:
            self.write(QUARANTINE, *rows)

    def end(self, topic: str = "views", **counts: Any) -> None:
        """Book it by hour, and then by partition."""
        line = {"topic": topic, "topic_id": f"id-{topic}", "partition": 0}
        fates = {"received": 1, "accepted": 0, "duplicate": 0, "conflict": 0, "quarantined": 0, "erased": 0} | counts
        self.write(HOURS, line | fates | {"canary": 0})
        ends = {"run_id": "r", "offset_from": self.number, "offset_to": self.number + 1, "balanced": True}
        self.write(BOOKS, line | fates | ends | {"recorded_at": NOON})

    def touch(self, table: str, cause: str = "new_facts") -> None:
        """Say that the batch has changed a day."""
        day = {"table": table, "day": NOON.date(), "cause": cause, "rows": 1, "recorded_at": NOON}
        self.write(TOUCHED, day)

    def hear(self) -> None:
        """A source has said how far it is."""
        said = {"source": "app", "topic": "views", "complete_until": NOON, "is_final": False, "offsets_reached": True}
        self.write(WATERMARKS, said | {"recorded_at": NOON})

    def write(self, table: str, *rows: dict[str, Any]) -> None:
        told = [row | {"ingest_seq": self.number} for row in rows]
        self.ledger.append(table, told, app="ingest", version=self.number)

    @property
    def lost(self) -> list[tuple[str, Kind]]:
        return [(one.table, one.kind) for one in lost_commits(self.ledger.settings)]


@pytest.fixture
def batches(tmp_path: Path) -> Batches:
    """Two batches refused two records each; the third repeated one."""
    made = Batches(tmp_path)
    for _ in range(2):
        made.begin(refused=2)
        made.end(quarantined=2, received=2)
    made.begin()
    made.end(duplicate=1)
    return made


def test_a_table_that_is_gone_is_named_with_what_makes_it_again(batches: Batches) -> None:
    assert batches.lost == []
    rmtree(batches.ledger.path(QUARANTINE))
    assert batches.lost == [(QUARANTINE, Kind.gone)]
    (found,) = lost_commits(batches.ledger.settings)
    assert (found.remedy, found.found) == (
        "run `reelhouse repair silver.quarantine`",
        "is not there, or has no commit of ingest, though ops.books knows of 2",
    )
    batches.ledger.open(QUARANTINE)  # made anew, as by a reader, it is no better
    assert batches.lost == [(QUARANTINE, Kind.gone)]


def test_a_log_without_a_commit_is_a_table_that_is_gone(batches: Batches) -> None:
    for file in (Path(batches.ledger.path(QUARANTINE)) / "_delta_log").glob("*.json"):
        file.unlink()
    found = [each.subject for each in examine(batches.ledger.settings) if each.verdict is Verdict.blocks]
    assert found == [QUARANTINE]


def test_a_newest_commit_without_a_trace_is_named_whichever_batch_it_was_of(batches: Batches) -> None:
    newest_of_log(batches.ledger, QUARANTINE).unlink()
    assert batches.lost == [(QUARANTINE, Kind.lost_commit)]


def test_rows_that_the_books_tell_of_are_missed_and_rows_of_a_batch_at_work_are_not(batches: Batches) -> None:
    batches.begin(refused=3)
    assert batches.lost == [], "they are not booked yet"
    batches.end(quarantined=3, received=3)
    assert batches.lost == []
    batches.ledger.replace_batches(QUARANTINE, [], {0}, app="somebody", version=0)
    (found,) = lost_commits(batches.ledger.settings)
    assert (found.kind, found.found) == (Kind.rows, "has 2 rows less than ops.books says")


def test_one_reason_that_took_the_place_of_another_is_a_change_though_as_many_are_refused(batches: Batches) -> None:
    """As where a replay is taken back."""
    batches.begin()
    batches.end(duplicate=1, reason_counts=[("conflict", -1), ("retracted", 1)])
    assert batches.lost == [(QUARANTINE, Kind.lost_commit)]


def test_what_retention_took_is_no_refusal(batches: Batches) -> None:
    batches.begin()
    batches.end(duplicate=1, reason_counts=[("lost_to_retention", 7)])
    assert batches.lost == []


@pytest.mark.parametrize("topic", ["views", "users"])
def test_days_are_owed_for_facts_and_not_for_changes_that_no_fact_is_of_the_time_of(
    batches: Batches, topic: str
) -> None:
    """A repair of the newest batch does it again all the same: that changes nothing where nothing is lost."""
    batches.begin(topic)
    batches.write(f"silver.{topic}", row_of(batches.ledger, f"silver.{topic}"))
    batches.end(topic, accepted=1)
    assert batches.lost == ([(TOUCHED, Kind.gone)] if topic == "views" else [])
    batches.touch(f"silver.{topic}")
    assert batches.lost == []


@pytest.mark.parametrize("kind", ["complete", "retract"])
def test_a_watermark_is_owed_for_words_of_completeness_alone(batches: Batches, kind: str) -> None:
    batches.begin("control", value=f'{{"kind":"{kind}"}}'.encode())
    batches.end("control", accepted=1)
    assert batches.lost == ([(WATERMARKS, Kind.gone)] if kind == "complete" else [])
    batches.hear()
    batches.begin()
    batches.end(duplicate=1)
    assert batches.lost == []
    assert mend(batches.ledger.settings, WATERMARKS, "test") is None


def test_words_that_were_refused_say_nothing(batches: Batches) -> None:
    batches.begin("control", value=b'{"kind":"complete"}')
    place = {"topic": "control", "kafka_topic_id": "id-control", "kafka_partition": 0, "kafka_offset": batches.number}
    batches.write(QUARANTINE, place | {"kafka_time": NOON, "reasons": ["malformed"]})
    batches.end("control", accepted=1, quarantined=1, received=2)
    assert batches.lost == []


@pytest.mark.parametrize("table", ["silver.views", TOUCHED])
def test_an_erasure_that_took_rows_is_a_change_of_what_it_took_them_from(batches: Batches, table: str) -> None:
    asked = {"marks": ["m"], "erased_at": NOON, "is_later_refused": False, "asked_by": "t", "why": "w", "run_id": "r"}
    batches.begin()
    batches.write("ops.erasures", asked | {"record_counts": {}, "row_counts": {"silver.views": 1}, "recorded_at": NOON})
    batches.write({"silver.views": TOUCHED, TOUCHED: "silver.views"}[table], *([] if table == TOUCHED else [day()]))
    assert batches.lost == [], "it is at work"
    batches.end(received=0)
    assert batches.lost == [(table, Kind.gone)]


def day() -> dict[str, Any]:
    """A day of somebody who was erased."""
    erased = {"table": "silver.views", "day": NOON.date(), "cause": "erased", "subject": "s"}
    return erased | {"rows": 1, "recorded_at": NOON}


def row_of(ledger: Ledger, table: str) -> dict[str, Any]:
    """A row that has what it must, and nothing else."""
    some = {"string": "x", "bool": False, "date32[day]": NOON.date(), "timestamp[us, tz=UTC]": NOON}
    must = (field for field in ledger.schema(table) if not field.nullable)
    return {field.name: some.get(str(field.type), 0) for field in must}


def test_the_ledger_is_read_once_for_all_tables(batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = Ledger.read, list[str]()

    def counted(self: Ledger, table: str, *args: Any, **named: Any) -> Any:
        seen.append(table)
        return read(self, table, *args, **named)

    monkeypatch.setattr(Ledger, "read", counted)
    assert batches.lost == []
    assert len(BY_BATCH) > 5
    assert [seen.count(table) for table in (BOOKS, TOUCHED, "ops.erasures")] == [1, 1, 1]


@pytest.mark.parametrize("work", ["ingest", "erase"])
def test_nothing_is_taken_in_nor_erased_while_a_table_of_silver_is_not_there(batches: Batches, work: str) -> None:
    """What comes would be judged as if it were the first."""
    ingest = Ingest(batches.ledger.settings, "run", lambda: NOON, lambda _: pytest.fail("Spark is opened"))
    ingest.refuse_gone()
    rmtree(batches.ledger.path(QUARANTINE))
    with pytest.raises(DamageError, match="silver.quarantine: is not there any more.*`reelhouse repair silver.quaran"):
        ingest.until_caught_up() if work == "ingest" else erase(ingest, Asked("u1", "request 1", "tester", NOON))


def test_hours_that_are_gone_are_told_with_what_counts_them_again(batches: Batches) -> None:
    settings, ledger = batches.ledger.settings, batches.ledger
    assert untold(ledger) == []
    newest_of_log(ledger, HOURS).unlink()
    assert untold(ledger) == [2]
    rmtree(ledger.path(HOURS))
    assert untold(ledger) == [0, 1, 2]
    (found,) = [each for each in examine(settings) if each.subject == HOURS]
    assert (found.verdict, found.found, found.remedy) == (
        Verdict.warning,
        "3 batches (0–2) are not told whole by hour",
        "run `reelhouse repair ops.book_hours`",
    )


def examine(settings: Settings) -> list[Finding]:
    """What doctor says of the lake, without a broker to ask."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.lake.doctor.topics_read", lambda _: [])
        return examine_lake(settings)


def test_a_published_table_is_begun_again_where_no_release_has_been(batches: Batches) -> None:
    """What lies there without a log is set aside; readers, upkeep and rollbacks are told that the rest is gone."""
    ledger, table = batches.ledger, "gold.segment_daily"
    family = family_of(table, ledger.settings.schemas_dir)
    for number in range(3):
        ledger.append(table, [row_of(ledger, table)], app=f"release:{family}", version=number + 1)
    for number, version in enumerate((3, 1, 2), start=1):  # a rollback may have named a younger one before
        publish(ledger, family, number, [published_as(family, table, number, version)])
    rmtree(Path(ledger.path(table)) / "_delta_log")
    assert batches.lost == [(table, Kind.gone)]
    assert (is_gone(ledger, table, 2), first_told(ledger, table)) == (True, 0)
    assert begin_again(ledger, family, {table: 2}) == [table]
    assert (first_told(ledger, table), ledger.version(table), ledger.read(table).num_rows) == (4, 4, 0)
    (aside,) = (ledger.settings.home / "aside" / table).iterdir()
    assert len(list(aside.rglob("*.parquet"))) == 3
    assert batches.lost == [(table, Kind.gone)], "nothing is released yet"
    assert begin_again(ledger, family, {table: 2}) == []
    ledger.append(table, [row_of(ledger, table)], app=f"release:{family}", version=4)
    publish(ledger, family, 4, [published_as(family, table, 4, 5)])
    assert batches.lost == []
    old, new = (Release(family, n, {table: published_as(family, table, n, at)}) for n, at in ((1, 3), (4, 5)))
    refuse_untold(ledger, new)
    with pytest.raises(UsageError, match=f"what {family}-000001 had of {table} is gone"):
        refuse_untold(ledger, old)


def published_as(family: str, table: str, number: int, version: int) -> Publication:
    """A line of the publications."""
    facts = {"slices": (), "ingest_seq": 0, "watermark": None, "contract_version": "1.0.0", "verdict": "passed"}
    return Publication(release_id(family, number), family, table, version, **facts, run_id="r", known_from=NOON, rows=1)


def test_of_no_lake_and_of_an_empty_one_it_is_not_said_that_all_is_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path / "nowhere"))
    said = CliRunner().invoke(build_app(), ["doctor", "--lake"])
    assert said.exit_code != 0
    assert "there is no lake at" in str(said.exception)
    (found,) = examine(Settings(home=tmp_path))
    assert (found.verdict, found.found.partition(" in ")[0]) == (
        Verdict.warning,
        "not looked at: no table was made",
    )


def test_of_an_object_store_it_says_that_no_file_was_looked_at(
    batches: Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.lake.doctor.numbers_counted", lambda _: [])
    away = batches.ledger.settings.model_copy(update={"lake_uri": "s3a://bucket/lake"})
    (found,) = examine(away)
    assert (found.subject, found.verdict) == ("tables", Verdict.warning)
    assert found.found.startswith("not looked at: the lake lies in an object store")
