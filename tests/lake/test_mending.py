"""Hurt files are named with what to do, and mended only when what stays is proven to be the table."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from deltalake import DeltaTable
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.storage import tear
from jobs.lake import mending
from jobs.lake.ailments import Kind, ailments
from jobs.lake.doctor import examine_lake
from jobs.lake.errors import DamageError, ServiceError, WriteError
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ingest.progress import progress
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log
from jobs.lake.repairing import mend
from jobs.lake.settings import Settings
from jobs.lake.small_commits import commit_few

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
TABLE = "silver.quarantine"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A lake of three batches, the last of which refused nothing."""
    made = Ledger(Settings(home=tmp_path))
    for batch in range(2):
        made.append(TABLE, [refused(batch, n) for n in range(3)], app="ingest", version=batch)
    for batch in range(3):
        book(made, batch, quarantined=3 if batch < 2 else 0)
    return made


def refused(batch: int, number: int) -> dict[str, object]:
    place = {"topic": "views", "kafka_topic_id": "t", "kafka_partition": 0, "kafka_offset": 3 * batch + number}
    return place | {"kafka_time": NOON, "reasons": ["tombstone"], "ingest_seq": batch}


def book(ledger: Ledger, batch: int, quarantined: int) -> None:
    """One batch in bronze and, after it, in the books."""
    event = {"topic": "views", "topic_id": "t", "partition": 0, "offset": 3 * batch, "kafka_time": NOON,
             "ingest_seq": batch, "received_date": NOON.date()}  # fmt: skip
    ledger.append("bronze.events", [event], app="ingest", version=batch)
    counts = {"received": 3, "accepted": 0, "duplicate": 3 - quarantined, "conflict": 0, "quarantined": quarantined}
    place = {"topic": "views", "topic_id": "t", "partition": 0, "offset_from": 3 * batch, "offset_to": 3 * batch + 3}
    line = {"ingest_seq": batch, "run_id": "r", **place, **counts, "balanced": True, "recorded_at": NOON}
    ledger.append("ops.books", [line], app="ingest", version=batch)


def checkpoint(ledger: Ledger, table: str) -> Path:
    DeltaTable(ledger.path(table)).create_checkpoint()
    return max((Path(ledger.path(table)) / "_delta_log").glob("*.checkpoint*.parquet"))


def garble(file: Path) -> None:
    """Put other bytes in the middle of a file."""
    held = bytearray(file.read_bytes())
    middle = len(held) // 2
    held[middle - 200 : middle + 200] = bytes(400)
    file.write_bytes(held)


def found(ledger: Ledger) -> list[tuple[str, Kind]]:
    return [(one.table, one.kind) for one in ailments(ledger.settings)]


def test_a_lake_that_is_well_has_nothing_and_is_left_alone(ledger: Ledger) -> None:
    checkpoint(ledger, TABLE)
    assert found(ledger) == []
    assert mend(ledger.settings, TABLE, "test") is None


def test_a_lake_is_looked_at_however_its_address_is_written(ledger: Ledger) -> None:
    garble(checkpoint(ledger, TABLE))
    address = ledger.settings.model_copy(update={"lake_uri": Path(ledger.settings.lake_root).as_uri()})
    assert [(one.table, one.kind) for one in ailments(address)] == found(ledger) != []
    assert ailments(ledger.settings.model_copy(update={"lake_uri": "s3a://bucket/lake"})) == []


def test_a_garbled_checkpoint_is_set_aside_and_every_row_is_still_there(ledger: Ledger) -> None:
    rows = ledger.read(TABLE).to_pylist()
    garble(checkpoint(ledger, TABLE))
    assert found(ledger) == [(TABLE, Kind.checkpoint)]
    mended = mend(ledger.settings, TABLE, "test")
    assert mended is not None
    assert (mended.rows, mended.version, mended.next_step) == (6, 2, "")
    assert len(mended.set_aside) == 2, "the checkpoint, and the hint that names it"
    assert all(Path(file).exists() for file in mended.set_aside)
    assert found(ledger) == []
    assert ledger.read(TABLE).to_pylist() == rows


def test_the_leases_are_mended_without_a_lease(ledger: Ledger) -> None:
    Leases(ledger).acquire("ingest", "somebody")
    tear(checkpoint(ledger, "ops.leases"))
    assert mend(ledger.settings, "ops.leases", "test") is not None
    assert Leases(ledger).read()["ingest"].token == 1


@pytest.mark.parametrize("words", [b"{", b'{"version":99,"size":3}', b"[]"])
def test_a_hint_that_leads_nowhere_is_set_aside(ledger: Ledger, words: bytes) -> None:
    file = checkpoint(ledger, TABLE).with_name("_last_checkpoint")
    file.write_bytes(words)
    assert found(ledger) == [(TABLE, Kind.hint)]
    assert mend(ledger.settings, TABLE, "test") is not None
    assert found(ledger) == []


def test_without_the_commits_before_it_a_checkpoint_stays_where_it_is(ledger: Ledger) -> None:
    file = checkpoint(ledger, TABLE)
    garble(file)
    for commit in file.parent.glob("*.json"):
        commit.unlink()
    with pytest.raises(WriteError, match=f"{TABLE}: its log cannot be read without the bad file"):
        mend(ledger.settings, TABLE, "test")
    assert file.exists()
    assert not list((ledger.settings.home / "aside" / TABLE).iterdir())


def test_a_torn_commit_of_the_newest_batch_makes_ingest_do_that_batch_again(ledger: Ledger) -> None:
    ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    book(ledger, 3, quarantined=1)
    tear(newest_of_log(ledger, TABLE))
    assert found(ledger) == [(TABLE, Kind.newest_commit)]
    with pytest.raises(DamageError, match=f"{TABLE}: its log cannot be read .*doctor --lake. names the file"):
        ledger.read(TABLE)
    mended = mend(ledger.settings, TABLE, "test")
    assert mended is not None
    assert (mended.rows, mended.next_step) == (6, "reelhouse ingest")
    reached = progress(ledger)
    assert (reached.complete, reached.landed) == (2, 3)
    assert found(ledger) == []


def test_a_newest_commit_that_went_without_a_trace_is_done_again(ledger: Ledger) -> None:
    """As where a repair was killed."""
    ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    book(ledger, 3, quarantined=1)
    newest_of_log(ledger, TABLE).unlink()
    mended = mend(ledger.settings, TABLE, "test")
    assert mended is not None
    assert (mended.rows, mended.next_step) == (6, "reelhouse ingest")
    assert mend(ledger.settings, TABLE, "again") is None


def test_ingest_does_not_bury_a_batch_that_bronze_has_lost(ledger: Ledger) -> None:
    """As where a repair was killed: the next batch would follow in its place, and nobody would look there again."""
    newest_of_log(ledger, "bronze.events").unlink()
    run = Ingest(ledger.settings, "test", lambda: NOON, lambda _: None)
    with pytest.raises(
        DamageError, match=r"ends with batch 1, and the books know of 2.*reelhouse repair bronze.events"
    ):
        run.until_caught_up()


def test_ingest_does_not_bury_a_batch_that_a_table_has_lost(ledger: Ledger) -> None:
    """As where a repair was killed after it had set the torn commit aside: the books still say that all is there."""
    ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    book(ledger, 3, quarantined=1)
    newest_of_log(ledger, TABLE).unlink()
    run = Ingest(ledger.settings, "test", lambda: NOON, lambda _: None)
    with pytest.raises(DamageError, match=f"{TABLE}: lacks batch 3.*reelhouse repair {TABLE}"):
        run.until_caught_up()
    assert mend(ledger.settings, TABLE, "test") is not None
    assert progress(ledger).is_unfinished


def test_a_repair_that_is_interrupted_puts_the_commit_back(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    book(ledger, 3, quarantined=1)
    torn = newest_of_log(ledger, TABLE)
    tear(torn)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(mending, "proven", interrupted)
    with pytest.raises(KeyboardInterrupt):
        mend(ledger.settings, TABLE, "test")
    assert torn.exists()


def taken_away_and_torn_it_is_done_again(ledger: Ledger) -> None:
    """Batch 3 takes rows of the table, brings none and books none; its commit is torn, and mended."""
    ledger.replace_batches(TABLE, [], {1}, app="ingest", version=3)
    book(ledger, 3, quarantined=0)
    tear(newest_of_log(ledger, TABLE))
    mended = mend(ledger.settings, TABLE, "test")
    assert mended is not None
    assert (mended.rows, mended.next_step) == (6, "reelhouse ingest")
    assert progress(ledger).complete == 2


@pytest.mark.parametrize("why", ["displaced", "erased"])
def test_a_torn_commit_that_took_rows_and_brought_none_is_done_again(ledger: Ledger, why: str) -> None:
    """Or what an erasure took would be back, and nobody would know."""
    if why == "erased":
        asked = {"marks": ["m"], "erased_at": NOON, "is_later_refused": False, "asked_by": "t", "why": "w"}
        line = {**asked, "run_id": "r", "record_counts": {"views/0": 3}, "row_counts": {TABLE: 3}}
        ledger.append("ops.erasures", [{"ingest_seq": 3, "recorded_at": NOON, **line}], app="ingest", version=3)
    else:
        line = {"table": TABLE, "day": NOON.date(), "cause": "displaced", "rows": 1, "recorded_at": NOON}
        ledger.append("ops.touched", [{"ingest_seq": 3, **line}], app="ingest", version=3)
    taken_away_and_torn_it_is_done_again(ledger)


@pytest.mark.parametrize("cause", ["displaced", "retracted"])
def test_a_torn_commit_of_as_many_refusals_that_went_as_came_is_done_again(ledger: Ledger, cause: str) -> None:
    """Books of a batch that judged older arrivals anew may say that it refused none."""
    line = {"table": "silver.views", "day": NOON.date(), "cause": cause, "rows": 1, "recorded_at": NOON}
    ledger.append("ops.touched", [{"ingest_seq": 3, **line}], app="ingest", version=3)
    taken_away_and_torn_it_is_done_again(ledger)


def test_a_batch_that_touched_days_and_no_row_of_a_table_is_not_missed_in_it(ledger: Ledger) -> None:
    line = {"table": TABLE, "day": NOON.date(), "cause": "correction", "rows": 0, "recorded_at": NOON}
    ledger.append("ops.touched", [{"ingest_seq": 2, **line}], app="ingest", version=2)
    assert mend(ledger.settings, TABLE, "test") is None
    assert progress(ledger).complete == 2


def test_what_ails_a_table_is_looked_for_where_the_books_are_hurt(ledger: Ledger) -> None:
    for file in Path(ledger.path("ops.books")).rglob("*.parquet"):
        file.write_bytes(b"PAR1")
    assert mend(ledger.settings, TABLE, "test") is None


@pytest.mark.parametrize("is_torn", [True, False])
def test_a_newest_commit_that_only_a_checkpoint_tells_of_stops_writers_until_it_is_mended(
    ledger: Ledger, *, is_torn: bool
) -> None:
    ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    book(ledger, 3, quarantined=1)
    checkpoint(ledger, TABLE)
    commit, few = newest_of_log(ledger, TABLE), ledger.read(TABLE).slice(0, 1)
    if is_torn:
        tear(commit)
    else:
        commit.unlink()
        with pytest.raises(DamageError, match=f"{TABLE}: its log cannot be read .*doctor --lake. names the file"):
            ledger.append(TABLE, [refused(4, 0)], app="ingest", version=4)
        with pytest.raises(DamageError, match=f"{TABLE}: its log cannot be read .*doctor --lake. names the file"):
            commit_few(TABLE, ledger.path(TABLE), "ingest", 4, None, lambda commit: commit.append(few))
    assert found(ledger) == [(TABLE, Kind.newest_commit if is_torn else Kind.lost_commit)]
    mended = mend(ledger.settings, TABLE, "test")
    assert mended is not None
    assert (mended.rows, mended.next_step) == (6, "reelhouse ingest")
    assert found(ledger) == []
    assert ledger.append(TABLE, [refused(3, 0)], app="ingest", version=3)
    assert ledger.read(TABLE).num_rows == 7


def test_a_torn_commit_of_an_older_batch_is_not_taken_for_the_newest_and_stays_where_nothing_can_make_it_again(
    ledger: Ledger,
) -> None:
    """Nothing landed here, of which to make it."""
    torn = newest_of_log(ledger, TABLE)
    tear(torn)
    with pytest.raises(ServiceError, match="no Spark here"):
        mend(ledger.settings, TABLE, "test", no_spark)
    assert torn.exists()
    assert progress(ledger).complete == 2


def no_spark(_: Settings) -> None:
    raise ServiceError("no Spark here")


@pytest.mark.parametrize(
    ("hurt", "words"), [("gone", "is not there"), ("flipped", "cannot be read"), ("cut", "bytes, the log says")]
)
def test_a_data_file_that_is_gone_or_changed_is_named_with_its_remedy(ledger: Ledger, hurt: str, words: str) -> None:
    file = max(Path(ledger.path(TABLE)).rglob("*.parquet"))
    {"gone": file.unlink, "flipped": lambda: garble(file), "cut": lambda: tear(file)}[hurt]()
    assert found(ledger) == [(TABLE, Kind.data)]
    assert words in ailments(ledger.settings)[0].found
    assert ailments(ledger.settings)[0].remedy == f"run `reelhouse repair {TABLE}`"


def test_doctor_looks_on_where_the_books_are_hurt_themselves(ledger: Ledger) -> None:
    for file in Path(ledger.path("ops.books")).rglob("*.parquet"):
        file.write_bytes(b"PAR1")
    found = examine_lake(ledger.settings)
    assert [(one.subject, one.remedy) for one in found] == [
        *[("ops.books", "run `reelhouse repair ops.books`")] * 3,
        ("topics", "mend ops.books first"),
    ]


def test_doctor_names_the_table_the_file_and_the_remedy(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(ledger.settings.home))
    monkeypatch.setattr("jobs.lake.topics.PATIENCE_MS", 100)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:9")
    garble(checkpoint(ledger, TABLE))
    said = CliRunner().invoke(build_app(), ["doctor", "--lake"])
    assert said.exit_code == 1
    assert "reelhouse repair silver.quarantine" in said.output
    mended = CliRunner().invoke(build_app(), ["repair", TABLE, "--format", "json"])
    assert mended.exit_code == 0, mended.output
    again = CliRunner().invoke(build_app(), ["doctor", "--lake"])
    assert again.exit_code == 0, again.output
    assert "every file of" in again.output
