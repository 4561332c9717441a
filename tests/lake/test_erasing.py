"""After an erasure the lake is one in which the person never was, but for the places of their records."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import session
from jobs.lake.errors import UnerasedError, UsageError
from jobs.lake.identity import read_keys
from jobs.lake.ingest.forgetting import ERASE_POINTS
from jobs.lake.kill_points import Killed
from jobs.lake.settings import Settings
from jobs.lake.topics import ERASED_HEADER
from jobs.upkeep.proving import LIVE, traces
from tests.lake.erasing_shop import OTHER, TABLES, WHO, Shop, view
from tests.lake.logs import NOON, Log, Record, body_of, record

PERSONAL = 11  # records of the person in `tale`


def theirs() -> list[Record]:
    """All that the person did: good, twice, contradicted, broken, torn, and before they logged in."""
    first, broken = view(1, WHO, device_id="d-own"), view(2, WHO, watch_ms="x")
    torn = Record("views", None, f'{{"user_id": "{WHO}", "vi'.encode(), None, NOON, 0)
    return [
        first,
        replace(first, at=NOON + timedelta(minutes=1)),
        replace(view(1, WHO, device_id="d-own", watch_ms=7), at=NOON + timedelta(minutes=2)),
        broken,
        torn,
        view(3, "d-own", device_id="d-own"),
        view(4, WHO, device_id="d-shared"),
        record("likes", body_of("likes", 5, user_id=WHO)),
        record("orders", body_of("orders", 6, user_id=WHO)),
        record("users", body_of("users", 7, user_id=WHO)),
        record("users", body_of("users", 8, user_id=WHO), value=None, headers=None, at=NOON + timedelta(minutes=2)),
    ]


def of_others() -> list[Record]:
    """Somebody else, on a device of both; a record that only looks erased; one that has the id in other words."""
    sign = ((ERASED_HEADER, b"k1:00000000000000000000000000000000:2"),)
    return [
        view(20, OTHER, device_id="d-shared"),
        view(21, "d-shared", device_id="d-shared"),
        view(22, OTHER, watch_ms="x", query=f"{WHO}s"),
        record("likes", body_of("likes", 23, user_id=OTHER)),
        record("orders", body_of("orders", 24, user_id=OTHER)),
        record("users", body_of("users", 25, user_id=OTHER)),
        Record("views", None, None, sign, NOON, 0),
    ]


def tale() -> list[Record]:
    """Theirs and others' by turns, so that each batch has some of both."""
    mine, others = theirs(), of_others()
    return [each for pair in zip(mine, [*others, *[None] * 4], strict=True) for each in pair if each]


def unread(records: Iterable[Record]) -> Iterator[Record]:
    """The same with nobody in place of the person: what says nothing is refused."""
    mine = theirs()
    for each in records:
        yield replace(each, key=None, value=b"x", headers=None) if each in mine else each


@pytest.fixture(scope="module")
def key_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("keys") / "pseudonyms.json"


@pytest.fixture(scope="module")
def never(spark: SparkSession, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What there would be, had there been nothing of the person to read."""
    shop = Shop(Settings(home=tmp_path_factory.mktemp("never"), key_file=key_file), spark, Log())
    records = list(unread(tale()))
    shop.ingest(records[:9])
    shop.ingest(records[9:])
    found = shop.found()
    parts = [each for topic in shop.log.parts.values() for part in topic.values() for each in part]
    nothing = [(each.topic, each.partition, each.offset) for each in parts if each.value == b"x"]
    assert len(nothing) == PERSONAL
    kept = {place: reasons for place, reasons in found["refused"].items() if place not in nothing}
    gone = Counter(reason for place in nothing for reason in found["refused"][place])
    books = found["books"] - gone - Counter(quarantined=PERSONAL) + Counter(erased=PERSONAL)
    return found | {"refused": kept, "books": books}


@pytest.fixture(scope="module")
def erased(spark: SparkSession, key_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """An erasure that died at every point there is, one after the other, and was said again."""
    shop = Shop(Settings(home=tmp_path_factory.mktemp("erased"), key_file=key_file), spark, Log())
    records = tale()
    shop.ingest(records[:9])
    shop.ingest(records[9:])
    for point in ERASE_POINTS:
        with pytest.raises(Killed, match=point):
            shop.erase(killed_at=point)
        if point == "erase.after_silver.views":
            with pytest.raises(UsageError, match="a batch that was killed"):
                shop.tidy("silver.views")  # what goes is found in the table as it was
    return shop


def test_whoever_is_erased_might_never_have_been(erased: Shop, never: dict[str, Any]) -> None:
    assert erased.found() == never


def test_said_again_nothing_is_done(erased: Shop) -> None:
    before = erased.found()
    assert erased.erase() is None
    assert erased.found() == before
    (line,) = erased.ingest().ledger.read("ops.erasures").to_pylist()
    assert (line["ingest_seq"], line["why"], line["asked_by"]) == (2, "request 17", "tester")
    assert sum(dict(line["record_counts"]).values()) == PERSONAL
    assert dict(line["row_counts"]) == {"silver.views": 3, "silver.likes": 1, "silver.orders": 1, "silver.users": 2,
                                  "silver.quarantine": 3}  # fmt: skip


def test_batches_done_again_from_bronze_bring_nobody_back(
    erased: Shop, never: dict[str, Any], spark: SparkSession, tmp_path: Path, key_file: Path
) -> None:
    """Silver and books are made anew; all there is of before is bronze, and who is not to be found in it."""
    anew = Settings(home=tmp_path, key_file=key_file)
    for table in ("bronze.events", "ops.erasures"):
        shutil.copytree(erased.settings.table_path(table), anew.table_path(table))
    shop = Shop(anew, spark, erased.log)
    shop.ingest()
    assert shop.found() == never


def test_no_file_holds_the_person_once_upkeep_was_there(erased: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(erased.settings.home))
    monkeypatch.setenv("REELHOUSE_KEY_FILE", str(erased.settings.key_file))
    before = traces(erased.settings, WHO)
    assert {trace.table for trace in before if trace.where == LIVE} == {"ops.touched"}
    assert {"bronze.events", "silver.views"} <= {trace.table for trace in before if trace.where != LIVE}
    ended = CliRunner().invoke(build_app(), ["erase", WHO, "--prove"])
    assert isinstance(ended.exception, UnerasedError)
    erased.tidy("ops.touched", "bronze.events", *TABLES)
    left = traces(erased.settings, WHO)
    assert {trace.table for trace in left} <= {"silver.quarantine"}, "which was not tidied"
    erased.tidy("silver.quarantine")
    assert traces(erased.settings, WHO) == []
    assert traces(erased.settings, "d-own") == [], "a device is proven by its own name"
    logs = "".join(file.read_text() for file in Path(erased.settings.lake_root).rglob("_delta_log/*.json"))
    assert OTHER not in logs, "a log quotes nobody"
    assert [name for name in (WHO, *read_keys(erased.settings.keys_path).pseudonyms(WHO)) if name in logs] == []
    assert {trace.table for trace in traces(erased.settings, OTHER)} >= {"bronze.events", "silver.views"}
    proven = CliRunner().invoke(build_app(), ["erase", WHO, "--prove", "--format", "json"])
    assert (proven.exit_code, proven.stdout.strip()) == (0, "[]")


def test_what_comes_late_is_erased_and_what_is_new_is_not_but_for_who_said_so(
    spark: SparkSession, tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(Settings(home=tmp_path, key_file=key_file), spark, Log())
    shop.ingest([view(1, WHO), view(2, OTHER), view(3, "u3")])
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    monkeypatch.setenv("REELHOUSE_KEY_FILE", str(key_file))
    monkeypatch.setattr(session, "open_session", lambda *_: spark)
    told = CliRunner().invoke(build_app(), ["erase", WHO, "--dry-run"])
    places = ("bronze.events: views", "silver.views", "silver.likes")
    assert [place in told.stdout for place in places] == [True, True, False]
    assert "Nothing was erased" in told.stderr
    assert shop.books()["erased"] == 0
    assert "Nobody of that id" in CliRunner().invoke(build_app(), ["erase", "u-nobody", "--dry-run"]).stderr
    shop.erase()
    shop.erase(OTHER, is_later_refused=True)
    late = [replace(view(number, user), at=NOON + timedelta(hours=2)) for number, user in ((4, WHO), (5, OTHER))]
    new = [view(number, user, hour=2) for number, user in ((6, WHO), (7, OTHER), (8, "u3"))]
    run = shop.ingest([*late, *new])
    assert shop.books() == Counter(accepted=3, erased=5)
    assert sorted(run.ledger.read("silver.views")["kafka_offset"].to_pylist()) == [1, 2, 3]
    held = run.ledger.read("bronze.events", ["key", "value"]).to_pylist()
    assert sum(row["value"] is None for row in held) == 5
    assert not any(OTHER.encode() in (row["value"] or b"") for row in held)
