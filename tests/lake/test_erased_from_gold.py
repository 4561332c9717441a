"""Gold follows an erasure: the numbers are those of a shop where the person never was, and say why they changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from jobs.definitions.news import cause_at
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
from jobs.upkeep.proving import traces
from jobs.upkeep.rounds import Round, chosen_tables
from tests.lake.small_shop import FUNNEL, ingest, only, publish, put, small_shop, views

WHO = "u0"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession) -> Settings:
    """The small shop after an erasure, its funnels published before and since."""
    settings = small_shop(tmp_path_factory.mktemp("shop"), spark)
    erase(Ingest(settings, "test", now, lambda _: spark), Asked(WHO, "asked for", "tester", now()))
    publish(settings, spark)
    return settings


@pytest.fixture(scope="module")
def never(tmp_path_factory: pytest.TempPathFactory, spark: SparkSession, shop: Settings) -> Settings:
    """The shop without the person, under the same key."""
    home = tmp_path_factory.mktemp("never")
    made = shop.model_copy(
        update={"home": home, "schemas_dir": only(FUNNEL, home), "kafka_bootstrap_servers": f"file:{home / 'topics'}"}
    )
    made.keys_path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(shop.keys_path, made.keys_path)
    put(made, (replace(each, key=None, value=b"x") if each.key == WHO.encode() else each for each in views()))
    ingest(made, spark)
    publish(made, spark)
    return made


def test_the_funnel_is_that_of_a_shop_without_the_person(shop: Settings, never: Settings, spark: SparkSession) -> None:
    tables = families(shop.schemas_dir)["funnels"]
    found, expected = ({table: digest_of(Lake(each, spark), table) for table in tables} for each in (shop, never))
    assert found == expected
    assert any(not digest.startswith("0:") for digest in found.values())


def test_the_numbers_say_that_it_was_an_erasure(shop: Settings) -> None:
    lines = Ledger(shop).read("ops.restatements").to_pylist()
    assert {line["cause"] for line in lines} == {"erasure"}
    assert all(line["evidence"] == "batches 1 to 1; ops.erasures" for line in lines)
    people = [line["part"] for line in lines if line["measure"] == "people_count"]
    assert people
    assert set(people) == {-1}


def test_an_older_release_does_not_bring_the_person_back(shop: Settings, spark: SparkSession) -> None:
    with pytest.raises(UsageError, match="before a person was erased"):
        Runner(shop, "funnels", "test", lambda _: spark).rollback("")


def test_no_file_holds_the_person_once_upkeep_was_there(shop: Settings, spark: SparkSession) -> None:
    """Neither readers nor staging, nor what names them to gold; the funnel can still be built on."""
    assert {trace.table for trace in traces(shop, WHO) if trace.where == "live"} == {"ops.touched", "staging"}
    Round(shop, "test", timedelta(0), now(), lambda _: None).tidy(chosen_tables(shop, ["all"], []))
    assert traces(shop, WHO) == []
    assert pseudonym_of("u2", shop.keys_path) in Ledger(shop).read("gold.funnel_openings")["user_id"].to_pylist()


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
