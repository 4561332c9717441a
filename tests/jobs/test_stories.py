"""The fixtures say what a test means: contract-typed rows and stories in a sentence."""

import pytest

from jobs.lake.errors import ContractError


def test_a_story_becomes_silver_rows_at_local_time(told):
    facts = told({"bought": "view 10:00, like 10:05:30 video_id=v1, placed +1d 00:10"})
    assert [row.watch_ms for row in facts["views"].collect()] == [10_000]
    like = facts["likes"].collect()[0]
    assert (like.user_id, like.video_id, like.device_id) == ("bought", "v1", None)
    order = facts["orders"].selectExpr("order_id", "string(event_time)", "string(event_date)").collect()[0]
    assert tuple(order) == ("order of bought", "2026-03-02 16:10:00", "2026-03-03")


def test_a_column_the_contract_does_not_promise_fails(table):
    with pytest.raises(ContractError, match=r"silver\.views has no column 'dwell'"):
        table("silver.views", [{"dwell": 3}])


def test_a_word_that_is_no_act_fails(told):
    with pytest.raises(ValueError, match="'juggle' is no kind"):
        told({"odd": "juggle 10:00"})
