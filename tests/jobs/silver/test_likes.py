"""silver.likes: what people thought of it."""

import pytest

from jobs.silver.likes import build

BODIES = {
    1: {},
    2: {"kind": "share", "share_channel": "chat"},
    3: {"kind": "add_to_cart", "video_id": None, "product_id": "p1"},
    4: {"video_id": None},
    5: {"kind": "adored"},
    6: {"kind": "comment", "comment_length": 12},
}


@pytest.fixture(scope="module")
def likes(facts):
    return facts(build, "likes", BODIES)


def test_each_kind_keeps_its_object(likes):
    assert {n: (row.kind, row.video_id, row.product_id) for n, row in likes.items()} == {
        1: ("like", "v1", None),
        2: ("share", "v1", None),
        3: ("add_to_cart", None, "p1"),
        6: ("comment", "v1", None),
    }


def test_an_act_on_nothing_and_an_unknown_kind_are_refused(likes):
    assert {4, 5} & set(likes) == set()


def test_what_only_some_kinds_carry_is_kept(likes):
    assert (likes[2].share_channel, likes[6].comment_length) == ("chat", 12)
