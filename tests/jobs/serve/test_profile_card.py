"""`reelhouse profile`: found by raw id or pseudonym, as known now or then, and printed for people or programs."""

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import KeyFileError, UsageError
from jobs.lake.identity import ensure_key_file, pseudonym_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, publish
from jobs.lake.settings import Settings
from jobs.serve.profile_card import card, find_profile
from tests.jobs.serve.filled import filled

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
TABLES = ("gold.user_profiles", "gold.user_profiles_history", "gold.user_interests")
EDGES = "silver.identity_edges"
PHONE, TABLET = (f"k1:{digits}{'0' * 24}" for digits in ("0a1b2c3d", "4e5f6a7b"))
SPENT = {
    "order_count": 2,
    "order_count_90d": 2,
    "gross_gmv_fen": 123_456,
    "net_gmv_fen": 100_000,
    "net_gmv_fen_90d": 5,
    "average_order_value_fen": 61_728,
    "returned_order_count": 1,
    "first_order_at": AT,
    "last_order_at": AT,
}
ANN = {
    "generation": "gen_z",
    "lifecycle": "waking",
    "is_registered": True,
    "registered_on": date(2025, 1, 2),
    "region": "Yunnan",
    "consent": ["personalisation"],
    "first_seen_at": AT,
    "last_seen_at": AT,
    "event_count": 7,
    "watch_seconds_7d": 3_725,
    "preferred_scene": "live",
    "habit_hour": 21,
    "preferred_categories": ["beauty"],
    "top_interests": ["tag:new"],
}
SCORED = {
    "recency_score": 5,
    "frequency_score": 4,
    "monetary_score": 3,
    "value_tier": "high",
    "alive_ppm": 956_000,
    "expected_purchases_90d_ppm": 1_250_000,
    "expected_value_90d_fen": 123_456,
}
OLD_ANN = ANN | {"lifecycle": "dormant", "top_interests": ["tag:old"]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake where two people's profiles were published, one of them twice."""
    made = Settings(home=tmp_path_factory.mktemp("home"))
    ensure_key_file(made.keys_path)
    ann, bob = pseudonym_of("u-ann", made.keys_path), pseudonym_of("u-bob", made.keys_path)
    tag = {"user_id": ann, "topic_kind": "tag", "interest": Decimal(2**40), "tile_count": 3}
    rows = {
        "gold.user_profiles": [ANN | SPENT | {"user_id": ann}, {"user_id": bob, "unmatched_refund_count": 2}],
        "gold.user_profiles_history": [
            OLD_ANN | {"user_id": ann, "known_from": AT},
            ANN | SPENT | {"user_id": ann, "known_from": AT + timedelta(hours=2)},
        ],
        "gold.user_interests": [
            tag | {"topic_name": "new", "rank": 1, "share_ppm": 750_000},
            tag | {"topic_name": "sale", "rank": 2, "share_ppm": 250_000},
            tag | {"topic_name": "bad", "rank": 3, "share_ppm": 0},
        ],
    }
    visit = {"user_id": ann, "ended_at": AT + timedelta(minutes=90), "watch_ms": 125_999, "entry_scene": "live",
             "entry_source": "social", "entry_kind": "play", "event_count": 9}  # fmt: skip
    rows["silver.sessions"] = [visit | {"started_at": AT + timedelta(hours=hours)} for hours in (0, 1, -5, -9)]
    rows["gold.user_scores"] = [SCORED | {"user_id": ann}, SCORED | dict.fromkeys(SCORED) | {"user_id": bob}]
    for name, found in rows.items():
        Ledger(made).append(name, [filled(made, name, row) for row in found])
    ledger, phone = Ledger(made), {"user_id": ann, "device_id": PHONE, "device_user_count": 1, "first_seen_at": AT}
    ledger.append(EDGES, [filled(made, EDGES, phone)])
    first = [_line(ledger, name) for name in (*TABLES, EDGES)]
    publish(ledger, "profiles", 1, first)
    tablet = {"device_id": TABLET, "device_user_count": 2, "is_shared": True}
    ledger.append(EDGES, [filled(made, EDGES, tablet | {"user_id": user}) for user in (ann, bob)])
    later = replace(_line(ledger, EDGES), release_id="profiles-000002", known_from=AT + timedelta(hours=2))
    publish(ledger, "profiles", 2, [*(replace(line, release_id=later.release_id, known_from=later.known_from)
                                      for line in first[:-1]), later])  # fmt: skip
    for family, name in (("sessions", "silver.sessions"), ("scores", "gold.user_scores")):
        publish(
            Ledger(made), family, 1, [replace(_line(Ledger(made), name), release_id=f"{family}-000001", family=family)]
        )
    return made


def test_the_card_tells_the_last_visits_and_what_is_expected(settings: Settings) -> None:
    found = find_profile(settings, "u-ann", None)
    assert [row["started_at"].hour for row in found["sessions"]] == [2, 1, 20]
    told = _printed(found)
    for words in (
        "2026-06-08 01:00",
        "90",
        "play · live · social",
        "2:05",
        "value high (RFM 543)",
        "still with us at 96 %",
        "1.25 purchases expected in 90 days",
        "worth ¥1,234.56",
    ):
        assert words in told
    assert "2026-06-07 16:00" not in told


def test_of_who_did_not_agree_nothing_is_foretold(settings: Settings) -> None:
    told = _printed(find_profile(settings, "u-bob", None))
    assert "value" not in told
    assert "expected" not in told
    assert "last visits" not in told


def test_a_past_time_knows_no_visits_and_no_scores(settings: Settings) -> None:
    then = find_profile(settings, "u-ann", AT + timedelta(hours=99))
    assert "sessions" not in then
    assert "scores" not in then
    assert "last visits" not in _printed(then)


@pytest.mark.parametrize(
    ("hours", "known"), [(0, [PHONE]), (1, [PHONE]), (2, [PHONE, TABLET]), (None, [PHONE, TABLET])]
)
def test_devices_are_those_known_then(settings: Settings, hours: int | None, known: list[str]) -> None:
    found = find_profile(settings, "u-ann", None if hours is None else AT + timedelta(hours=hours))
    assert [row["device_id"] for row in found["devices"]] == known
    told = _printed(found)
    assert "1 device tied: k1:0a1b2c3d… since 2026-06-08\n" in told
    assert ("1 shared, tying nothing: k1:4e5f6a7b… by 2 users" in told) == (TABLET in known)


def test_of_many_devices_the_card_names_the_first(settings: Settings) -> None:
    (phone,) = find_profile(settings, "u-ann", AT)["devices"]
    told = _printed(find_profile(settings, "u-bob", None) | {"devices": [phone] * 7})
    assert "7 devices tied: k1:0a1b2c3d…" in told
    assert "2 more" in told
    assert "shared" not in told


def test_devices_whose_files_are_gone_are_not_taken_for_none(settings: Settings, tmp_path: Path) -> None:
    lost = settings.model_copy(update={"home": tmp_path / "lost"})
    copytree(settings.home, lost.home)
    for file in Path(lost.table_path(EDGES)).glob("*.parquet"):
        file.unlink()
    then = find_profile(lost, "u-ann", AT)
    assert (then["devices"], then["lifecycle"]) == (None, "dormant")
    assert "devices of then: not kept so long" in _printed(then)


def test_before_the_other_families_are_published_a_profile_is_there(tmp_path: Path) -> None:
    made = Settings(home=tmp_path)
    ensure_key_file(made.keys_path)
    ann = pseudonym_of("u-ann", made.keys_path)
    Ledger(made).append("gold.user_profiles", [filled(made, "gold.user_profiles", ANN | {"user_id": ann})])
    publish(Ledger(made), "profiles", 1, [_line(Ledger(made), name) for name in TABLES if Ledger(made).open(name)])
    found = find_profile(made, "u-ann", None)
    assert (found["devices"], found["sessions"], found["scores"]) == ([], [], [])
    assert "last visits" not in _printed(found)


def test_a_raw_id_and_its_pseudonym_find_the_same(settings: Settings) -> None:
    found = find_profile(settings, "u-ann", None)
    assert found == find_profile(settings, found["user_id"], None)
    assert found["lifecycle"] == "waking"
    assert [row["topic_name"] for row in found["interests"]] == ["new", "sale", "bad"]


@pytest.mark.parametrize(("hours", "state"), [(0, "dormant"), (1, "dormant"), (2, "waking"), (99, "waking")])
def test_as_of_a_time_it_is_what_was_known_then(settings: Settings, hours: int, state: str) -> None:
    assert find_profile(settings, "u-ann", AT + timedelta(hours=hours))["lifecycle"] == state


def test_before_the_first_release_nothing_was_known(settings: Settings) -> None:
    with pytest.raises(UsageError, match="known at 2026-06-08T00:59:59.*; the first was released at 2026-06-08T01:"):
        find_profile(settings, "u-ann", AT - timedelta(seconds=1))


def test_an_unknown_person_is_named_by_pseudonym_only(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no profile of k1:") as refusal:
        find_profile(settings, "u-secret", None)
    assert "u-secret" not in str(refusal.value)


def test_without_the_key_raw_ids_lead_nowhere(settings: Settings, tmp_path: Path) -> None:
    lost = settings.model_copy(update={"key_file": tmp_path / "lost.json"})
    with pytest.raises(KeyFileError, match="lost.json"):
        find_profile(lost, "u-ann", None)


def test_the_card_tells_the_story(settings: Settings) -> None:
    told = _printed(find_profile(settings, "u-ann", None))
    for words in (
        "waking",
        "gen_z · Yunnan",
        "registered 2025-01-02",
        "consent: personalisation",
        "1:02:05",
        "¥1,234.56",
        "average order ¥617.28",
        "1 of 2 returned",
        "found in live · around 21:00",
        "buys beauty",
        "75.0 %",
    ):
        assert words in told
    assert "bad" not in told


def test_the_card_names_what_is_odd_and_what_is_missing(settings: Settings) -> None:
    told = _printed(find_profile(settings, "u-bob", None))
    assert "2 refunds without a payment" in told
    assert "not registered" in told
    assert "no order paid" in told


def test_an_old_card_names_the_interests_of_then(settings: Settings) -> None:
    assert "likes tag:old" in _printed(find_profile(settings, "u-ann", AT))


def test_json_is_an_array_of_one_object(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    result = CliRunner().invoke(build_app(), ["profile", "u-ann", "--format", "json"])
    assert result.exit_code == 0, result.output
    (row,) = json.loads(result.stdout)
    assert (row["gross_gmv_fen"], row["interests"][0]["interest"]) == (123_456, str(2**40))
    assert [(one["device_id"], one["is_shared"]) for one in row["devices"]] == [(PHONE, False), (TABLET, True)]


def _printed(profile: dict[str, Any]) -> str:
    console = Console(width=120, file=StringIO())
    console.print(card(profile))
    return console.file.getvalue()  # type: ignore[attr-defined]


def _line(ledger: Ledger, table: str) -> Publication:
    return Publication(
        release_id="profiles-000001",
        family="profiles",
        table=table,
        version=ledger.version(table),
        slices=(),
        ingest_seq=1,
        watermark=None,
        contract_version="1.0.0",
        verdict="passed",
        run_id="r",
        known_from=AT,
        rows=1,
    )
