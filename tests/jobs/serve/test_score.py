"""The score finds nothing in a lake that holds the truth, and finds each thing that is wrong in one that does not."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import polars as pl
import pytest
from deltalake import write_deltalake

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.score import Result, score, truth_folder
from jobs.serve.score_gold import ACTS
from tests.jobs.simulate.conftest import LAST_DAY, Told, named, tell

Lake = dict[str, pl.DataFrame]
ENTITIES = ("users", "videos", "products", "merchants")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    from jobs.simulate.run import Plan

    return tell(tmp_path_factory.mktemp("scored"), Plan(200, 3, 9, LAST_DAY, "Asia/Shanghai", "wild"))


@pytest.fixture(scope="module")
def ideal(told: Told) -> Lake:
    """What a faultless platform would hold, put together from the truth."""
    events = told.truth["events"]
    good = events.filter(pl.col("fate") == "good").with_columns(pseudonym("user_id"), pseudonym("goes_by"))
    lake = {
        f"silver.{topic}": silver(good.filter(pl.col("topic") == topic), topic) for topic in events["topic"].unique()
    }
    lake["bronze.events"] = bronze(told)
    lake["silver.quarantine"] = quarantine(told, lake["bronze.events"])
    lake["ops.books"] = books(events)
    return lake | gold(told)


def pseudonym(column: str) -> pl.Expr:
    return (pl.lit("k1:") + pl.col(column).str.reverse()).alias(column)


def silver(good: pl.DataFrame, topic: str) -> pl.DataFrame:
    time = "valid_from" if topic in ENTITIES else "event_time"
    return good.select(
        "event_id",
        pl.col("event_time").alias(time),
        "kind",
        pl.col("goes_by").alias("user_id"),
        pl.when(pl.col("goes_by") != pl.col("user_id")).then("goes_by").otherwise(pl.lit("k1:own")).alias("device_id"),
        pl.lit("replay:simulator:9").alias("source_uri"),
    )


def bronze(told: Told) -> pl.DataFrame:
    return (
        told.records.select("topic", "value", "headers")
        .with_row_index("offset")
        .with_columns(
            pl.col("offset").cast(pl.Int64), pl.lit(0).cast(pl.Int32).alias("partition"), pl.lit("t").alias("topic_id")
        )
    )


def quarantine(told: Told, bronze: pl.DataFrame) -> pl.DataFrame:
    """Each refused record at its place in bronze."""
    sent = told.truth["events"].filter(pl.col("fate") != "lost")
    refused = dict(sent.filter(pl.col("fate").is_in(["quarantined", "conflict"])).select("event_id", "reasons").rows())
    ids = [event_id(headers, value) for headers, value in bronze.select("headers", "value").iter_rows()]
    rows, seen = [], set()
    for offset, found in reversed(list(enumerate(ids))):  # of an id, the conflict is the last that came
        if found in refused and found not in seen:
            seen.add(found)
            has_headers = bool(bronze["headers"][offset].len())
            rows.append((offset, refused[found], "replay:simulator:9" if has_headers else None))
    columns = {"kafka_offset": pl.Int64, "reasons": pl.List(pl.String), "source_uri": pl.String}
    where = [pl.lit("t").alias("kafka_topic_id"), pl.lit(0).cast(pl.Int32).alias("kafka_partition")]
    return pl.DataFrame(rows, schema=columns, orient="row").with_columns(where)


def event_id(headers: list[dict[str, bytes]], value: bytes | None) -> str:
    return named(headers).get("ce_id") or json.loads(value or b"{}")["event_id"]  # type: ignore[arg-type]


def books(events: pl.DataFrame) -> pl.DataFrame:
    def fate(name: str) -> pl.Expr:
        return (pl.col("fate") == name).sum().cast(pl.Int64)

    return (
        events.filter(pl.col("fate") != "lost")
        .group_by("topic")
        .agg(
            pl.len().cast(pl.Int64).alias("received"),
            fate("good").alias("accepted"),
            fate("duplicate").alias("duplicate"),
            fate("conflict").alias("conflict"),
            (fate("conflict") + fate("quarantined")).alias("quarantined"),
        )
    )


def gold(told: Told) -> Lake:
    attempts = told.truth["attempts"].with_columns(
        pseudonym("user_id"), funnel=pl.lit("content_to_purchase"), funnel_version=pl.lit(1)
    )
    openings = (
        attempts.filter(pl.col("reached") == 1)
        .group_by("user_id", "funnel", "funnel_version", entry_date="entry_day")
        .agg(pl.len().cast(pl.Int64).alias("attempt_count"), pl.col("entries").sum().alias("entry_count"))
    )
    ledger = attempts.filter(pl.col("reached") > 1).select(
        "user_id",
        "funnel",
        "funnel_version",
        "entry_at",
        "reached",
        "converted_at",
        entry_count="entries",
        deliberation_at="first_entry_at",
        is_converted=pl.col("reached") == 5,
    )
    return {
        "gold.funnel_attempts": ledger,
        "gold.funnel_openings": openings,
        "gold.funnel_daily": daily(told),
        "gold.user_profiles": profiles(told),
        **expectations(told),
    }


def expectations(told: Told) -> Lake:
    """Everybody's true taste, and a model that foretold two purchases of 50 yuan, of the two days after the first."""
    users = told.truth["users"].with_columns(pseudonym("user_id"))
    interests = users.select(
        "user_id", topic_name="top_category", topic_kind=pl.lit("category"), rank=pl.lit(1), interest=pl.lit(5)
    )
    deciles = [{"decile": n, "people": 1, "predicted": 1.0, "actual": 0} for n in (1, 2)]
    days = {"known_until": LAST_DAY - timedelta(days=2), "as_of_day": LAST_DAY}
    fit = {"model": "bg_nbd", "deciles": deciles, "recorded_at": datetime(2026, 6, 8, tzinfo=UTC)} | days
    edges = {"device_id": ["k1:a", "k1:b", "k1:b"], "is_shared": [False, True, True]}
    return {
        "silver.identity_edges": pl.DataFrame(edges),
        "gold.user_interests": interests,
        "gold.user_scores": users.select("user_id", expected_purchase_fen=pl.lit(5_000)),
        "ops.model_fits": pl.DataFrame([fit | {"recorded_at": datetime(2026, 6, 7, tzinfo=UTC), "deciles": []}, fit]),
    }


def lifecycles(told: Told) -> dict[str, str]:
    """In a world of three days nobody wakes; who was not here is judged by their registration."""
    acts = told.truth["events"].filter((pl.col("fate") == "good") & pl.col("topic").is_in(["views", "likes"]))
    seen = set(acts["counts_for"])
    found = {}
    for user, registered_at in told.truth["users"].select("user_id", "registered_at").rows():
        known = (LAST_DAY - registered_at.astimezone(ZoneInfo("Asia/Shanghai")).date()).days
        absent = 0 if user in seen else known
        found[user] = "lost" if absent >= 60 else "dormant" if absent >= 14 else "new" if known < 7 else "active"
    return found


def daily(told: Told) -> pl.DataFrame:
    tries = told.truth["attempts"].join(told.truth["users"], on="user_id", how="left")
    aside = pl.col("is_staff").fill_null(False) | (2026 - pl.col("birth_year") < 18).fill_null(False)
    rows = []
    for day in tries["entry_day"].unique():
        of_day = tries.filter(pl.col("entry_day") == day)
        for step in range(1, 6):
            got = of_day.filter(~aside & (pl.col("reached") >= step))
            set_aside = of_day.filter(aside & (step == 1))
            counts = [(part.height, part["user_id"].n_unique()) for part in (got, set_aside)]
            rows.append(("content_to_purchase", 1, day, "total", step, *counts[0], *counts[1]))
    names = ["funnel", "funnel_version", "entry_date", "breakdown", "step_number", "attempts_count", "people_count"]
    return pl.DataFrame(rows, schema=[*names, "set_aside_attempts_count", "set_aside_people_count"], orient="row")


def profiles(told: Told) -> pl.DataFrame:
    both = told.truth["users"].join(told.truth["profiles"], on="user_id")
    both = both.with_columns(pseudonym("user_id"), lifecycle=pl.col("user_id").replace_strict(lifecycles(told)))
    born = pl.col("birth_year")
    named_by_birth = (
        pl.when(born.is_null())
        .then(pl.lit("unknown"))
        .when(born <= 1966)
        .then(pl.lit("silver"))
        .when(born <= 1979)
        .then(pl.lit("gen_x"))
        .when(born <= 1994)
        .then(pl.lit("millennial"))
        .otherwise(pl.lit("gen_z"))
    )
    return both.select(
        "user_id",
        "event_count",
        "order_count",
        "region",
        "is_staff",
        "lifecycle",
        named_by_birth.alias("generation"),
        is_suspected_bot="is_bot",
        city_tier="tier",
        member_tier="member",
        acquisition_channel="channel",
        first_seen_at="first_seen",
        last_seen_at="last_seen",
        gross_gmv_fen="gross_fen",
        net_gmv_fen="net_fen",
        active_days_90d="active_days",
        completed_view_count_90d="completed_view_count",
        watch_seconds_90d=(pl.col("play_watch_ms") + pl.col("live_watch_ms")) // 1000,
        **{f"{act}_count_90d": f"{act}_count" for act in ACTS},
    )


def scored(folder: Path, lake: Lake, told: Told) -> dict[str, Result]:
    """Write a lake and score it."""
    settings = Settings(home=folder)
    for table, rows in lake.items():
        write_deltalake(settings.table_path(table), rows.to_arrow())
    return {result.check: result for result in score(settings, told.folder / "truth")}


def test_a_lake_that_holds_the_truth_has_no_differences(tmp_path: Path, ideal: Lake, told: Told) -> None:
    results = scored(tmp_path, ideal, told)
    assert {name: result.examples for name, result in results.items() if result.differences} == {}
    assert all(result.compared > 0 for result in results.values())


def shifted(column: str) -> Callable[[pl.DataFrame], pl.DataFrame]:
    return lambda rows: rows.with_columns(pl.col(column).dt.offset_by("1us"))


def with_first(rows: pl.DataFrame, column: str, value: pl.Expr) -> pl.DataFrame:
    """The rows with another value in the first of them."""
    return (
        rows.with_row_index()
        .with_columns(pl.when(pl.col("index") == 0).then(value).otherwise(column).alias(column))
        .drop("index")
    )


WRONGS: dict[
    str, tuple[str, Callable[[pl.DataFrame], pl.DataFrame], str]
] = {  # what is done to which table → the check
    "an event is missing": ("silver.views", lambda rows: rows.slice(1), "silver.views: good events once"),
    "an event is there twice": (
        "silver.likes",
        lambda rows: pl.concat([rows, rows.head(1)]),
        "silver.likes: good events once",
    ),
    "a time is not corrected": ("silver.orders", shifted("event_time"), "silver.orders: good events once"),
    "an event of somebody else": (
        "silver.orders",
        lambda rows: with_first(rows, "user_id", pl.lit("k1:x")),
        "silver.orders: good events once",
    ),
    "two names for one user": (
        "silver.users",
        lambda rows: pl.concat([rows, rows.head(1).with_columns(user_id=pl.lit("k2:x"))]),
        "silver: one pseudonym a user",
    ),
    "a video came by another way": (
        "silver.videos",
        lambda rows: pl.concat([rows, rows.head(1).with_columns(event_id=pl.lit("x"))]),
        "silver.videos: good events once",
    ),
    "another reason": (
        "silver.quarantine",
        lambda rows: with_first(rows, "reasons", pl.lit(["too_deep", "tombstone"])),
        "silver.quarantine: refused for the right reasons",
    ),
    "a refused record is lost": (
        "silver.quarantine",
        lambda rows: rows.slice(1),
        "silver.quarantine: refused for the right reasons",
    ),
    "a record did not arrive": (
        "bronze.events",
        lambda rows: rows.filter(rows["topic"] != "orders"),
        "bronze: every record arrived",
    ),
    "the books count wrongly": (
        "ops.books",
        lambda rows: rows.with_columns(pl.col("duplicate") + 1),
        "books: counts by fate",
    ),
    "an attempt went less far": (
        "gold.funnel_attempts",
        lambda rows: with_first(rows, "reached", pl.lit(4)),
        "gold.funnel_attempts: each attempt",
    ),
    "a conversion too few": (
        "gold.funnel_attempts",
        lambda rows: rows.filter(~pl.col("is_converted")),
        "gold.funnel_attempts: who converted",
    ),
    "an opening too many": (
        "gold.funnel_openings",
        lambda rows: rows.with_columns(pl.col("attempt_count") + 1),
        "gold.funnel_openings: attempts that went no further",
    ),
    "a day counts one too many": (
        "gold.funnel_daily",
        lambda rows: with_first(rows, "people_count", pl.col("people_count") + 1),
        "gold.funnel_daily: people and attempts by day and step",
    ),
    "a fen is missing": (
        "gold.user_profiles",
        lambda rows: rows.with_columns(pl.col("net_gmv_fen") - 1),
        "gold.user_profiles: what they buy",
    ),
    "a like is counted twice": (
        "gold.user_profiles",
        lambda rows: with_first(rows, "like_count_90d", pl.col("like_count_90d") + 1),
        "gold.user_profiles: what they do",
    ),
    "somebody is taken for lost": (
        "gold.user_profiles",
        lambda rows: with_first(rows, "lifecycle", pl.lit("waking")),
        "gold.user_profiles: what they do",
    ),
    "somebody moved unseen": (
        "gold.user_profiles",
        lambda rows: with_first(rows, "city_tier", pl.lit("tier_9")),
        "gold.user_profiles: who they are",
    ),
    "somebody has no profile": ("gold.user_profiles", lambda rows: rows.slice(1), "gold.user_profiles: who they are"),
}


def rounds() -> list[list[str]]:
    """Wrongs in few lakes, one for each table; a user with two names has a lake alone, for it confuses all else."""
    found: list[list[str]] = []
    for name, (table, _, _) in WRONGS.items():
        free = [names for names in found if all(WRONGS[other][0] not in (table, "silver.users") for other in names)]
        if free and table != "silver.users":
            free[0].append(name)
        else:
            found.append([name])
    return found


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory, ideal: Lake, told: Told) -> dict[str, Result]:
    """For each wrong what its check found."""
    results = {}
    for names in rounds():
        spoilt = {WRONGS[name][0]: WRONGS[name][1](ideal[WRONGS[name][0]]) for name in names}
        checked = scored(tmp_path_factory.mktemp("spoilt"), {**ideal, **spoilt}, told)
        results |= {name: checked[WRONGS[name][2]] for name in names}
    return results


@pytest.mark.parametrize("name", WRONGS)
def test_what_is_wrong_is_found(found: dict[str, Result], name: str) -> None:
    assert found[name].differences > 0
    assert found[name].examples


def test_what_only_the_simulator_knows_is_measured(tmp_path: Path, ideal: Lake, told: Told) -> None:
    """One of everything is wrong: a city tier, a lifecycle, a bot, a person taken for one, a taste."""
    users = told.truth["users"].with_columns(pseudonym("user_id"))
    bot, person = (users.filter(pl.col("is_bot") == is_bot)["user_id"][0] for is_bot in (True, False))
    odd = pl.col("user_id").is_in([bot, person])
    profiles = ideal["gold.user_profiles"].with_columns(pl.col("is_suspected_bot") ^ odd)
    profiles = with_first(with_first(profiles, "city_tier", pl.lit("x")), "lifecycle", pl.lit("waking"))
    interests = with_first(ideal["gold.user_interests"], "topic_name", pl.lit("x"))
    lake = {"gold.user_profiles": profiles, "gold.user_interests": interests}
    names = ("silver.users", "silver.identity_edges", "gold.user_scores", "ops.model_fits")
    results = scored(tmp_path, lake | {name: ideal[name] for name in names}, told)
    measured = (result.figures or {} for result in results.values() if result.figures is not None)
    segments, tastes, views, bots, value = measured
    unborn = users["birth_year"].null_count()
    assert segments == {"people": 200, "generation": 200 - unborn, "city_tier": 199, "lifecycle": 199} | {
        "all_three": segments["all_three"]
    }
    assert segments["all_three"] in (199 - unborn, 200 - unborn)
    assert tastes == {"people": 200, "first_is_true": 199, "first_three_hold_it": 199, "share_first": 0.995}
    looks = told.truth["events"].filter((pl.col("fate") == "good") & (pl.col("goes_by") != pl.col("user_id")))
    assert views["counted"] == looks["counts_for"].count() > 10
    assert views["counted_rightly"] == (looks["counts_for"] == looks["user_id"]).sum() > 10  # type: ignore[operator]
    assert (views["views"], views["people"]) == (looks.height, looks["user_id"].n_unique())
    assert (views["people_found"], views["shared_devices"]) == (looks["counts_for"].n_unique() - 1, 1)
    counted = {name: bots[name] for name in ("bots", "bots_kept_out", "people_kept_out")}
    assert counted == {"bots": users["is_bot"].sum(), "bots_kept_out": users["is_bot"].sum() - 1, "people_kept_out": 1}
    assert value == {
        "buyers": len(buyers(told)),
        "purchases_foretold": 2,
        "purchases_made": sum(buyers(told).values()),
        "purchase_fen_foretold": 5_000,
        "purchase_fen_made": value["purchase_fen_made"],
        "value_fen_foretold": 10_000,
        "value_fen_made": value["value_fen_made"],
    }


def buyers(told: Told) -> dict[str, int]:
    """Grown people who bought on the first of three days, and on how many days after it."""
    paid = told.truth["events"].filter((pl.col("fate") == "good") & (pl.col("kind") == "paid"))
    days: dict[str, set[date]] = {}
    for user, at in paid.select("user_id", "event_time").rows():
        days.setdefault(user, set()).add(at.astimezone(ZoneInfo("Asia/Shanghai")).date())
    grown = told.truth["users"].filter(~pl.col("is_bot") & ((2026 - pl.col("birth_year") >= 18).fill_null(True)))
    return {user: len(days[user]) - 1 for user in grown["user_id"]
            if LAST_DAY - timedelta(days=2) in days.get(user, set())}  # fmt: skip


def test_what_is_not_foretold_yet_is_no_difference(tmp_path: Path, ideal: Lake, told: Told) -> None:
    results = scored(tmp_path, {"silver.users": ideal["silver.users"]}, told)
    foretold = results["gold.user_scores: lifetime value foretold and made"]
    assert (foretold.differences, foretold.examples) == (0, ("gold.user_scores is not there",))


def test_a_table_that_is_not_there_is_a_difference(tmp_path: Path, ideal: Lake, told: Told) -> None:
    results = scored(tmp_path, {name: rows for name, rows in ideal.items() if name != "gold.user_profiles"}, told)
    assert results["gold.user_profiles: what they buy"].examples == ("gold.user_profiles is not there",)


def test_a_truth_of_before_anonymous_views_is_refused(tmp_path: Path, told: Told) -> None:
    for table, rows in told.truth.items():
        (tmp_path / table).mkdir()
        rows.drop("counts_for", strict=False).write_parquet(tmp_path / table / "0.parquet")
    (tmp_path / "world.json").write_bytes((told.folder / "truth" / "world.json").read_bytes())
    with pytest.raises(UsageError, match="simulate the world anew"):
        score(Settings(home=tmp_path), tmp_path)


def test_the_newest_truth_is_taken_unless_another_is_named(tmp_path: Path, told: Told) -> None:
    with pytest.raises(UsageError, match="simulate"):
        truth_folder(Settings(home=tmp_path), None)
    with pytest.raises(UsageError, match=r"world\.json"):
        truth_folder(Settings(home=tmp_path), tmp_path)
    assert truth_folder(Settings(home=tmp_path), told.folder / "truth") == told.folder / "truth"
