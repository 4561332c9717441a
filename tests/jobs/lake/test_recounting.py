"""What ingest does while somebody counts is no difference: tables are counted as the books left them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from jobs.lake import reconciling
from jobs.lake.errors import BooksError
from jobs.lake.ingest.counting import as_booked
from jobs.lake.ingest.progress import APP
from jobs.lake.ledger import Ledger
from jobs.lake.reconciling import rows_went
from jobs.lake.recounting import recounted
from jobs.lake.settings import Settings
from jobs.lake.work import input_versions

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
VIEWS, LIKES, BRONZE = "silver.views", "silver.likes", "bronze.events"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(Settings(home=tmp_path))


def put(ledger: Ledger, table: str, seq: int, rows: int = 1) -> None:
    """A batch's commit to a table, as ingest notes it."""
    note = {"userMetadata": json.dumps({"ingest_seq": seq})}
    properties = CommitProperties(custom_metadata=note, app_transactions=[Transaction(APP, seq)])
    place = {"topic": table.partition(".")[2], "partition": 0, "kafka_partition": 0, "ingest_seq": seq}
    some = pa.Table.from_pylist([place] * rows)
    write_deltalake(ledger.path(table), some, mode="append", commit_properties=properties)


def book(ledger: Ledger, seq: int, **accepted: int) -> None:
    for topic, rows in accepted.items():
        line: dict[str, Any] = {
            "ingest_seq": seq, "run_id": "r", "topic": topic, "topic_id": "t", "partition": 0, "offset_from": 0,
            "offset_to": rows, "received": rows, "accepted": rows, "duplicate": 0, "conflict": 0, "quarantined": 0,
            "balanced": True, "recorded_at": NOON,
        }  # fmt: skip
        ledger.append("ops.books", [line])


def count(ledger: Ledger, complete: int) -> int | None:
    delta = as_booked(ledger, LIKES, complete)
    return None if delta is None else int(delta.count())


def test_a_table_is_as_a_batch_left_it_though_the_next_ones_of_it_are_there(ledger: Ledger) -> None:
    """Few batches have likes; those that have none do not commit to them."""
    for seq in (0, 3, 4):
        put(ledger, LIKES, seq)
    ledger.open(LIKES).optimize.compact()
    put(ledger, LIKES, 9)
    assert [count(ledger, complete) for complete in (-1, 0, 1, 2, 3, 4, 8, 9)] == [None, 1, 1, 1, 2, 3, 3, 4]


def test_a_build_reads_what_is_booked_and_not_what_a_batch_that_is_begun_has_written(ledger: Ledger) -> None:
    """A table that only that batch has written to is one not made yet."""
    for seq in range(2):
        put(ledger, VIEWS, seq)
        book(ledger, seq, views=1)
    booked = input_versions(ledger, ledger.settings, "funnels")[VIEWS]
    put(ledger, VIEWS, 2)
    put(ledger, LIKES, 2)
    versions = input_versions(ledger, ledger.settings, "funnels")
    assert (versions[VIEWS], versions[LIKES]) == (booked, -1)
    book(ledger, 2, views=1, likes=1)
    versions = input_versions(ledger, ledger.settings, "funnels")
    assert (versions[VIEWS], versions[LIKES]) == (booked + 1, 0)


def test_batches_that_end_while_somebody_counts_are_no_difference(ledger: Ledger) -> None:
    book(ledger, 0, views=2, likes=1)
    put(ledger, VIEWS, 0, 2)
    put(ledger, LIKES, 0)
    landed = [{"topic": topic, "partition": 0, "ingest_seq": 0} for topic in ("views", "views", "likes")]
    note = CommitProperties(custom_metadata={"userMetadata": json.dumps({"ingest_seq": 0})})
    write_deltalake(ledger.path(BRONZE), pa.Table.from_pylist(landed), commit_properties=note)
    put(ledger, LIKES, 2)  # batch 1 had none; of neither had the books a word when they were read
    lines = recounted(ledger, [VIEWS, LIKES], -1)
    assert [(line.table, line.input_rows, line.output_rows) for line in lines] == [
        (BRONZE, 3, 3), (VIEWS, 2, 2), (LIKES, 1, 1)]  # fmt: skip
    put(ledger, VIEWS, 0)
    with pytest.raises(BooksError, match="batch 0, views/0: the books say 2, there are 3"):
        recounted(ledger, [VIEWS, LIKES], -1)


@pytest.mark.parametrize(
    ("cause", "seq", "went"),
    [("displaced", 5, True), ("erased", 5, True), ("new_facts", 5, False), ("displaced", 4, False)],
)
def test_rows_that_went_after_a_build_excuse_a_difference_and_no_others_do(
    ledger: Ledger, cause: str, seq: int, went: bool
) -> None:
    line = {"ingest_seq": seq, "table": VIEWS, "day": NOON.date(), "cause": cause, "rows": 1, "recorded_at": NOON}
    ledger.append("ops.touched", [line])
    manifest: Any = SimpleNamespace(released_seq=4, ingest_seq_to=4)
    assert rows_went(ledger, manifest) is went


def test_a_batch_that_does_not_end_excuses_it_too(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "PATIENCE_SECONDS", 0.0)
    monkeypatch.setattr(reconciling, "sleep", lambda _: None)
    monkeypatch.setattr(reconciling, "progress", lambda _: SimpleNamespace(is_unfinished=True, complete=4))
    manifest: Any = SimpleNamespace(released_seq=4, ingest_seq_to=4)
    assert rows_went(ledger, manifest)
