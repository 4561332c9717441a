"""What the ledger tells of erasures, and what the proof of one looks at; without Spark."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from jobs.commands.erase import absence, counts, until
from jobs.lake.erasures import FOR_EVER, horizons, is_any_between, marks_beside, newest_seq
from jobs.lake.errors import DamageError
from jobs.lake.identity import ensure_key_file, pseudonym_of, read_keys
from jobs.lake.ingest import finding
from jobs.lake.ingest.erasing import Asked
from jobs.lake.ingest.finding import Found
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.upkeep import proving
from jobs.upkeep.proving import LIVE, LOG, traces

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

NOON = datetime(2026, 11, 20, 4, tzinfo=UTC)
RUN = {"command": "ingest", "run_id": "r", "outcome": "done", "started_at": NOON, "finished_at": NOON}


def line(seq: int, *marks: str, rows: int, hour: int = 0, is_later_refused: bool = False) -> dict[str, object]:
    """A line of ops.erasures; `rows` of silver went."""
    said = {"marks": marks, "erased_at": NOON + timedelta(hours=hour), "is_later_refused": is_later_refused}
    went = {"record_counts": {}, "row_counts": {"silver.views": rows} if rows else {}}
    return {"ingest_seq": seq, "asked_by": "t", "why": "w", "run_id": "r", "recorded_at": NOON} | said | went


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path)
    ensure_key_file(made.keys_path)
    return made


def test_only_an_erasure_that_took_rows_stands_between_releases(settings: Settings) -> None:
    ledger = Ledger(settings)
    assert newest_seq(ledger) == -1
    ledger.append("ops.erasures", [line(3, "k1:a", rows=1), line(5, "k1:a", rows=0)])
    assert newest_seq(ledger) == 3
    bounds = [(2, 3), (3, 5), (0, 2)]
    assert [is_any_between(ledger, *each) for each in bounds] == [True, False, False]


def test_the_last_request_says_until_when_and_devices_stay_beside_their_person(settings: Settings) -> None:
    ledger = Ledger(settings)
    ledger.append("ops.erasures", [line(1, "k1:a", "k1:d", rows=1), line(2, "k1:b", rows=1, is_later_refused=True)])
    ledger.append("ops.erasures", [line(3, "k1:a", rows=0, hour=2), line(4, "k1:b", rows=0, hour=2)])
    assert horizons(ledger) == {"k1:a": NOON + timedelta(hours=2), "k1:d": NOON, "k1:b": FOR_EVER}
    assert (marks_beside(ledger, ["k1:a"]), marks_beside(ledger, ["k1:b"])) == ({"k1:d"}, set())


def test_the_proof_looks_into_logs_too(settings: Settings) -> None:
    """A log has the least and greatest value of a file, and outlives it."""
    ledger, name = Ledger(settings), pseudonym_of("u-who", settings.keys_path)
    ledger.append("ops.runs", [RUN | {"table_or_family": name}])
    found = [(trace.table, trace.column, trace.where) for trace in traces(settings, "u-who")]
    assert found == [("ops.runs", "table_or_family", LIVE), ("ops.runs", LOG, LIVE)]
    ledger.open("ops.runs").create_checkpoint()
    ledger.replace("ops.runs", [], on_version=ledger.version("ops.runs"))
    left = {(trace.column, trace.where) for trace in traces(settings, "u-who")}
    assert {("table_or_family", proving.OLD), (LOG, LIVE)} <= left
    assert any(trace.column not in ("table_or_family", LOG) for trace in traces(settings, "u-who")), "in the checkpoint"
    assert traces(settings, "u-wh") == []


def test_a_file_that_cannot_be_read_is_no_proof(settings: Settings) -> None:
    ledger = Ledger(settings)
    ledger.append("ops.runs", [RUN])
    hurt = Path(ledger.path("ops.runs")) / "left.parquet"
    hurt.write_bytes(b"PAR1 torn")
    with pytest.raises(DamageError, match=rf"{hurt}: cannot be read .*delete it, and prove again"):
        traces(settings, "u-who")


@pytest.mark.parametrize("most_seen", [0, 1, 1_000])
def test_who_knows_the_marks_finds_the_names_however_few_are_remembered(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, most_seen: int
) -> None:
    monkeypatch.setattr(finding, "MOST_SEEN", most_seen)
    ledger, keys = Ledger(settings), read_keys(settings.keys_path)
    names = [keys.pseudonym(f"u{n % 7}") for n in range(20)]
    for some in (names[:8], names[8:], [None]):
        rows = pa.table({"user_id": pa.array(some, pa.string())})
        write_deltalake(ledger.path("silver.views"), rows, mode="append")
    versions = dict.fromkeys(finding.NAMED, -1) | {"silver.views": 2}
    wanted = [keys.pseudonym("u3"), keys.pseudonym("u6")]
    found = set(finding.names_behind(settings, ledger, map(keys.known_mark, wanted), versions))
    assert found == set(wanted)


def test_of_a_store_no_old_file_was_seen(settings: Settings) -> None:
    assert proving.is_all_seen(settings)
    assert not proving.is_all_seen(settings.model_copy(update={"lake_uri": "s3://lake"}))


def test_who_erases_is_told_until_when() -> None:
    asked = Asked("u1", "w", "t", NOON)
    assert until(asked, 3) == (
        "Erased, as batch 3. If more comes of what they did before 2026-11-20 04:00:00 UTC, it is erased, too."
    )
    for_ever = Asked("u1", "w", "t", NOON, is_later_refused=True)
    assert until(for_ever, None) == "That was said before. If more comes of them, whatever it is, it is erased, too."


def test_who_was_erased_is_not_taken_for_mistyped() -> None:
    def found(rows: int, *, was_erased: bool) -> Found:
        return Found((), 0, (), Counter(), Counter(rows * ["silver.views"]), cast("DataFrame", None), was_erased)

    assert "is it right?" in absence(found(0, was_erased=False))
    assert "is it right?" not in absence(found(0, was_erased=True))
    assert absence(found(1, was_erased=False)) == ""
    shown = counts(replace(found(2, was_erased=False), records=Counter({"views/0": 1, "views/3": 2})))
    assert [tuple(row.values()) for row in shown] == [
        ("records", "bronze.events: views", 3),
        ("rows", "silver.views", 2),
    ]
