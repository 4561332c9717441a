"""A simulated world is the same each time, keeps the contracts, is plausible, and its truth adds up."""

from collections import Counter
from datetime import date
from pathlib import Path

import orjson
import polars as pl
import pytest

from jobs.lake.event_validator import validator
from jobs.lake.settings import ROOT
from jobs.simulate.deliver import Files, Nowhere
from jobs.simulate.run import Plan, simulate
from jobs.simulate.truth import TruthFolder
from tests.jobs.simulate.conftest import LAST_DAY, Told, named, tell

SHARES = {  # what of all records a tidy world's kind should be, at least and at most
    "impression": (0.30, 0.55),
    "play": (0.22, 0.45),
    "product_view": (0.02, 0.09),
    "like": (0.02, 0.10),
    "placed": (0.003, 0.02),
    "paid": (0.002, 0.02),
    "refunded": (0.0002, 0.004),
}


def digest(folder: Path) -> dict[str, bytes]:
    """Every file's bytes by its place."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_makes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    plan = Plan(60, 2, 3, LAST_DAY, "Asia/Shanghai", "wild")
    for name in ("once", "again"):
        tell(tmp_path / name, plan)
    tell(tmp_path / "other", Plan(60, 2, 4, LAST_DAY, "Asia/Shanghai", "wild"))
    once, again, other = (digest(tmp_path / name) for name in ("once", "again", "other"))
    assert once == again
    assert once.keys() != other.keys() or all(once[name] != other[name] for name in once)


def test_good_bodies_keep_the_contracts(wild: Told, tidy: Told) -> None:
    broken = set(wild.truth["events"].filter(pl.col("breakage").is_not_null())["event_id"])
    for told, spoilt in ((wild, broken), (tidy, set())):
        checked: Counter[str] = Counter()
        for topic, value, told_headers in (
            told.records.select("topic", "value", "headers").sample(12_000, seed=1).iter_rows()
        ):
            headers = named(told_headers)
            if value is None or not headers or headers["ce_id"] in spoilt:
                continue
            body = orjson.loads(value)
            assert list(validator(topic, 1, ROOT / "schemas").faults(body)) == [], (topic, body)
            assert body["event_id"] == headers["ce_id"]
            checked[topic] += 1
        assert set(checked) >= {"views", "likes", "orders", "users", "videos"}


def test_a_record_is_keyed_by_its_user_or_entity(tidy: Told) -> None:
    keys = {"views": "user_id", "likes": "user_id", "orders": "user_id", "users": "user_id", "videos": "video_id",
            "products": "product_id", "merchants": "merchant_id", "control": "source"}  # fmt: skip
    for topic, key, value in tidy.records.select("topic", "key", "value").sample(5_000, seed=2).iter_rows():
        assert value is None or orjson.loads(value)[keys[topic]] == key.decode()


def test_anonymous_views_go_by_their_device_and_count_for_its_only_user(tmp_path: Path) -> None:
    """Told again from the bodies sent: who acted on which device, and what went before the first of it."""
    told = tell(tmp_path, Plan(200, 3, 10, LAST_DAY, "Asia/Shanghai", "none"))  # with a shared device among them
    facts = told.records.filter(pl.col("topic").is_in(["views", "likes", "orders"]))
    bodies = [orjson.loads(value) for value in facts["value"]]
    not_own = ("shipped", "delivered", "cancelled", "returned", "refunded")
    users: dict[str, dict[str, int]] = {}
    for body in sorted(bodies, key=lambda body: -body["event_time"]):
        if body["user_id"] != body["device_id"] and body["kind"] not in not_own:
            users.setdefault(body["device_id"], {})[body["user_id"]] = body["event_time"]
    expected = {}
    for body in bodies:
        if body["user_id"] == body["device_id"]:
            seen = users.get(body["device_id"], {})
            expected[body["event_id"]] = next((u for u, at in seen.items() if body["event_time"] < at), None)
            if len(seen) > 1:
                expected[body["event_id"]] = None
    looks = told.truth["events"].filter(pl.col("goes_by") != pl.col("user_id"))
    assert dict(looks.select("event_id", "counts_for").rows()) == expected
    assert None in expected.values()
    assert looks["counts_for"].n_unique() > 3
    assert set(looks["topic"]) == {"views"}
    born = looks.join(told.truth["users"], on="user_id")
    assert (born["registered_at"] > told.truth["events"]["event_time"].min()).all()


def test_the_mix_is_plausible(tidy: Told) -> None:
    kinds = Counter(tidy.truth["events"]["kind"].to_list())
    total = sum(kinds.values())
    assert {kind: low <= kinds[kind] / total <= high for kind, (low, high) in SHARES.items()} == dict.fromkeys(
        SHARES, True
    )
    assert 240_000 < total < 360_000


def test_an_order_walks_its_way_in_order(tidy: Told) -> None:
    orders = tidy.truth["events"].filter(pl.col("topic") == "orders")
    counts = Counter(orders["kind"].to_list())
    assert counts["placed"] > counts["paid"] > counts["shipped"] > counts["delivered"] > counts["reviewed"] > 0
    assert counts["delivered"] > counts["return_requested"] >= counts["returned"] > 0


def test_the_experiment_lifts_as_declared(tidy: Told) -> None:
    views = tidy.truth["events"].filter(pl.col("kind").is_in(["play", "product_view"])).join(
        tidy.truth["users"].select("user_id", "arm", "is_bot"), on="user_id")  # fmt: skip
    counted = views.filter(~pl.col("is_bot")).group_by("arm", "kind").len().rows()
    by = {(arm, kind): count for arm, kind, count in counted}
    rates = {arm: by[arm, "product_view"] / by[arm, "play"] for arm in ("control", "treatment")}
    assert 1.02 < rates["treatment"] / rates["control"] < 1.45  # views opened in the mall are not lifted


def test_people_come_back_and_some_never_buy(tidy: Told) -> None:
    profiles = tidy.truth["profiles"]
    assert 0.02 < (profiles["order_count"] > 1).mean() < 0.5  # type: ignore[operator]
    assert (profiles["order_count"] == 0).mean() > 0.2  # type: ignore[operator]
    assert (profiles["net_fen"] <= profiles["gross_fen"]).all()


def test_interest_follows_taste_and_price_matters(tidy: Told) -> None:
    conversions = tidy.truth["conversions"]
    assert 0.02 < conversions["is_converted"].mean() < 0.6  # type: ignore[operator]
    reached = Counter(conversions["reached"].to_list())
    assert all(reached[step] > 0 for step in range(1, 6))


def test_bots_watch_nothing_and_buy_nothing(tidy: Told) -> None:
    bots = tidy.truth["profiles"].join(tidy.truth["users"].filter(pl.col("is_bot")).select("user_id"), on="user_id")
    assert bots.height >= 2
    assert bots["order_count"].sum() == 0
    assert bots["play_count"].sum() > 4 * tidy.truth["profiles"]["play_count"].mean() * bots.height  # type: ignore[operator]


def test_fake_orders_come_without_a_look_at_the_product(tidy: Told) -> None:
    fakers = tidy.truth["users"].filter(pl.col("is_faker")).join(tidy.truth["profiles"], on="user_id")
    assert (fakers["order_placed_count"] >= 5).all()


def test_an_aim_for_events_is_met_roughly(tmp_path: Path) -> None:
    plan = Plan(400, 3, 1, LAST_DAY, "Asia/Shanghai", "none", events=60_000)
    outcome = simulate(plan, Nowhere(), TruthFolder(tmp_path / "truth"))
    assert 45_000 < outcome.sent < 75_000


def test_blocks_of_users_make_one_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobs.simulate.run.BLOCK_EVENTS", 5_000)
    told = tell(tmp_path, Plan(300, 2, 2, LAST_DAY, "Asia/Shanghai", "mild"))
    assert len(list((tmp_path / "truth" / "users").iterdir())) > 2
    assert told.truth["users"]["user_id"].n_unique() == told.truth["users"].height == 300
    assert told.truth["events"].filter(pl.col("fate") == "good")["event_id"].is_unique().all()


def test_speed_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = simulate(Plan(2_000, 7, 7, date(2026, 6, 7), "Asia/Shanghai"), Nowhere(), TruthFolder(tmp_path / "truth"))
    with capsys.disabled():
        print(f"\n  simulator: {outcome.rate:,.0f} records a second of one core ({outcome.sent:,} records)")  # noqa: T201
    assert outcome.sent > 0


def test_files_are_not_mixed_with_what_is_there(tmp_path: Path) -> None:
    from jobs.lake.errors import UsageError

    (tmp_path / "something").touch()
    with pytest.raises(UsageError, match="not empty"):
        Files(tmp_path, "replay:simulator:1", 1)
