"""One bit that is flipped in a data file is seen, whatever Parquet makes of it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.storage import tear
from jobs.lake import noting
from jobs.lake.ailments import Kind, ailments, ailments_of, is_whole, known_files, unreadable
from jobs.lake.contracts import all_tables
from jobs.lake.errors import DamageError
from jobs.lake.file_digests import TABLE, UNNOTED, file_digest, live_files, read
from jobs.lake.ingest.loop import Ingest
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log
from jobs.lake.noting import note_files
from jobs.lake.publications import TABLE as PUBLICATIONS
from jobs.lake.releasing import Outcome
from jobs.lake.remaking.wounds import wound_of
from jobs.lake.repairing import mend
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.upkeep.between import Between
from jobs.upkeep.files import MANY_SMALL, compact, vacuum
from jobs.upkeep.rounds import Round
from tests.lake.bits import flip, flip_unseen, flipped, rows_of

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
QUARANTINE, COSTS = "silver.quarantine", "ops.costs"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A lake of some files, of which it is noted what they are."""
    made = Ledger(Settings(home=tmp_path))
    for batch in range(2):
        add(made, batch)
    assert tidy(made) == 4
    return made


def add(ledger: Ledger, batch: int) -> None:
    """A file of refused records, and one of what that cost."""
    place = {"topic": "views", "kafka_topic_id": "t", "kafka_partition": 0, "kafka_time": NOON}
    rows = [place | {"kafka_offset": n, "reasons": ["tombstone"], "ingest_seq": batch} for n in range(40)]
    ledger.append(QUARANTINE, rows, app="ingest", version=batch)
    counts = {"milliseconds": 1, "rows": 40, "files": 1, "bytes": 5000}
    cost = {"run_id": "r", "work": "batch", "ingest_seq": batch, "recorded_at": NOON}
    ledger.append(COSTS, [cost | counts], app="ingest", version=batch)


def tidy(ledger: Ledger, at: datetime | None = None) -> int:
    """One round of upkeep; how many files it said it had noted."""
    said: list[str] = []
    every = all_tables(ledger.settings.schemas_dir)
    Round(ledger.settings, "upkeep", timedelta(days=7), at or NOON, said.append).tidy(every)
    return int(said[-1].split()[0]) if said else 0


def files(ledger: Ledger, table: str) -> list[Path]:
    return sorted(Path(ledger.path(table)) / path for path in live_files(ledger, table))


def found(ledger: Ledger) -> list[tuple[str, Kind, Path]]:
    return [(one.table, one.kind, one.file) for one in ailments(ledger.settings)]


@pytest.mark.parametrize("table", [QUARANTINE, COSTS])
def test_every_bit_that_is_flipped_is_seen_also_where_parquet_reads_another_value(ledger: Ledger, table: str) -> None:
    file = files(ledger, table)[0]
    rows, unseen = rows_of(file), 0
    for place in flipped(file):
        assert [one.file for one in ailments_of(ledger.settings, table)] == [file], place
        unseen += not unreadable(file) and rows_of(file) not in (rows, "")
    assert unseen > 1, "without what was noted these are not seen"
    assert found(ledger) == []


def test_a_name_of_a_column_that_is_no_text_any_more_is_told_not_raised(ledger: Ledger) -> None:
    file = files(ledger, COSTS)[0]
    file.write_bytes(file.read_bytes().replace(b"milliseconds", b"millisecond\xf3"))
    assert "cannot be read" in unreadable(file)


def test_a_repair_counts_the_rows_of_a_changed_file_as_lost_and_leaves_it_out(ledger: Ledger) -> None:
    hurt, _ = files(ledger, QUARANTINE)
    flip_unseen(hurt)
    wound = wound_of(ledger.settings, QUARANTINE)
    assert (wound.files, wound.lost, wound.standing) == ({hurt.name}, 40, 40)


def test_what_was_noted_is_what_sha256sum_says_and_is_noted_once(ledger: Ledger) -> None:
    lines = {Path(ledger.path(line["table"])) / line["path"]: line for line in ledger.read(TABLE).to_pylist()}
    assert sorted(lines) == sorted([*files(ledger, QUARANTINE), *files(ledger, COSTS)])
    assert {file: line["digest"] for file, line in lines.items()} == {file: file_digest(file) for file in lines}
    version = ledger.version(TABLE)
    assert tidy(ledger) == 0
    assert ledger.version(TABLE) == version, "a round with nothing new commits nothing"


def test_files_that_are_live_no_more_are_forgotten_when_the_new_ones_are_noted(ledger: Ledger) -> None:
    for batch in range(2, MANY_SMALL):
        add(ledger, batch)
    assert tidy(ledger, NOON + timedelta(hours=1)) == 2, "of each table the one file that upkeep wrote"
    paths = {line["path"] for line in ledger.read(TABLE).to_pylist()}
    assert paths == {*live_files(ledger, QUARANTINE), *live_files(ledger, COSTS)}
    assert len(paths) == 2


def test_changed_rows_are_not_written_into_a_file_that_would_pass_for_whole(ledger: Ledger) -> None:
    for batch in range(2, MANY_SMALL):
        add(ledger, batch)
    paths, file = live_files(ledger, QUARANTINE), a_noted_file(ledger)
    flip_unseen(file)
    with pytest.raises(DamageError, match=f"{QUARANTINE}: {file} is not what was noted of it on 2026-11-20 04:00"):
        compact(ledger, QUARANTINE)
    assert live_files(ledger, QUARANTINE) == paths


def a_noted_file(ledger: Ledger) -> Path:
    return next(file for file in files(ledger, QUARANTINE) if file in noted_files(ledger))


def noted_files(ledger: Ledger) -> set[Path]:
    return {Path(ledger.path(table)) / path for table, notes in known_files(ledger.settings).items() for path in notes}


def test_an_ingest_that_goes_on_for_ever_notes_its_files_between_batches(ledger: Ledger) -> None:
    at, told = NOON, list[str]()
    between = Between(ledger.settings, "the service", lambda: at, told.append)
    add(ledger, 2)
    at = NOON + timedelta(minutes=6)
    while not told:
        between()
    assert len(noted_files(ledger)) == 6


def test_who_notes_at_the_same_time_loses_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ledger, 2)
    read, others = noting.live_files, [COSTS]

    def overtaken(ledger: Ledger, table: str) -> list[str]:
        if table == QUARANTINE and others:
            assert note_files(ledger, [others.pop()], NOON) == 1
        return read(ledger, table)

    monkeypatch.setattr(noting, "live_files", overtaken)
    assert note_files(ledger, [QUARANTINE], NOON) == 1
    assert len(noted_files(ledger)) == 6


def test_a_bit_flipped_in_the_notes_themselves_never_tells_of_other_files(ledger: Ledger) -> None:
    (file,) = files(ledger, TABLE)
    rows = rows_of(file)
    for place in flipped(file):
        hurt = ailments_of(ledger.settings, TABLE)
        assert [one.file for one in hurt] == [file] or (hurt == [] and rows_of(file) == rows), place
        assert ailments_of(ledger.settings, QUARANTINE) == [], place


def test_notes_whose_time_zone_is_none_any_more_are_told_not_raised(ledger: Ledger) -> None:
    (file,) = files(ledger, TABLE)
    rows = pq.read_table(file)
    at = rows.schema.get_field_index("noted_at")
    pq.write_table(rows.set_column(at, "noted_at", rows["noted_at"].cast(pa.timestamp("us", "ETC"))), file)
    assert read(file, len(rows)) == ([], "cannot be read: 'ETC'")


@pytest.mark.parametrize("hurt", ["flipped", "torn", "gone"])
def test_hurt_notes_are_made_anew_and_what_proves_itself_of_them_stays(ledger: Ledger, hurt: str) -> None:
    add(ledger, 2)
    changed, (file,) = a_noted_file(ledger), files(ledger, TABLE)
    flip(changed, 300)
    if hurt == "flipped":
        flip_unseen(file)
    elif hurt == "torn":
        tear(newest_of_log(ledger, TABLE))
    else:
        file.unlink()
    assert {(one.table, one.remedy) for one in ailments(ledger.settings)} == {
        (TABLE, f"run `reelhouse repair {TABLE}`")
    }
    with pytest.raises(DamageError, match="lake.md"):
        tidy(ledger)
    done = mend(ledger.settings, TABLE, "test")
    assert done is not None
    assert done.rows == 6
    assert Path(done.set_aside[0]).is_dir(), "nothing is deleted"
    assert "whether they were changed before nobody can say" in done.note
    assert tidy(ledger) == 0
    new = int(done.note.split()[0])
    assert new in {"flipped": range(3, 7), "torn": [2], "gone": [6]}[hurt]
    if hurt == "torn":
        assert found(ledger) == [(QUARANTINE, Kind.data, changed)], "what was noted before is known still"


def test_files_of_the_past_by_which_a_table_is_mended_are_known_as_long_as_they_are_there(ledger: Ledger) -> None:
    line = {"release_id": "toys-1", "family": "toys", "table": "gold.t", "version": 1, "slices": [], "ingest_seq": 1}
    facts = {"known_from": NOON, "contract_version": "1.0.0", "verdict": "passed", "rows": 1, "run_id": "r"}
    for number in range(MANY_SMALL):
        ledger.append(PUBLICATIONS, [line | facts | {"version": number}])
    note_files(ledger, [PUBLICATIONS], NOON)
    old, folder = files(ledger, PUBLICATIONS), Path(ledger.path(PUBLICATIONS))
    assert compact(ledger, PUBLICATIONS) == MANY_SMALL
    note_files(ledger, [PUBLICATIONS], NOON)
    known = known_files(ledger.settings)
    assert all(is_whole(known, PUBLICATIONS, folder, file) for file in old)
    flip_unseen(old[0])
    assert [is_whole(known, PUBLICATIONS, folder, file) for file in old] == [False] + [True] * (MANY_SMALL - 1)
    vacuum(ledger.open(PUBLICATIONS), timedelta(0))
    note_files(ledger, [PUBLICATIONS], NOON)
    assert {*known_files(ledger.settings)[PUBLICATIONS]} == {*live_files(ledger, PUBLICATIONS)}


def test_doctor_says_of_how_many_files_nothing_is_noted(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(ledger.settings.home))
    monkeypatch.setattr("jobs.lake.doctor.topics_read", lambda settings: [])  # here is no broker to ask
    add(ledger, 2)
    Leases(ledger).acquire("others", "somebody")
    assert "; 2 are not noted yet in ops.file_digests" in said_by_doctor()
    note_files(ledger, all_tables(ledger.settings.schemas_dir), NOON)
    assert "noted" not in said_by_doctor()
    assert not {*UNNOTED} & {*known_files(ledger.settings)}
    flip(files(ledger, COSTS)[0], 300)
    assert "is not what was noted of it on 2026-11-20 04:00 UTC" in said_by_doctor()


def said_by_doctor() -> str:
    """On one line, for columns are broken."""
    ended = CliRunner().invoke(build_app(), ["doctor", "--lake", "--format", "json"])
    return ended.output


def test_of_an_object_store_nothing_is_noted() -> None:
    afar = Ledger(Settings(lake_uri="s3a://bucket/lake"))
    assert note_files(afar, [QUARANTINE], NOON) == 0
    assert known_files(afar.settings) == {}


def test_what_an_ingest_or_a_release_wrote_is_noted_at_its_end(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(ledger.settings.home))
    published = "gold.retention_weekly"

    def ingested(run: Ingest, max_batches: int | None) -> list[object]:
        add(ledger, 2)
        return [max_batches]

    def released(runner: Runner) -> Outcome:
        week = {"cohort_week": NOON.date(), "counting": "people", "week_number": 1, "as_of_day": NOON.date()}
        counts = {"cohort_count": 2, "active_count": 1, "retained_ppm": 500_000, "is_mature": True}
        runner.ledger.append(published, [week | counts])
        return Outcome("done", "released")

    monkeypatch.setattr(Ingest, "until_caught_up", ingested)
    monkeypatch.setattr("jobs.lake.ingest.outcome.outcome", lambda *_: {"outcome": "done", "message": "1 batch"})
    monkeypatch.setattr(Runner, "release", released)
    assert CliRunner().invoke(build_app(), ["ingest"], catch_exceptions=False).exit_code == 0
    assert {*files(ledger, QUARANTINE)} < noted_files(ledger)
    assert CliRunner().invoke(build_app(), ["release", "gold.retention_weekly"], catch_exceptions=False).exit_code == 0
    assert {*files(ledger, published)} < noted_files(ledger)
