"""Whatever data file of bronze, silver or the ledger is hurt, a repair makes of the table what it was, row by row."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession

from jobs.drills.storage import tear
from jobs.lake import kill_points
from jobs.lake.ailments import ailments, unreadable
from jobs.lake.aside import Mended
from jobs.lake.balance import refuse_difference
from jobs.lake.clock import now
from jobs.lake.contracts import all_tables
from jobs.lake.errors import BooksError, KeyFileError, TopicError, UsageError, WriteError
from jobs.lake.hours import untold
from jobs.lake.identity import ensure_key_file, pseudonym_of
from jobs.lake.ingest.erasing import Asked, erase
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ingest.progress import progress
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.mending import newest_of_log
from jobs.lake.noting import note_files
from jobs.lake.recounting import recounted
from jobs.lake.remaking import from_bronze, landed, wounds
from jobs.lake.remaking.emptying import refuse_unemptied
from jobs.lake.remaking.plans import remembered
from jobs.lake.remaking.shadow import clear
from jobs.lake.repairing import mend
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.topics import CANARY_KEY, REPLAY_HEADER
from tests.lake.bits import flip_unseen
from tests.lake.by_hour import by_hour
from tests.lake.logs import NOON, Log, Record, body_of, headers_of, micros, record

BRONZE, BOOKS, HOURS = "bronze.events", "ops.books", "ops.book_hours"
GONE = "u-gone"
REPLAY = "watched_ms-1.1"


def viewed(number: int, minute: int, watch_ms: int, replay_id: str = "", user: str = "") -> Record:
    """A view that comes some minutes after noon, perhaps by a replay."""
    at = micros(NOON - timedelta(hours=number % 3))
    body = body_of("views", number, user_id=user or f"u{number % 3}", watch_ms=watch_ms, event_time=at)
    made = record("views", body, partition=number % 2, at=NOON + timedelta(minutes=minute))
    headers = (*headers_of("views", body["event_id"], "app:quarantine"), (REPLAY_HEADER, replay_id.encode()))
    return replace(made, headers=headers) if replay_id else made


def moved(number: int, hours: int) -> Record:
    """A user who lives elsewhere since some hours before noon."""
    at = micros(NOON) - hours * 3_600_000_000
    return record("users", body_of("users", 300 + number, user_id="u1", event_time=at, sent_time=micros(NOON)))


def canary(topic: str) -> Record:
    """A record that only shows that the topic can be read."""
    return Record(topic, CANARY_KEY, b"{}", None, partition=1)


def batches() -> Iterator[list[Record]]:
    """Facts with repeats, conflicts and refusals; one displaced, one replayed and taken back; a late correction."""
    broken = [record("views", body_of("views", 100 + n, watch_ms="x"), partition=n) for n in range(2)]
    orders = [record("orders", body_of("orders", 200 + n, user_id=f"u{n}")) for n in range(3)]
    word = record("control", body_of("control", 400, offsets=[{"partition": 0, "next_offset": 3}]))
    gone = [viewed(30, 2, 5000, user=GONE), record("orders", body_of("orders", 230, user_id=GONE))]
    canaries = [canary(topic) for topic in ("views", "likes")]
    yield [*(viewed(n, 2, 5000) for n in range(8)), *gone, *broken, *orders, moved(0, 5), word, *canaries]
    again = [viewed(9, 6, 8, REPLAY), viewed(30, 5, 7, user=GONE)]
    yield [viewed(3, 4, 5000), viewed(4, 5, 7), viewed(5, 1, 9), *again, moved(1, 1)]
    ends = [{"partition": n, "next_offset": 99} for n in range(2)]
    said = {"kind": "retract", "source": "app:quarantine", "topic": "views", "replay_id": REPLAY, "why": "wrong unit",
            "since": micros(NOON), "offsets": ends, "complete_until": None, "is_final": None}  # fmt: skip
    undone = record("control", body_of("control", 401, **said), at=NOON + timedelta(minutes=7))
    yield [undone, moved(2, 3), viewed(9, 8, 6000), viewed(20, 8, 6000)]


def late() -> list[Record]:
    """What comes of somebody erased, and of somebody else."""
    return [viewed(31, 9, 5000, user=GONE), viewed(21, 9, 5000)]


@dataclass(frozen=True)
class Shop:
    """A lake, and the topics it came from."""

    settings: Settings
    log: Log
    spark: SparkSession

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    def ingest(self) -> int:
        """How many batches there were to do."""
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            return len(Ingest(self.settings, "run", now, lambda _: self.spark).until_caught_up())

    def erase(self, user: str) -> None:
        asked = Asked(user, "request 17", "tester", NOON + timedelta(hours=1))
        erase(Ingest(self.settings, "run", now, lambda _: self.spark), asked)

    def mend(self, table: str, *, accept_loss: bool = False) -> Mended:
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            done = mend(self.settings, table, f"mend-{now():%H%M%S%f}", lambda _: self.spark, accept_loss=accept_loss)
        assert done is not None
        return done

    def rows(self, table: str) -> list[str]:
        """Every column of every row; bytes and times too."""
        return sorted(map(str, self.ledger.read(table).to_pylist()))

    def copy(self, home: Path) -> Shop:
        """The same lake elsewhere, to be hurt."""
        shutil.copytree(self.settings.home, home)
        log = Log(deepcopy(self.log.parts), dict(self.log.gone), dict(self.log.ids))
        return Shop(self.settings.model_copy(update={"home": home}), log, self.spark)

    def beside(self, name: str) -> Shop:
        """The lake in which batches were done again."""
        uri = f"{self.settings.home}/remade/{name}"
        return replace(self, settings=self.settings.model_copy(update={"lake_uri": uri}))

    def files(self, table: str) -> list[Path]:
        """The largest first."""
        files = map(Path, DeltaTable(self.ledger.path(table)).file_uris())
        return sorted(files, key=lambda file: (-file.stat().st_size, file))


@pytest.fixture(scope="module")
def made(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Some batches, taken in one by one; the ledger's small files of the first ones lie in one."""
    shop = Shop(Settings(home=tmp_path_factory.mktemp("made")), Log(), spark)
    for number, records in enumerate(batches()):
        shop.log.put(records)
        assert shop.ingest() == 1
        if number == 1:
            shop.ledger.open(BOOKS).optimize.compact()
    return shop


@pytest.fixture(scope="module")
def erased(made: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The same once somebody was erased, and came again."""
    shop = made.copy(tmp_path_factory.mktemp("erased") / "home")
    shop.erase(GONE)
    shop.log.put(late())
    assert shop.ingest() == 1
    return shop


@pytest.fixture
def shop(made: Shop, tmp_path: Path) -> Shop:
    return made.copy(tmp_path / "home")


@pytest.fixture
def bare(erased: Shop, tmp_path: Path) -> Shop:
    """One in which all files of bronze but the smallest are gone."""
    shop = erased.copy(tmp_path / "home")
    for file in shop.files(BRONZE)[:-1]:
        file.unlink()
    return shop


def places_of(shop: Shop, table: str, topic: str, user: str) -> list[tuple[str, int, int]]:
    """Where the records lie that a person's rows were made of."""
    mine = shop.ledger.read(table, filter=[[("user_id", "=", pseudonym_of(user, shop.settings.keys_path))]]).to_pylist()
    return [(topic, row["kafka_partition"], row["kafka_offset"]) for row in mine]


def unsigned(rows: list[str]) -> list[str]:
    """Rows without who booked them and when."""
    return sorted(re.sub(r"'(run_id|recorded_at)': .*?(?=, '|}$)", "", row) for row in rows)


def flip(file: Path) -> None:
    """Put other bytes in the middle of a file."""
    held = bytearray(file.read_bytes())
    middle = len(held) // 2
    held[middle - 100 : middle + 100] = bytes(200)
    file.write_bytes(held)


def test_hurt_files_are_made_again_from_bronze(shop: Shop) -> None:
    table = "silver.users"
    before, log = shop.rows(table), shop.ledger.version(table)
    files = shop.files(table)
    files[0].unlink()
    for file in files[1:]:
        flip(file)
    assert [one.remedy for one in ailments(shop.settings)] == [f"run `reelhouse repair {table}`"] * len(files)
    done = shop.mend(table)
    assert (done.rows, done.next_step, done.note) == (len(before), "", "")
    assert shop.rows(table) == before
    assert ailments(shop.settings) == []
    assert shop.ledger.version(table) == log + 2, "one commit of rows, one that forgets the files"
    assert len(done.set_aside) == len(files) - 1, "what is there is kept"
    shop.files(table)[0].unlink()
    shop.mend(table)
    assert shop.rows(table) == before, "a second repair is another append than the first"
    assert shop.ingest() == 0


def test_rows_that_one_flipped_bit_has_changed_come_back(shop: Shop) -> None:
    """Parquet reads another value there and notices nothing; what was noted of the files tells."""
    table = "silver.views"
    before, files = shop.rows(table), shop.files(table)
    note_files(shop.ledger, all_tables(shop.settings.schemas_dir), now())
    for file in files:
        flip_unseen(file)
    assert not any(map(unreadable, files))
    assert {(one.file, one.remedy) for one in ailments(shop.settings)} == {
        (file, f"run `reelhouse repair {table}`") for file in files
    }
    done = shop.mend(table)
    assert (len(done.set_aside), done.note) == (len(files), "")
    assert shop.rows(table) == before
    assert ailments(shop.settings) == []
    assert note_files(shop.ledger, [table], now()) == len(shop.files(table)), "those that were set aside are forgotten"
    assert ailments(shop.settings) == []
    assert shop.ingest() == 0


def test_the_ledger_is_told_as_it_was_when_all_of_it_is_hurt(shop: Shop) -> None:
    tables = (BOOKS, HOURS, "ops.watermarks", "silver.quarantine", "ops.touched")
    before = {table: shop.rows(table) for table in tables}
    for some in (tables[:4], tables[4:]):  # when a batch was booked only some of these tell
        for file in (file for table in some for file in shop.files(table)):
            file.unlink()
        for table in some:
            shop.mend(table)
    assert {table: shop.rows(table) for table in tables} == before
    assert ailments(shop.settings) == []
    beside = shop.beside("all")
    for table in ("silver.views", "silver.orders", "silver.users"):
        assert beside.rows(table) == shop.rows(table)
    clear(shop.settings, "test")
    assert not (shop.settings.home / "remade").exists()
    assert shop.files(BRONZE)


def test_who_booked_a_batch_and_when_is_known_without_the_books(erased: Shop, tmp_path: Path) -> None:
    shop = erased.copy(tmp_path / "home")
    for file in shop.files(BOOKS):
        file.unlink()
    memory = remembered(Lake(shop.settings, shop.spark))
    told = {line["ingest_seq"]: (line["run_id"], line["recorded_at"]) for line in erased.ledger.read(BOOKS).to_pylist()}
    assert {number: (memory.runs[number], memory.times[number]) for number in memory.plans} == told
    assert [number for number, plan in memory.plans.items() if plan.erasure] == [3]


@pytest.mark.parametrize("back", [2, 99])
def test_books_that_went_back_to_before_an_erasure_say_again_what_is_erased(
    erased: Shop, tmp_path: Path, back: int
) -> None:
    """An erasure moves records in lines of older batches, which then stand as they were before it."""
    shop = erased.copy(tmp_path / "home")
    before = {table: shop.rows(table) for table in (BOOKS, HOURS)}
    for table in (BOOKS, *[HOURS] * (back > 2)):
        for _ in range(min(back, shop.ledger.version(table))):
            newest_of_log(shop.ledger, table).unlink()
        assert shop.rows(table) != before[table]
    done = shop.mend(BOOKS)
    assert (done.next_step, done.note) == ("", "")
    assert {table: shop.rows(table) for table in (BOOKS, HOURS)} == before
    assert shop.ingest() == 0


def test_hours_that_are_gone_are_counted_again_or_told_under_none(erased: Shop, tmp_path: Path) -> None:
    """All of them, the newest commit, or one line; where bronze gives other numbers than were booked, if accepted."""
    shop = erased.copy(tmp_path / "home")
    before, ledger = shop.rows(HOURS), shop.ledger
    by_hour(ledger)
    newest_of_log(ledger, HOURS).unlink()
    with pytest.raises(BooksError, match="ops.book_hours: views/.*by hour 0.* run `reelhouse repair ops.book_hours`"):
        refuse_difference(ledger, 0)
    shop.mend(HOURS)
    assert shop.rows(HOURS) == before
    refuse_difference(ledger, 0)
    shutil.rmtree(ledger.path(HOURS))
    refuse_difference(ledger, 0)  # as in a lake that has none yet
    shop.mend(HOURS)
    assert shop.rows(HOURS) == before
    assert shop.ingest() == 0
    lines = ledger.read(BOOKS).to_pylist(maps_as_pydicts="strict")
    odd = next(line for line in lines if line["accepted"] > 1)
    odd |= {"accepted": odd["accepted"] - 1, "duplicate": odd["duplicate"] + 1}
    ledger.replace(BOOKS, lines, on_version=ledger.version(BOOKS))
    with pytest.raises(WriteError, match="1 lines of the books .* nothing was changed.*--accept-loss"):
        shop.mend(HOURS)
    assert shop.rows(HOURS) == before
    assert "1 lines of the books" in shop.mend(HOURS, accept_loss=True).note
    refuse_difference(ledger, 0)
    (beyond,) = [hour for hour in ledger.read(HOURS).to_pylist() if hour["accepted"] == -1 and not hour["event_hour"]]
    assert (beyond["ingest_seq"], beyond["duplicate"], beyond["received"] - beyond["erased"]) == (
        odd["ingest_seq"],
        1,
        0,
    )


def test_rows_that_bronze_does_not_give_are_not_guessed_and_nobody_erased_comes_back(
    erased: Shop, tmp_path: Path
) -> None:
    """With other keys the people have other names; where no row stands, another table's people tell."""
    shop = erased.copy(tmp_path / "home")
    before, keys = shop.rows("silver.orders"), shop.settings.keys_path.read_bytes()
    for file in shop.files("silver.orders"):
        flip(file)
    shop.settings.keys_path.unlink()
    with pytest.raises(KeyFileError, match="put the key file back"):
        shop.mend("silver.orders")
    ensure_key_file(shop.settings.keys_path)
    with pytest.raises(WriteError, match="read otherwise by the rules or keys of today .* nothing was changed"):
        shop.mend("silver.orders")
    assert {one.table for one in ailments(shop.settings)} == {"silver.orders"}
    clear(shop.settings, "test")
    shop.settings.keys_path.write_bytes(keys)
    shop.mend("silver.orders")
    assert shop.rows("silver.orders") == before
    lines = [[line for line in each.rows(BOOKS) if "'orders'" in line] for each in (shop, shop.beside("silver.orders"))]
    assert lines[0] == lines[1], "what is of nobody any more is counted as erased"


def test_bronze_is_read_again_from_the_topics_and_erased_people_stay_erased(bare: Shop, erased: Shop) -> None:
    assert {one.remedy for one in ailments(bare.settings)} == {f"run `reelhouse repair {BRONZE}`"}
    bare.files("silver.views")[0].unlink()
    with pytest.raises(UsageError, match=f"is made again from {BRONZE}, which is hurt itself"):
        bare.mend("silver.views")
    keys = bare.settings.keys_path.read_bytes()
    bare.settings.keys_path.unlink()
    with pytest.raises(KeyFileError, match="put the key file back"):
        bare.mend(BRONZE)
    ensure_key_file(bare.settings.keys_path)
    with pytest.raises(WriteError, match="that were erased, and only their bytes say which; nothing was changed"):
        bare.mend(BRONZE)
    bare.settings.keys_path.write_bytes(keys)
    assert bare.mend(BRONZE).note == ""
    assert bare.rows(BRONZE) == erased.rows(BRONZE)
    assert sum(line["key"] is None for line in bare.ledger.read(BRONZE).to_pylist()) == 4, "three found, one late"
    assert [one.table for one in ailments(bare.settings)] == ["silver.views"]


def test_an_erased_record_that_only_its_bytes_name_is_not_let_in_again(erased: Shop) -> None:
    lake = Lake(erased.settings, erased.spark)
    memory = remembered(lake)
    refuse_unemptied(lake.read(BRONZE), memory)
    part = (0, "orders", 0)
    assert memory.erased[part] == 1
    more = replace(memory, erased=memory.erased | {part: 2})
    with pytest.raises(WriteError, match=r"orders/0 has records of batch 0 that were erased.* nothing was changed"):
        refuse_unemptied(lake.read(BRONZE), more)


def test_a_repair_that_was_killed_adds_no_row_twice(bare: Shop, erased: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(wounds, "forget", lambda _: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            bare.mend(BRONZE)
    with pytest.raises(OSError, match="No such file|not found"):
        bare.rows(BRONZE)
    bare.mend(BRONZE)
    assert bare.rows(BRONZE) == erased.rows(BRONZE)


def test_what_the_topics_hold_no_more_is_named_and_lost_only_when_that_is_accepted(bare: Shop, erased: Shop) -> None:
    """By retention the oldest are gone, by compaction any: here the newest of two of a key stands."""
    bare.log.gone["views", 1] = 4
    bare.log.compacted = {("users", 0, 0)}
    named = r"5 records are lost for good, at users/0 offsets 0 to 0 \(batch 0\), views/1 offsets 0 to 3 \(batch 0\)"
    with pytest.raises(TopicError, match=named):
        bare.mend(BRONZE)
    assert not (bare.settings.home / "aside").exists()
    assert re.search(named, bare.mend(BRONZE, accept_loss=True).note)
    lost = [line for line in erased.ledger.read(BRONZE).to_pylist() if str(line) not in bare.rows(BRONZE)]
    assert sorted((line["topic"], line["partition"], line["offset"]) for line in lost) == [
        ("users", 0, 0),
        *(("views", 1, offset) for offset in range(4)),
    ]
    assert ailments(bare.settings) == []


@pytest.mark.parametrize("is_booked", [True, False])
def test_a_torn_commit_of_bronze_is_landed_again(shop: Shop, made: Shop, *, is_booked: bool) -> None:
    if not is_booked:
        newest_of_log(shop.ledger, BOOKS).unlink()
    tear(newest_of_log(shop.ledger, BRONZE))
    if is_booked:
        done = shop.mend(BRONZE)
        assert (done.next_step, shop.rows(BRONZE)) == ("", made.rows(BRONZE))
        return
    with pytest.raises(WriteError, match="the torn commit is of batch 2, of which .*silver.views.* have rows"):
        shop.mend(BRONZE)
    assert progress(made.ledger).landed == 2


def test_a_landing_that_was_killed_is_named_and_ended(shop: Shop, made: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    tear(newest_of_log(shop.ledger, BRONZE))
    with monkeypatch.context() as patch:
        patch.setattr(landed, "land", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            shop.mend(BRONZE)
    assert [one.remedy for one in lost_commits(shop.settings)] == [f"run `reelhouse repair {BRONZE}`"]
    shop.mend(BRONZE)
    assert shop.rows(BRONZE) == made.rows(BRONZE)
    assert not list(lost_commits(shop.settings))


def test_a_torn_erasure_is_carried_out_again(erased: Shop, tmp_path: Path) -> None:
    shop = erased.copy(tmp_path / "home")
    shop.erase("u2")
    before, version = shop.rows(BRONZE), shop.ledger.version(BRONZE)
    tear(newest_of_log(shop.ledger, BRONZE))
    assert shop.mend(BRONZE).note == ""
    assert (shop.rows(BRONZE), shop.ledger.version(BRONZE)) == (before, version)
    assert progress(shop.ledger).landed == progress(erased.ledger).landed + 1


def test_who_is_erased_is_so_in_the_books_too_of_records_that_bronze_has_given_up(shop: Shop, erased: Shop) -> None:
    """All is as where nothing was lost, but for what is lost of others; a torn commit of it is made again, too."""
    (view,) = places_of(shop, "silver.views", "views", GONE)
    (order,) = places_of(shop, "silver.orders", "orders", GONE)
    others = ("orders", 0, 1)
    assert others != order
    shop.log.compacted = {view, order, others}
    for file in shop.files(BRONZE):
        file.unlink()
    assert "3 records are lost for good" in shop.mend(BRONZE, accept_loss=True).note
    shop.erase(GONE)
    recounted(shop.ledger, ["silver.views", "silver.orders"], -1)
    before = shop.rows(BRONZE)
    tear(newest_of_log(shop.ledger, BRONZE))
    shop.mend(BRONZE)
    assert shop.rows(BRONZE) == before
    shop.log.put(late())
    assert shop.ingest() == 1
    for table in (BOOKS, HOURS):
        assert unsigned(shop.rows(table)) == unsigned(erased.rows(table))
    (row,) = [row for row in erased.rows(BRONZE) if row not in shop.rows(BRONZE)]
    assert row.startswith("{'topic': 'orders', 'topic_id': 'id-orders', 'partition': 0, 'offset': 1,")


@pytest.mark.parametrize("by", ["retention", "compaction"])
def test_a_torn_commit_of_bronze_whose_records_are_gone_stays(shop: Shop, by: str) -> None:
    torn = newest_of_log(shop.ledger, BRONZE)
    tear(torn)
    if by == "retention":
        shop.log.gone["views", 0] = 99
    else:  # the offsets may be asked for, and one of them has no record
        shop.log.compacted.add(("views", 0, len(shop.log.parts["views"][0]) - 1))
    with pytest.raises(TopicError, match="the topics hold no more views/0 offsets"):
        shop.mend(BRONZE)
    assert torn.exists()


def lost(shop: Shop) -> list[tuple[str, str, str]]:
    """What doctor finds that no file tells."""
    return [(one.table, one.kind.value, one.remedy) for one in ailments(shop.settings) or lost_commits(shop.settings)]


@pytest.mark.parametrize("table", ["silver.views", "silver.users", "silver.quarantine", "ops.watermarks"])
def test_a_table_that_is_gone_is_named_and_made_again_as_it_was(erased: Shop, tmp_path: Path, table: str) -> None:
    """With all that was displaced, taken back or erased in it; and ingest goes on as where nothing was lost."""
    shop, whole = erased.copy(tmp_path / "home"), erased.copy(tmp_path / "whole")
    before = shop.rows(table)
    assert (lost(shop), bool(before)) == ([], True)
    shutil.rmtree(shop.ledger.path(table))
    assert lost(shop) == [(table, "gone", f"run `reelhouse repair {table}`")]
    done = shop.mend(table)
    assert (done.rows, done.next_step, done.note) == (len(before), "", "")
    assert shop.rows(table) == before
    assert lost(shop) == []
    assert mend(shop.settings, table, "again", lambda _: shop.spark) is None
    for each in (shop, whole):
        each.log.put([viewed(21, 9, 5000), viewed(22, 11, 5000), moved(5, 1)])
        assert each.ingest() == 1
    for name in (table, BOOKS):
        assert unsigned(shop.rows(name)) == unsigned(whole.rows(name))
    assert lost(shop) == []


def test_the_days_of_who_was_erased_are_told_by_nothing_else(shop: Shop, erased: Shop, tmp_path: Path) -> None:
    before, other = shop.rows("ops.touched"), erased.copy(tmp_path / "other")
    for each in (shop, other):
        shutil.rmtree(each.ledger.path("ops.touched"))
        assert lost(each) == [("ops.touched", "gone", "run `reelhouse repair ops.touched`")]
    shop.mend("ops.touched")
    assert shop.rows("ops.touched") == before
    with pytest.raises(WriteError, match="ops.touched: somebody was erased, and nothing else tells of whom"):
        other.mend("ops.touched")


def order() -> Record:
    """One that comes after all the others."""
    return record("orders", body_of("orders", 90, user_id="u1"), at=NOON + timedelta(minutes=9))


def bury_orders(shop: Shop) -> None:
    """After it the newest commit of the orders is of an older batch."""
    for each in (order(), viewed(40, 10, 5000)):
        shop.log.put([each])
        assert shop.ingest() == 1


def test_files_without_a_log_are_set_aside_and_a_commit_of_an_older_batch_is_made_again(shop: Shop) -> None:
    """That an older batch made it no batch brings back that is only done again."""
    bury_orders(shop)
    before = {table: shop.rows(table) for table in ("silver.users", "silver.orders")}
    shutil.rmtree(Path(shop.ledger.path("silver.users")) / "_delta_log")
    newest_of_log(shop.ledger, "silver.orders").unlink()
    assert sorted(each[:2] for each in lost(shop)) == [("silver.orders", "lost commit"), ("silver.users", "gone")]
    done = [shop.mend(table) for table in before]
    assert [Path(file).name.endswith("-users") for file in done[0].set_aside] == [True]
    assert list(Path(done[0].set_aside[0]).rglob("*.parquet"))
    assert {table: shop.rows(table) for table in before} == before
    assert lost(shop) == []


@pytest.mark.parametrize("is_begun", [False, True], ids=["all is booked", "a batch is begun"])
def test_a_torn_commit_of_an_older_batch_is_set_aside_and_made_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, is_begun: bool
) -> None:
    shop.log.put([order()])
    assert shop.ingest() == 1
    shop.log.put([viewed(40, 10, 5000)])
    if is_begun:
        monkeypatch.setenv(kill_points.VARIABLE, "raise:ingest.after_bronze")
        with pytest.raises(kill_points.Killed):
            shop.ingest()
        monkeypatch.delenv(kill_points.VARIABLE)
        shop.ledger.open("ops.leases").delete()
    else:
        assert shop.ingest() == 1
    before, torn = shop.rows("silver.orders"), newest_of_log(shop.ledger, "silver.orders")
    tear(torn)
    done = shop.mend("silver.orders")
    assert (shop.rows("silver.orders"), lost(shop)) == (before, [])
    assert [Path(file).name.endswith(torn.name) for file in done.set_aside] == [True]
    assert shop.ingest() == is_begun
    assert lost(shop) == []


def test_what_a_repair_that_failed_had_committed_is_not_overwritten_by_the_torn_commit(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury_orders(shop)
    before, torn = shop.rows("silver.orders"), newest_of_log(shop.ledger, "silver.orders")
    tear(torn)

    def not_proven(*_: object) -> Mended:
        raise WriteError("not proven")

    monkeypatch.setattr(from_bronze, "proven", not_proven)
    with pytest.raises(WriteError, match="not proven"):
        shop.mend("silver.orders")
    assert newest_of_log(shop.ledger, "silver.orders") == torn
    assert (shop.rows("silver.orders"), lost(shop)) == (before, [])


def test_a_table_whose_newest_commit_and_an_older_file_are_hurt_is_what_it_was(shop: Shop) -> None:
    table, before = "silver.views", shop.rows("silver.views")
    older = DeltaTable(shop.ledger.path(table), version=shop.ledger.version(table) - 1)
    torn = newest_of_log(shop.ledger, table)
    tear(torn)
    Path(older.file_uris()[0]).unlink()
    done = shop.mend(table)
    assert (done.next_step, len(done.set_aside)) == ("reelhouse ingest", 2), "the commit, and that of the books"
    assert shop.ingest() == 1
    assert (unsigned(shop.rows(table)), lost(shop)) == (unsigned(before), [])


def test_what_the_records_and_the_touched_days_are_made_of_is_hurt_in_both(shop: Shop) -> None:
    """Each is made of the other; the records come first, and need of the days only what the books say as well."""
    shop.log.put([canary("views"), canary("likes")])
    assert shop.ingest() == 1, "which touches nothing, so that the newest commit of the days is of an older batch"
    tables = (BRONZE, "ops.touched", "silver.views")
    before = {table: shop.rows(table) for table in tables}
    torn = newest_of_log(shop.ledger, "ops.touched")
    tear(torn)
    for table in (BRONZE, "silver.views"):
        shop.files(table)[0].unlink()
    with pytest.raises(UsageError, match=f"ops.touched: is made again from {BRONZE}, which is hurt itself"):
        shop.mend("ops.touched")
    assert torn.exists()
    for table in tables:
        shop.mend(table)
    assert {table: shop.rows(table) for table in tables} == before
    assert lost(shop) == []


def test_books_that_bronze_does_not_give_are_not_made_to_fit(shop: Shop) -> None:
    lines = shop.ledger.read(BOOKS).to_pylist(maps_as_pydicts="strict")
    odd = next(line for line in lines if line["topic"] == "views" and line["accepted"] > 1)
    odd |= {"accepted": odd["accepted"] - 1, "duplicate": odd["duplicate"] + 1}
    shop.ledger.replace(BOOKS, lines, on_version=shop.ledger.version(BOOKS))
    shutil.rmtree(shop.ledger.path("silver.views"))
    with pytest.raises(WriteError, match=f"silver.views: of views {BOOKS} says .* and {BRONZE} gives .* nothing was"):
        shop.mend("silver.views")
    assert not shop.ledger.exists("silver.views")


@pytest.mark.parametrize("point", ["after_users", "after_book_hours"])
def test_nothing_is_missed_in_the_middle_of_a_batch(shop: Shop, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """That takes the place of an earlier row, and changes a user."""
    early = replace(viewed(20, 8, 6000), at=NOON)
    shop.log.put([early, viewed(41, 9, 5000), moved(6, 2)])
    monkeypatch.setenv(kill_points.VARIABLE, f"raise:ingest.{point}")
    with pytest.raises(kill_points.Killed):
        shop.ingest()
    assert (lost(shop), untold(shop.ledger)) == ([], [])
    monkeypatch.delenv(kill_points.VARIABLE)
    shop.ledger.open("ops.leases").delete()
    assert shop.ingest() == 1
    assert (lost(shop), untold(shop.ledger)) == ([], [])


@pytest.mark.parametrize("point", ["after_silver.users", "after_book_hours"])
def test_nothing_is_missed_in_the_middle_of_an_erasure(shop: Shop, point: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(kill_points.VARIABLE, f"raise:erase.{point}")
    with pytest.raises(kill_points.Killed):
        shop.erase(GONE)
    assert (lost(shop), untold(shop.ledger)) == ([], [])
