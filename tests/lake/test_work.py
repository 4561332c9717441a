"""What is left to do is every touched day that is not released and not held, whatever events got lost."""

import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from deltalake.exceptions import TableNotFoundError

from jobs.lake.errors import UsageError, WriteError
from jobs.lake.holds import CHECKS, lift, make_good, owed
from jobs.lake.publications import (
    Publication,
    families,
    family_of,
    inputs_of,
    latest,
    publish,
    published,
    release_id,
    release_of,
    releases,
)
from jobs.lake.runner import Runner
from jobs.lake.staging import Manifest, StagedTable
from jobs.lake.watermark import highest
from jobs.lake.work import Pending, displaced_rows, pending, plan
from tests.lake.toys import DAYS, FAMILY, MONDAY, NOON, TABLES, TUESDAY, UNLUCKY, WEDNESDAY, Toys, write_contract
from tests.lake.toys import toys as make_toys

LATER = NOON + timedelta(hours=1)


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    """A lake whose ledger is all these tests need."""
    return make_toys(tmp_path, spark=None)


def left(toys: Toys) -> Pending:
    return pending(toys.ledger, toys.settings, FAMILY)


def release(toys: Toys, number: int, seq: int, watermark: datetime | None = None, **changed: Any) -> None:
    """Book a release of batch `seq`."""
    common: dict[str, Any] = {
        "slices": (),
        "verdict": "passed",
        "run_id": f"run-{number}",
        "known_from": NOON,
        "rows": 1,
        "contract_version": "1.0.0",
        "watermark": watermark,
    }
    lines = [
        Publication(
            release_id=release_id(FAMILY, number), family=FAMILY, table=table, version=number, ingest_seq=seq,
            **(common | changed),
        )
        for table in TABLES
    ]  # fmt: skip
    publish(toys.ledger, FAMILY, number, lines)


def failed(toys: Toys, day: date | None, seq: int, at: datetime = NOON) -> None:
    """Book a failed critical check of a day, or of the whole table."""
    row = {"run_id": "run", "family": FAMILY, "table": "gold.toy_days", "check": "unlucky_day", "severity": "critical"}
    facts = {"success": False, "slice": day, "ingest_seq": seq, "contract_version": "1.0.0", "recorded_at": at}
    toys.ledger.append(CHECKS, [row | facts])


def test_a_release_is_published_once_and_what_has_its_number_or_a_later_one_is_told_from_it(toys):
    release(toys, 2, seq=1, watermark=NOON, slices=(MONDAY,))
    release(toys, 2, seq=1, watermark=NOON, slices=(MONDAY,))
    assert len(releases(toys.ledger)) == 1
    for number, seq in ((2, 2), (1, 1)):
        with pytest.raises(WriteError, match=f"toys-00000{number}: another run published toys-000002 meanwhile"):
            release(toys, number, seq=seq)
    assert [line.ingest_seq for line in published(toys.ledger).values()] == [1, 1, 1]


def test_the_newest_release_is_the_one_with_the_greatest_number(toys):
    for number in (2, 11, 999_999, 1_000_000):
        release(toys, number, seq=number)
        last = latest(toys.ledger, FAMILY)
        assert last == releases(toys.ledger, FAMILY)[-1] == release_of(toys.ledger, FAMILY, number)
        assert last is not None
        assert (last.number, published(toys.ledger)) == (number, last.tables)
    assert (latest(toys.ledger, "others"), release_of(toys.ledger, FAMILY, 3)) == (None, None)


def test_what_is_owed_is_what_failed_last_and_of_one_moment_what_was_booked_last(toys):
    dice = random.Random(1)
    found: dict[tuple[str, date | None], tuple[datetime, bool, int]] = {}
    rows = []
    for seq in range(60):
        table, day, hour = dice.choice(TABLES[:2]), dice.choice([None, MONDAY, TUESDAY]), dice.randrange(4)
        success, at = dice.random() < 0.5, NOON + timedelta(hours=hour)
        row = {"run_id": "run", "family": FAMILY, "table": table, "check": "c", "severity": "critical", "slice": day}
        facts = {"success": success, "ingest_seq": seq, "contract_version": "1.0.0", "recorded_at": at}
        rows.append(row | facts)
        if (table, day) not in found or found[table, day][0] <= at:
            found[table, day] = (at, success, seq)
    toys.ledger.append(CHECKS, rows)
    expected = {(*key, seq) for key, (_, success, seq) in found.items() if not success}
    assert {(one.table, one.day, one.ingest_seq) for one in owed(toys.ledger, FAMILY)} == expected
    assert 0 < len(expected) < len(found)


def test_an_empty_lake_leaves_nothing_to_do(toys):
    assert (left(toys).is_waiting, left(toys).days, left(toys).ingest_seq_to) == (False, (), -1)
    assert plan(toys.ledger, toys.settings, FAMILY, False, [], NOON) is None


def test_a_backlog_is_one_piece_of_work_with_every_touched_day(toys):
    for day in (MONDAY, TUESDAY, WEDNESDAY, MONDAY):
        toys.ingest(("ann", day, 1))
    work = plan(toys.ledger, toys.settings, FAMILY, False, [], NOON, "run-1")
    assert work is not None
    assert (work.days, work.ingest_seq_from, work.ingest_seq_to) == ((MONDAY, TUESDAY, WEDNESDAY), -1, 4)
    assert (work.known_from, work.run_id, work.silver_versions) == (NOON, "run-1", {"silver.plays": 4})


def test_what_is_released_is_done_and_what_came_in_meanwhile_is_not(toys):
    toys.ingest(("ann", MONDAY, 1))
    toys.ingest(("ann", TUESDAY, 1))
    release(toys, 1, seq=1)
    assert left(toys).days == (TUESDAY,)
    release(toys, 2, seq=2)
    assert not left(toys).is_waiting


def test_other_tables_touched_are_no_work_of_ours(toys):
    toys.ingest(("ann", MONDAY, 1))
    release(toys, 1, seq=1)
    touched = {"ingest_seq": 2, "table": "silver.merchants", "day": TUESDAY, "cause": "new_facts", "rows": 1}
    toys.ledger.append("ops.touched", [{**touched, "recorded_at": NOON}])
    toys.ingest()
    assert not left(toys).is_waiting


def test_a_held_day_blocks_only_itself(toys):
    toys.ingest(("ann", MONDAY, 1), ("ann", TUESDAY, 1))
    failed(toys, TUESDAY, seq=1)
    assert (left(toys).days, left(toys).held, left(toys).is_waiting) == ((MONDAY,), (TUESDAY,), True)
    release(toys, 1, seq=1)
    assert (left(toys).days, left(toys).held, left(toys).is_waiting) == ((), (TUESDAY,), False)


@pytest.mark.parametrize("change", ["new data", "a new contract", "an operator"])
def test_a_hold_is_lifted_by(toys, change):
    toys.ingest(("ann", MONDAY, 1), ("ann", TUESDAY, 1))
    failed(toys, TUESDAY, seq=1)
    release(toys, 1, seq=1)
    if change == "new data":
        toys.ingest(("eve", TUESDAY, 1))
    elif change == "a new contract":
        quality, own = [UNLUCKY], {"write": "replace_slice", "slice": "event_date", "family": FAMILY}
        settings = toys.settings
        write_contract(settings.schemas_dir, "gold.toy_days", DAYS, ["event_date"], version="1.0.1", quality=quality,
                       inputs=["silver.plays"], **own)  # fmt: skip
        forget_contracts()
    else:
        lift(toys.ledger, FAMILY, "by-hand", LATER)
    assert (left(toys).days, left(toys).held, left(toys).is_waiting) == ((TUESDAY,), (), True)


def test_new_data_of_another_day_lifts_no_hold(toys):
    toys.ingest(("ann", TUESDAY, 1))
    failed(toys, TUESDAY, seq=1)
    toys.ingest(("ann", MONDAY, 1))
    assert (left(toys).days, left(toys).held) == ((MONDAY,), (TUESDAY,))


def test_a_day_that_failed_is_owed_until_a_release_brings_it(toys):
    toys.ingest(("ann", TUESDAY, 1))
    failed(toys, TUESDAY, seq=1)
    lift(toys.ledger, FAMILY, "by-hand", LATER)
    release(toys, 1, seq=1)  # another day's; it did not bring this one
    assert left(toys).days == (TUESDAY,)
    make_good(toys.ledger, FAMILY, "run-2", {"gold.toy_days": (TUESDAY,)}, LATER)
    assert (left(toys).days, left(toys).is_waiting) == ((), False)


def test_a_failure_of_a_whole_table_holds_the_family(toys):
    toys.ingest(("ann", MONDAY, 1))
    failed(toys, None, seq=1)
    assert (left(toys).is_held, left(toys).is_waiting) == (True, False)
    toys.ingest(("ann", TUESDAY, 1))
    assert (left(toys).is_held, left(toys).days) == (False, (MONDAY, TUESDAY))


def test_days_and_full_rebuilds_by_hand_are_work_even_when_nothing_waits(toys):
    toys.ingest(("ann", MONDAY, 1))
    release(toys, 1, seq=1)
    by_hand = plan(toys.ledger, toys.settings, FAMILY, False, [MONDAY], NOON)
    full = plan(toys.ledger, toys.settings, FAMILY, True, [], NOON)
    assert by_hand is not None
    assert full is not None
    assert (by_hand.days, by_hand.ingest_seq_to, by_hand.full) == ((MONDAY,), 1, False)
    assert full.full


def test_a_changed_contract_rebuilds_everything(toys):
    toys.ingest(("ann", MONDAY, 1))
    release(toys, 1, seq=1, contract_version="0.9.0")
    work = plan(toys.ledger, toys.settings, FAMILY, False, [], NOON)
    assert work is not None
    assert work.full


def test_a_grown_watermark_is_work_and_the_same_one_is_not(toys, monkeypatch):
    monkeypatch.setattr("jobs.lake.work.FACT_TOPICS", ("plays",))
    monkeypatch.setattr("jobs.lake.work.watermark", lambda ledger, topics: NOON if topics == ["plays"] else None)
    toys.ingest(("ann", MONDAY, 1))
    release(toys, 1, seq=1, watermark=NOON - timedelta(days=1))
    work = plan(toys.ledger, toys.settings, FAMILY, False, [], NOON)
    assert work is not None
    assert (work.days, work.last_watermark, work.watermark) == ((), NOON - timedelta(days=1), NOON)
    release(toys, 2, seq=1, watermark=NOON)
    assert not left(toys).is_waiting


def test_our_spark_is_there_before_great_expectations_looks_for_one(toys, monkeypatch):
    opened: list[str] = []
    monkeypatch.setattr("jobs.lake.quality.Gate", lambda: opened.append("gate"))
    by_spark = toys.settings.model_copy(update={"small_run_rows": 0})
    runner = Runner(by_spark, FAMILY, "run-1", session=lambda _: opened.append("session"))
    staged = StagedTable(
        table="gold.toy_log", mode="append", slices=(), version=0, table_id="t", rows=1, removed_version=None,
        contract_version="1.0.0",
    )  # fmt: skip
    manifest = Manifest(
        family=FAMILY, run_id="run-1", base_run_id="", full=False, days=(), held=(), ingest_seq_from=-1,
        ingest_seq_to=1, released_seq=1, watermark=None, known_from=NOON, silver_versions={}, tables=(staged,),
    )  # fmt: skip
    runner.staging.put(manifest)
    with pytest.raises(TableNotFoundError):  # nothing lies in staging
        runner.check()
    assert opened == ["session", "gate"]


def test_readers_get_one_release_of_a_family_whole(toys):
    release(toys, 1, seq=1)
    release(toys, 2, seq=2)
    release(toys, 2, seq=2)
    assert {line.version for line in published(toys.ledger).values()} == {2}
    assert len(toys.ledger.read("ops.publications")) == 2 * len(TABLES)


def test_a_family_is_named_by_itself_or_by_a_table_of_it(toys):
    schemas = toys.settings.schemas_dir
    assert families(schemas) == {FAMILY: TABLES}
    assert family_of("gold.toy_users", schemas) == family_of(FAMILY, schemas) == FAMILY
    assert inputs_of(FAMILY, schemas) == ("silver.plays",)
    with pytest.raises(UsageError, match="'nonsense' is neither a family nor a public table; write one of toys"):
        family_of("nonsense", schemas)


def said(seq: int, source: str, hour: int, *, is_final: bool = False, topic: str = "views") -> dict[str, Any]:
    until = datetime(2026, 11, 20, hour, tzinfo=UTC)
    return {"ingest_seq": seq, "source": source, "topic": topic, "complete_until": until, "is_final": is_final}


@pytest.mark.parametrize(
    ("words", "hour"),
    [
        ([], None),
        ([said(1, "a", 5)], 5),
        ([said(1, "a", 5), said(1, "b", 3)], 3),
        ([said(1, "a", 5), said(2, "b", 3)], 5),
        ([said(1, "a", 5), said(1, "b", 3, is_final=True)], 5),
        ([said(1, "a", 5, is_final=True), said(1, "b", 3, is_final=True)], 5),
        ([said(1, "a", 5), said(2, "a", 4)], 5),
        ([said(1, "a", 5, topic="likes")], None),
    ],
    ids=["nobody spoke", "one source", "the least", "no falling back", "ended sources wait for nobody",
         "all ended: the greatest", "words out of order", "another topic"],
)  # fmt: skip
def test_the_watermark_is(words, hour):
    assert highest(words, ["views"]) == (None if hour is None else datetime(2026, 11, 20, hour, tzinfo=UTC))


def forget_contracts() -> None:
    """Contracts are read once per process; a test that changes one says so."""
    from jobs.lake.contracts import contract

    contract.cache_clear()


def test_who_lost_a_row_is_told_by_the_ledger_for_the_batches_asked_about(toys):
    lost = {"table": "silver.views", "day": MONDAY, "cause": "displaced", "rows": 1, "recorded_at": NOON}
    gained = lost | {"cause": "new_facts", "ingest_seq": 2}
    rows = [lost | {"ingest_seq": seq, "subject": f"u{seq}"} for seq in (1, 2, 3)]
    rows[1] |= {"cause": "retracted"}  # the same for whoever lost it
    toys.ledger.append("ops.touched", [*rows, gained, rows[0] | {"table": "silver.users", "subject": "u9"}])
    spans = {(-1, 1): ["u1"], (1, 3): ["u2", "u3"], (3, 4): []}
    for span, users in spans.items():
        found = displaced_rows(toys.ledger, ["silver.views"], *span)
        assert sorted(row["subject"] for row in found) == users
