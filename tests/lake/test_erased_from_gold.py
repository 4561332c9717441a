"""Gold follows an erasure: the numbers are those of a shop where the person never was, and say why they changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.definitions.news import cause_at
from jobs.drills.records import NOON, Record, body_of, record
from jobs.lake.clock import now
from jobs.lake.digest import digest_of
from jobs.lake.errors import UsageError
from jobs.lake.families.funnel_causes import of_erased
from jobs.lake.families.funnels import _are_in_old_versions, _without_erased
from jobs.lake.families.inputs import Displaced
from jobs.lake.families.profiles import HISTORY, forgetting
from jobs.lake.identity import pseudonym_of
from jobs.lake.ingest.erasing import Asked, erase
from jobs.lake.ingest.loop import Ingest
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Staged
from jobs.serve.labelled import profiles_as_of
from jobs.upkeep.proving import traces
from jobs.upkeep.rounds import Round, chosen_tables
from tests.lake.small_shop import FUNNEL, ingest, only, publish, put, views

WHO, FRIEND = "u0", "u2"
OWN, SHARED = "d-own", "d-both"  # devices: theirs alone; of both
ANONYMOUS = NOON - timedelta(hours=1)  # when each device was used before anybody logged in
FAMILIES = ("profiles", "sessions", "scores")  # scores read profiles
ABOUT_PEOPLE = (
    "silver.sessions", "silver.identity_edges", "gold.user_days", "gold.user_interest_days", "gold.user_interests",
    "gold.user_profiles", "gold.user_scores", "gold.retention_weekly", "gold.segment_daily",
)  # fmt: skip
HISTORY_OF_PROFILES = "gold.user_profiles_history"


def first_day() -> Iterator[Record]:
    """The small shop's; two of its people buy, and log in on a device of their own and on one of both."""
    yield from views()
    yield act("views", 60, OWN, device_id=OWN, at=ANONYMOUS)
    yield act("views", 61, SHARED, device_id=SHARED, at=ANONYMOUS)
    yield act("views", 62, WHO, device_id=OWN)
    yield from (act("views", 63 + n, who, device_id=SHARED) for n, who in enumerate((WHO, FRIEND)))
    for n, who in enumerate((WHO, FRIEND)):
        yield act("likes", 70 + n, who)
        yield act("orders", 72 + n, who, order_id=f"o-{who}")
        yield act("users", 74 + n, who, birth_year=1990, consent=["personalisation", "marketing"])


def second_day() -> Iterator[Record]:
    """The day after they are there again."""
    for n, who in enumerate((WHO, FRIEND)):
        yield act("views", 80 + n, who, device_id=OWN if who == WHO else SHARED, at=NOON + timedelta(days=1))


def act(topic: str, number: int, who: str, *, at: datetime = NOON, **fields: Any) -> Record:
    return record(topic, body_of(topic, number, at=at, user_id=who, **fields), at=at)


def without(records: Iterable[Record]) -> Iterator[Record]:
    """The same with nobody in place of the person and their device: what says nothing is refused."""
    for each in records:
        yield replace(each, key=None, value=b"x") if each.key in (WHO.encode(), OWN.encode()) else each


def publish_all(settings: Settings, spark: SparkSession) -> None:
    for family in ("funnels", *FAMILIES):
        publish(settings, spark, family)


def two_days(settings: Settings, spark: SparkSession, records: Callable[[Iterable[Record]], Iterable[Record]]) -> None:
    """Profiles are published on each, all else on the second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Runner, "_judge", lambda *_: [])  # to spare the seconds of Great Expectations
        put(settings, records(first_day()))
        ingest(settings, spark)
        publish(settings, spark, "profiles")
        put(settings, records(second_day()))
        ingest(settings, spark)
        publish_all(settings, spark)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Settings:
    """Two days, profiles published on each, all else on the second; then an erasure, and everything published again."""
    home = tmp_path_factory.mktemp("shop")
    made = Settings(home=home, schemas_dir=only(FUNNEL, home), kafka_bootstrap_servers=f"file:{home / 'topics'}")
    two_days(made, spark, lambda records: records)
    erase(Ingest(made, "test", now, lambda _: spark), Asked(WHO, "asked for", "tester", now()))
    publish_all(made, spark)
    return made


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, shop: Settings) -> Settings:
    """The shop without the person, under the same key."""
    home = tmp_path_factory.mktemp("never")
    made = shop.model_copy(
        update={"home": home, "schemas_dir": only(FUNNEL, home), "kafka_bootstrap_servers": f"file:{home / 'topics'}"}
    )
    made.keys_path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(shop.keys_path, made.keys_path)
    two_days(made, spark, without)
    return made


def test_the_funnel_is_that_of_a_shop_without_the_person(shop: Settings, never: Settings, spark: SparkSession) -> None:
    tables = families(shop.schemas_dir)["funnels"]
    found, expected = (digests(each, spark, tables) for each in (shop, never))
    assert found == expected
    assert any(not digest.startswith("0:") for digest in found.values())


@pytest.mark.parametrize("table", ABOUT_PEOPLE)
def test_what_is_known_of_people_is_what_a_shop_without_the_person_knows(
    shop: Settings, never: Settings, spark: SparkSession, table: str
) -> None:
    found, expected = (digests(each, spark, [table]) for each in (shop, never))
    assert found == expected
    assert not found[table].startswith("0:")


def test_nothing_was_ever_known_of_the_person_and_of_others_all_that_was(shop: Settings, spark: SparkSession) -> None:
    history = Ledger(shop).read(HISTORY_OF_PROFILES, ["user_id", "known_from"]).to_pylist()
    kept = pseudonym_of(FRIEND, shop.keys_path)
    times = sorted(row["known_from"] for row in history if row["user_id"] == kept)
    assert len(times) >= 2, "of each day"
    labels = {"user_id": [WHO, OWN, FRIEND], "at": pa.array([times[-1]] * 3, pa.timestamp("us", "UTC"))}
    known = profiles_as_of(pa.table(labels), settings=shop).to_pylist()
    assert [row["known_from"] for row in known] == [None, None, times[-1]]
    gone = {pseudonym_of(name, shop.keys_path) for name in (WHO, OWN)}
    assert gone.isdisjoint(row["user_id"] for row in history)
    devices = Ledger(shop).read("silver.identity_edges", ["device_id"])["device_id"].to_pylist()
    assert pseudonym_of(SHARED, shop.keys_path) in devices
    assert gone.isdisjoint(devices)


def test_the_numbers_say_that_it_was_an_erasure(shop: Settings) -> None:
    every = Ledger(shop).read("ops.restatements").to_pylist()
    lines = [line for line in every if line["release_id"].startswith("funnels")]
    assert {line["cause"] for line in lines} == {"erasure"}
    first_of_segments = [line for line in every if f'"as_of_day":"{NOON.date()}"' in line["row_key"]]
    assert {line["cause"] for line in first_of_segments} == {"erasure"}
    assert all(line["evidence"] == "batches 2 to 2; ops.erasures" for line in lines)
    people = [line["part"] for line in lines if line["measure"] == "people_count"]
    assert set(people) == {-1, -2}, "them, and their device where that was there, too"


def test_an_older_release_does_not_bring_the_person_back(shop: Settings, spark: SparkSession) -> None:
    with pytest.raises(UsageError, match="before a person was erased"):
        Runner(shop, "funnels", "test", lambda _: spark).rollback("")


def test_no_file_holds_the_person_once_upkeep_was_there(shop: Settings, spark: SparkSession) -> None:
    """Neither readers nor staging, nor what names them to gold; the funnel can still be built on."""
    assert {trace.table for trace in traces(shop, WHO) if trace.where == "live"} == {"ops.touched", "staging"}
    Round(shop, "test", timedelta(0), now(), lambda _: None).tidy(chosen_tables(shop, ["all"], []))
    assert traces(shop, WHO) == []
    assert pseudonym_of("u4", shop.keys_path) in Ledger(shop).read("gold.funnel_openings")["user_id"].to_pylist()


def test_who_was_erased_is_news_of_an_erasure_whatever_else_is_new_of_them(spark: SparkSession) -> None:
    touched = [("u1", "erased"), ("u2", "retracted"), (None, "erased")]
    rows = of_erased(spark.createDataFrame(touched, "subject string, cause string"))
    assert [tuple(row) for row in rows.select("user_id", cause_at(F.col("place"))).collect()] == [("u1", "erasure")]
    assert [row[0] for row in rows.select("place").collect()] == [0], "no cause comes before it"


def test_what_was_known_of_a_profile_goes_and_nobody_elses(spark: SparkSession) -> None:
    at, columns = datetime(2026, 11, 1, tzinfo=UTC), "user_id string, as_of_day date, known_from timestamp"
    history = spark.createDataFrame([(user, date(2026, 11, 1), at) for user in ("u1", "u2")], columns)
    made = [Staged(HISTORY, history.limit(0), "append"), Staged("gold.user_days", history, "merge")]

    def staged(*names: str) -> list[Staged]:
        return list(forgetting(iter(made), history, Displaced(None, of_things=False, erased=names)))

    forgotten, other = staged("u1")
    assert forgotten.removed is not None
    assert (forgotten.mode, [row.user_id for row in forgotten.removed.collect()]) == ("merge", ["u1"])
    assert other is made[1]
    assert staged() == made


def test_rows_under_definitions_that_are_no_more_go_as_well(spark: SparkSession) -> None:
    """Nothing judges those people again, so the family is made anew without them."""
    from jobs.definitions.funnel.checking import read_definitions
    from jobs.lake.families.funnel_tables import Gold

    (one, *_), columns = read_definitions(Settings().schemas_dir), "user_id string, funnel string, funnel_version int"
    rows = [("u1", "old", 1), ("u2", "old", 1), ("u3", one.name, one.version)]
    frame = spark.createDataFrame(rows, columns)
    gold = Gold(frame, frame.limit(0), frame, frame, frame)
    told = {user: Displaced(None, of_things=False, erased=(user,)) for user in ("u1", "u3")}
    assert [_are_in_old_versions(gold, [one], lost) for lost in told.values()] == [True, False]
    assert names(_without_erased(gold, told["u1"]).attempts) == {"u2", "u3"}
    assert _without_erased(gold, Displaced(None, of_things=False)) is gold


def names(rows: DataFrame) -> set[str]:
    return {row.user_id for row in rows.collect()}


def digests(settings: Settings, spark: SparkSession, tables: Iterable[str]) -> dict[str, str]:
    return {table: digest_of(Lake(settings, spark), table) for table in tables}
