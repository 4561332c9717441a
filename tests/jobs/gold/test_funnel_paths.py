"""gold.funnel_paths tells what people did on their way, and after it ended."""

from __future__ import annotations

import pytest

from jobs.definitions.funnel.language import parse_definition
from jobs.definitions.funnel.vocabulary import ACTS
from jobs.gold import funnel_attempts, funnel_paths
from jobs.gold.funnel_paths import TOP

WAY = parse_definition(
    """
name: way
version: 1
window: 1h
steps:
  - {name: watched,    event: play}
  - {name: considered, event: product_view}
  - {name: ordered,    event: order_placed}
""",
    "way.yaml",
)
SKIPPING = parse_definition(
    """
name: skipping
version: 1
window: 1h
steps:
  - {name: searched,   event: search}
  - {name: considered, event: product_view}
  - {name: left,       event: live_enter}
optional: [considered]
""",
    "skipping.yaml",
)
ANYHOW = parse_definition(
    """
name: anyhow
version: 1
mode: unordered
window: 1h
steps:
  - {name: reported, event: report}
  - {name: searched, event: search}
""",
    "anyhow.yaml",
)
MANY = ("comment", "favourite", "follow", "like", "not_interested", "report", "share", "unfavourite", "unfollow",
        "unlike", "add_to_cart", "remove_from_cart")  # fmt: skip
STORIES = {
    "straight on": "view 10:00, product_view 10:10, order 10:20",
    "liked twice on the way": "view 10:00, like 10:01, like 10:02, impression 10:03, product_view 10:10, "
    "comment 10:11, order 10:20, share 10:21",
    "dropped, then liked": "view 10:00, product_view 10:10, like 10:30, comment 11:00, share 11:00:01",
    "at the very instants": "view 10:00, like 10:00, like 10:10, product_view 10:10, order 10:20",
    "skipped": "search 12:00, like 12:01, live_enter 12:02, like 12:03",
    "either way round": "search 13:00, comment 13:01, report 13:02, share 13:03",
    "did everything": "view 14:00, " + ", ".join(f"{act} 14:0{n % 9 + 1}" for n, act in enumerate(MANY))
    + ", product_view 14:20, order 14:30",
    "of the staff": "view 10:00, follow 10:05, product_view 10:10",
}  # fmt: skip


@pytest.fixture(scope="module")
def ledger(told, table):  # type: ignore[no-untyped-def]
    silver = told(STORIES)
    staff = [{"user_id": "of the staff", "is_staff": True, "valid_from": silver["views"].first().event_time,
              "is_current": True, "is_deleted": False, "is_superseded": False}]  # fmt: skip
    return funnel_attempts.build(
        funnel_attempts.judge(
            silver["views"], silver["likes"], silver["orders"], table("silver.videos", []),
            table("silver.users", staff), [WAY, SKIPPING, ANYHOW],
        )
    ).persist()  # fmt: skip


@pytest.fixture(scope="module")
def acts(ledger):  # type: ignore[no-untyped-def]
    return {(row.funnel, row.user_id): row.acts_after for row in ledger.collect()}


@pytest.fixture(scope="module")
def paths(ledger):  # type: ignore[no-untyped-def]
    rows = funnel_paths.build(ledger).collect()
    return {(r.funnel, r.step_number, r.path_outcome, r.act): r for r in rows}


def test_an_act_counts_once_between_two_steps_and_nothing_follows_a_conversion(acts):
    assert acts["way", "straight on"] == [[], [], None]
    assert acts["way", "liked twice on the way"] == [["like"], ["comment"], None]


def test_whoever_drops_out_is_followed_to_the_last_microsecond_of_the_window(acts):
    assert acts["way", "dropped, then liked"] == [[], ["comment", "like"]]


def test_an_act_at_the_instant_of_a_step_is_not_between(acts):
    assert acts["way", "at the very instants"] == [[], [], None]


def test_a_skipped_step_has_no_acts_of_its_own(acts):
    assert acts["skipping", "skipped"] == [["like"], None, None]


def test_in_an_unordered_funnel_the_steps_are_taken_as_they_came(acts):
    assert acts["anyhow", "either way round"] == [["comment"], None]


def test_shares_are_of_the_attempts_that_came_so_far(paths):
    row = paths["way", 1, "went_on", "like"]
    assert (row.attempts_count, row.share_base_count) == (2, 5)
    assert paths["way", 2, "dropped", "like"].share_base_count == 1


def test_those_who_did_nothing_are_told_too(paths):
    assert paths["way", 1, "went_on", "(none)"].attempts_count == 3


def test_the_rarest_are_put_together_and_counted_once(paths):
    named = {key[3]: row.act_rank for key, row in paths.items() if key[:3] == ("way", 1, "went_on")}
    assert sorted(rank for rank in named.values() if rank) == list(range(1, TOP + 1))
    assert named["like"] == 1
    assert set(MANY) - set(named) == {"unfollow", "unlike"}  # as frequent as others, and last by name
    assert paths["way", 1, "went_on", "(other)"].attempts_count == 1


def test_staff_are_not_followed(paths):
    assert ("way", 1, "went_on", "follow") in paths
    assert paths["way", 1, "went_on", "follow"].attempts_count == 1


def test_acts_are_all_events_but_what_is_merely_shown(settings):
    from jobs.definitions.funnel.vocabulary import event_names

    assert {*ACTS, "impression"} == set(event_names(settings.schemas_dir))
