"""The ledger keeps every line once, typed by its contract, however many write at the same time."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from multiprocessing import get_context
from pathlib import Path

import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from jobs.lake.errors import ContractError, ServiceError, WriteError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings

NOTES = """
apiVersion: v3.1.0
kind: DataContract
id: ops.notes
version: 1.0.0
status: active
description: {purpose: Notes of a test.}
customProperties:
  - {property: write, value: append}
schema:
  - name: notes
    description: One row per note.
    properties:
      - {name: note, logicalType: string, physicalType: string, primaryKey: true, classification: public}
      - {name: number, logicalType: integer, physicalType: bigint, classification: public}
      - {name: written_at, logicalType: timestamp, physicalType: timestamp, classification: public}
      - {name: days, logicalType: array, physicalType: array<date>, classification: public}
      - {name: reasons, logicalType: object, physicalType: "map<string,bigint>", classification: public}
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    schemas = tmp_path / "schemas"
    (schemas / "ops").mkdir(parents=True)
    (schemas / "ops" / "notes.yaml").write_text(NOTES)
    return Settings(home=tmp_path, schemas_dir=schemas)


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    return Ledger(settings)


def append_ten(ledger: Ledger, writer: str) -> None:
    """What one of several concurrent writers does: ten lines of its own, and ten that all writers try to write."""
    for number in range(10):
        ledger.append("ops.notes", [{"note": f"{writer}-{number}"}], app=writer, version=number)
        ledger.append("ops.notes", [{"note": f"shared-{number}"}], app="shared", version=number)


def test_a_line_comes_back_as_it_was_written(ledger):
    line = {
        "note": "a",
        "number": None,
        "written_at": datetime(2026, 11, 23, 16, 0, 0, 123456, tzinfo=UTC),
        "days": [date(2026, 11, 22)],
        "reasons": [("late", 2)],
    }
    ledger.append("ops.notes", [line])
    assert ledger.read("ops.notes").to_pylist() == [line]
    assert ledger.read("ops.notes").schema == ledger.schema("ops.notes")


def test_a_table_never_written_has_no_rows(ledger):
    assert ledger.read("ops.notes", columns=["number"]).to_pylist() == []
    assert ledger.version("ops.notes") == -1
    assert not ledger.exists("ops.notes")


def test_the_same_append_twice_is_one(ledger):
    assert ledger.append("ops.notes", [{"note": "a"}], app="test", version=3) is True
    assert ledger.append("ops.notes", [{"note": "a"}], app="test", version=3) is False
    assert ledger.append("ops.notes", [{"note": "older"}], app="test", version=2) is False
    assert ledger.append("ops.notes", [{"note": "b"}], app="other", version=3) is True
    assert sorted(ledger.read("ops.notes")["note"].to_pylist()) == ["a", "b"]


def test_reading_takes_only_the_rows_and_columns_asked_for(ledger):
    ledger.append("ops.notes", [{"note": "a", "number": 1}, {"note": "b", "number": 2}])
    rows = ledger.read("ops.notes", columns=["note"], filter=pc.field("number") > 1)
    assert rows.to_pylist() == [{"note": "b"}]


def test_a_row_that_breaks_the_contract_is_refused(ledger):
    with pytest.raises(ContractError, match="ops.notes.*no column mood"):
        ledger.append("ops.notes", [{"note": "a", "mood": "fine"}])
    with pytest.raises(ContractError, match="ops.notes"):
        ledger.append("ops.notes", [{"note": "a", "number": "many"}])
    assert ledger.read("ops.notes").num_rows == 0


def test_half_an_idempotency_key_is_refused(ledger):
    with pytest.raises(WriteError, match="both app and version"):
        ledger.append("ops.notes", [{"note": "a"}], app="test")


def test_every_reader_can_read_the_table(ledger):
    ledger.append("ops.notes", [{"note": "a"}])
    protocol = DeltaTable(ledger.path("ops.notes")).protocol()
    assert (protocol.min_reader_version, protocol.min_writer_version) == (1, 2)
    assert not protocol.reader_features


def test_threads_that_create_and_write_at_once_lose_and_double_nothing(ledger):
    writers = [f"writer-{number}" for number in range(4)]
    with ThreadPoolExecutor(len(writers)) as pool:
        list(pool.map(lambda writer: append_ten(ledger, writer), writers))
    assert sorted(ledger.read("ops.notes")["note"].to_pylist()) == expected_of(writers)


def test_processes_that_create_and_write_at_once_lose_and_double_nothing(settings):
    writers = [f"writer-{number}" for number in range(3)]
    context = get_context("spawn")
    processes = [context.Process(target=append_ten, args=(Ledger(settings), writer)) for writer in writers]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert sorted(Ledger(settings).read("ops.notes")["note"].to_pylist()) == expected_of(writers)


def test_a_replacement_computed_from_an_old_version_is_refused(ledger):
    from deltalake.exceptions import CommitFailedError

    ledger.append("ops.notes", [{"note": "a"}])
    _, version = ledger.read_versioned("ops.notes")
    ledger.append("ops.notes", [{"note": "b"}])
    with pytest.raises(CommitFailedError):
        ledger.replace("ops.notes", [{"note": "c"}], on_version=version)
    assert sorted(ledger.read("ops.notes")["note"].to_pylist()) == ["a", "b"]


def expected_of(writers: list[str]) -> list[str]:
    own = [f"{writer}-{number}" for writer in writers for number in range(10)]
    return sorted(own + [f"shared-{number}" for number in range(10)])


def test_a_store_that_does_not_answer_is_told_with_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody(uri: str) -> bool:
        raise OSError("Generic S3 error\n\x1b[31m↳\x1b[0m after 10 retries\n  \x1b[31m↳\x1b[0m Connection refused")

    monkeypatch.setattr(DeltaTable, "is_deltatable", nobody)
    words = (
        r"^ops.books: s3a://b/lake/ops/books cannot be reached \(Generic S3 error: Connection refused\); check REELH"
    )
    with pytest.raises(ServiceError, match=words):
        Ledger(Settings(home=tmp_path, lake_uri="s3a://b/lake")).read("ops.books")
    monkeypatch.setattr("jobs.lake.ledger.is_table", nobody)
    with pytest.raises(OSError, match="Generic"):  # on a disk of this machine it is no service
        Ledger(Settings(home=tmp_path)).read("ops.books")


def test_a_column_that_a_contract_has_got_since_is_null_in_old_rows_and_there_in_new_ones(tmp_path, ledger):
    ledger.append("ops.notes", [{"note": "old", "number": 1}])
    wider = Path(shutil.copytree(ledger.settings.schemas_dir, tmp_path / "wider"))
    mood = "      - {name: mood, logicalType: integer, physicalType: bigint, classification: public}\n"
    (wider / "ops" / "notes.yaml").write_text(NOTES.replace("      - {name: days", f"{mood}      - {{name: days"))
    since = Ledger(ledger.settings.model_copy(update={"schemas_dir": wider}))
    assert since.read("ops.notes", ["mood", "note"]).to_pylist() == [{"mood": None, "note": "old"}]
    since.append("ops.notes", [{"note": "new", "mood": 2}])
    assert {row["note"]: row["mood"] for row in since.read("ops.notes").to_pylist()} == {"old": None, "new": 2}
    assert ledger.read("ops.notes").num_rows == 2, "who knows the older contract reads on"


def test_lines_of_batches_are_replaced_once_and_all_others_can_still_be_looked_for_by_a_text(settings, ledger):
    file = settings.schemas_dir / "ops" / "notes.yaml"
    file.write_text(NOTES.replace("name: number", "name: ingest_seq"))
    ledger.append("ops.notes", [{"note": "a", "ingest_seq": 1}, {"note": "b", "ingest_seq": 2}])
    for note in ("c", "d"):
        ledger.replace_batches("ops.notes", [{"note": note, "ingest_seq": 2}], [2, 3], app="m", version=1)
    assert {row["note"]: row["ingest_seq"] for row in ledger.read("ops.notes").to_pylist()} == {"a": 1, "c": 2}
    assert ledger.read("ops.notes", filter=pc.field("note").isin(["a"])).num_rows == 1
