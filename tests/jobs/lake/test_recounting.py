"""What ingest does while somebody counts is no difference: tables are counted as the books left them."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest
from deltalake import CommitProperties, Transaction, write_deltalake

from jobs.lake import reconciling, recounting
from jobs.lake.errors import BooksError
from jobs.lake.ingest.counting import OvertakenError, as_booked
from jobs.lake.ingest.progress import APP
from jobs.lake.ledger import Ledger
from jobs.lake.reconciliations import book as book_lines
from jobs.lake.reconciling import ROWS_WENT, findings_of, reconciled, rows_went
from jobs.lake.recounting import recounted
from jobs.lake.settings import Settings
from jobs.lake.staging import Accounts, Line, Manifest, StagedTable, Staging
from jobs.lake.work import input_versions
from jobs.serve.reconciliations import lines_not_compared

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
VIEWS, LIKES, BRONZE, DAYS = "silver.views", "silver.likes", "bronze.events", "gold.user_days"


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


@pytest.fixture
def overtaken(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Likes are never as the books left them, whenever they are looked at; how long was waited in between."""
    waits: list[float] = []

    def as_left(of: Ledger, table: str, complete: int) -> Any:
        if table == LIKES:
            raise OvertakenError(table)
        return as_booked(of, table, complete)

    monkeypatch.setattr(recounting, "as_booked", as_left)
    monkeypatch.setattr(recounting, "sleep", waits.append)
    put(ledger, VIEWS, 0)
    book(ledger, 0, views=1, likes=1)
    return waits


def manifest_of(family: str, run_id: str, *staged: StagedTable) -> Manifest:
    return Manifest(
        family=family, run_id=run_id, base_run_id="", full=False, days=(), held=(), ingest_seq_from=-1, ingest_seq_to=0,
        released_seq=0, watermark=None, known_from=NOON, silver_versions={}, tables=staged,
    )  # fmt: skip


def test_what_ingest_overtakes_thrice_is_told_once_and_stops_a_second_release(
    ledger: Ledger, overtaken: list[float]
) -> None:
    """Of a table that is counted all is told; another family's releases say nothing of ours."""
    land(ledger, 0, "views", "likes")
    lines = recounted(ledger, [VIEWS, LIKES], -1, "funnels")
    assert overtaken == [*recounting.WAITS]
    assert [(line.table, line.not_compared, line.adds_up) for line in lines] == [
        (BRONZE, "", True), (VIEWS, "", True), (LIKES, "overtaken by batches", True)]  # fmt: skip
    book_lines(ledger, manifest_of("sessions", "other"), 3, lines, NOON)
    book_lines(ledger, manifest_of("funnels", "uncounted"), 1, lines, NOON)
    with pytest.raises(
        BooksError, match=r"silver.likes: overtaken by batches .* as for funnels-000001; .*`reelhouse i"
    ):
        recounted(ledger, [VIEWS, LIKES], 0, "funnels")
    assert recounted(ledger, [VIEWS], 0, "funnels")
    assert recounted(ledger, [VIEWS, LIKES], 0, "profiles")[-1].not_compared
    book_lines(ledger, manifest_of("funnels", "counted"), 2, lines[:2], NOON)
    assert recounted(ledger, [VIEWS, LIKES], 0, "funnels")[-1].not_compared


def land(ledger: Ledger, seq: int, *topics: str) -> None:
    """A batch's records, a record a topic, in bronze."""
    landed = [{"topic": topic, "partition": 0, "ingest_seq": seq} for topic in topics]
    note = CommitProperties(custom_metadata={"userMetadata": json.dumps({"ingest_seq": seq})})
    write_deltalake(ledger.path(BRONZE), pa.Table.from_pylist(landed), mode="append", commit_properties=note)


def test_what_could_not_be_counted_at_the_release_is_told_though_the_check_had_counted_it(ledger: Ledger) -> None:
    staging = Staging(ledger.settings, "funnels")
    staging.put(manifest := manifest_of("funnels", "run"))
    counted = [of(LIKES, 3, 3), of(VIEWS, 5, 5), of("gold.funnel_daily", 2, 2, equation="steps")]
    staging.put(Accounts(fingerprint=manifest.fingerprint, lines=tuple(counted)))
    staging.note_uncounted(counted)
    assert staging.accounts() == Accounts(fingerprint=manifest.fingerprint, lines=tuple(counted))
    staging.note_uncounted([of(LIKES, 0, 0, why="overtaken by batches"), of(VIEWS, 6, 6)])
    kept = staging.accounts()
    assert kept is not None
    assert [(line.table, line.input_rows, line.not_compared) for line in kept.lines] == [
        (LIKES, 0, "overtaken by batches"), (VIEWS, 5, ""), ("gold.funnel_daily", 2, "")]  # fmt: skip


def of(table: str, came: int, made: int, *, equation: str = recounting.ROWS, why: str = "", part: str = "") -> Line:
    return Line(table=table, equation=equation, part=part, slice=None, input_rows=came, left_out={}, output_rows=made,
                not_compared=why)  # fmt: skip


@pytest.mark.parametrize("went", [True, False])
def test_a_difference_that_rows_that_went_may_explain_is_kept_as_not_compared(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, went: bool
) -> None:
    """Booked with its reason, shown by `books --gold`, and counted in the metrics; without such a reason it is red."""
    sums = [("a day", "in", 3), ("a day", "out", 3), ("another", "in", 3), ("another", "out", 2)]
    rows = [{"table": DAYS, "equation": "acts", "part": part, "slice": None, "side": side, "rows": n}
            for part, side, n in sums]  # fmt: skip
    monkeypatch.setattr(reconciling, "ledger_of", lambda _: SimpleNamespace(collect=lambda: rows))
    monkeypatch.setattr(reconciling, "rows_went", lambda *_: went)
    lake: Any = SimpleNamespace(settings=ledger.settings, contract=lambda _: SimpleNamespace(slice_column=None))
    family: Any = SimpleNamespace(postings=lambda _: [(DAYS, None)])
    one = StagedTable(table=DAYS, mode="merge", slices=(), version=0, table_id="", rows=1, removed_version=None,
                      contract_version="1.0.0")  # fmt: skip
    manifest = manifest_of("profiles", "run", one)
    lines = reconciled(lake, family, Staging(ledger.settings, "profiles"), manifest)
    assert [(line.part, line.not_compared, line.is_off) for line in lines] == [
        ("a day", "", False), ("another", ROWS_WENT if went else "", not went)]  # fmt: skip
    assert [finding.success for finding in findings_of(lake, lines)] == [went]
    book_lines(ledger, manifest, 1, lines, NOON)
    assert lines_not_compared(ledger) == {DAYS: int(went)}
