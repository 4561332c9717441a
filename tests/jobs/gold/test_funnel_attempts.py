"""gold.funnel_attempts tells what each shopper did, and undoes what was undone."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from jobs.definitions.funnel.language import parse_definition
from jobs.gold import funnel_attempts
from tests.jobs.gold.funnel_stories import outcomes

MINUTE = 60_000_000
REACHED = {  # story -> furthest step of the shop's funnel; those at the first step are not in the ledger
    "bought": "paid",
    "bought after a second look": "paid",
    "came back two days later": "interested",
    "paid a second too late": "ordered",
    "paid on the last second": "paid",
    "changed their mind": "paid",
    "gave half back": "paid",
    "gave all back in two": "paid",
    "of the staff": "interested",
}


@pytest.fixture(scope="module")
def ledger(told, table):  # type: ignore[no-untyped-def]
    rows = funnel_attempts.build(outcomes(told, table)).collect()
    return {(row.funnel, row.user_id): row for row in rows}


@pytest.fixture(scope="module")
def shop(ledger):  # type: ignore[no-untyped-def]
    return {user: row for (funnel, user), row in ledger.items() if funnel == "content_to_purchase"}


def test_only_those_who_went_on_are_in_the_ledger(shop):
    assert {user: row.reached_step for user, row in shop.items()} == REACHED


def test_the_last_look_decides_and_the_first_deliberates(shop):
    row = shop["bought after a second look"]
    assert (row.decision_us, row.deliberation_us, row.entry_count) == (4 * MINUTE, 34 * MINUTE, 2)
    assert row.deliberation_event_id < row.entry_event_id


def test_a_new_try_days_later_is_another_attempt(shop):
    assert shop["came back two days later"].entry_date == date(2026, 3, 4)


def test_every_step_names_its_event(shop):
    row = shop["bought"]
    assert len(set(row.step_event_ids)) == 5
    assert (row.step_times[0], row.step_times[-1]) == (row.entry_at, row.converted_at)


def test_cancelling_and_giving_all_back_undo_the_conversion(shop):
    undone = {user for user, row in shop.items() if row.reversed_at}
    assert undone == {"changed their mind", "gave all back in two"}
    assert shop["gave all back in two"].reversed_at == datetime.fromisoformat("2026-03-05T02:00")


def test_staff_are_set_aside(shop):
    assert {user for user, row in shop.items() if row.set_aside != "(none)"} == {"of the staff"}


def test_breakdowns_are_those_of_the_entry(shop):
    assert shop["bought"].breakdowns == {
        "scene": "short_video", "source": "recommend", "content_kind": "(none)", "generation": "gen_z",
        "city_tier": "tier_3",
    }  # fmt: skip


def test_several_funnels_come_from_one_pass(ledger):
    paid = {user for (funnel, user), row in ledger.items() if funnel == "checkout" and row.is_converted}
    assert paid == {
        "bought",
        "bought after a second look",
        "changed their mind",
        "gave half back",
        "gave all back in two",
        "bought twice",
        "of the staff",
    }
    assert ledger["checkout", "bought"].hold_key == '{"order_id":"order of bought"}'


TAPS = parse_definition(
    """
name: taps
version: 1
window: 30m
steps:
  - {name: watched, event: play, where: "is_valid_view", distinct: true}
  - {name: liked,   event: like}
""",
    "taps.yaml",
)


def test_what_fills_no_step_can_be_what_a_double_tap_repeats(told, table):
    """Rule 22 knows of no `where`: a play too short to count, and the same video again within a second."""
    silver = told(
        {
            "within a second": "play 10:00 watch_ms=900 duration_ms=60000, view 10:00:01, like 10:05",
            "later": "play 10:00 watch_ms=900 duration_ms=60000, view 10:00:02, like 10:05",
            "another video": "play 10:00 watch_ms=900 duration_ms=60000, view 10:00:01 video_id=other, like 10:05",
        }
    )
    nobody, nothing = table("silver.users", []), table("silver.videos", [])
    judged = funnel_attempts.judge(silver["views"], silver["likes"], silver["orders"], nothing, nobody, [TAPS])
    rows = funnel_attempts.build(judged).collect()
    assert {row.user_id: row.reached_step for row in rows} == {"later": "liked", "another video": "liked"}
