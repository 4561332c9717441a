"""The producer's validator: good bodies pass quickly, bad ones are told in one line each."""

import pytest

from jobs.lake.event_contracts import all_topics, event_contract
from jobs.lake.event_validator import validator
from jobs.lake.settings import ROOT
from tests.jobs.lake.bodies import bodies

SCHEMAS = ROOT / "schemas"
TOPICS = all_topics(SCHEMAS)
LIKE = {
    "event_id": "019caeb0-7a80-7004-8a5b-0242ac120004", "event_time": 1, "sent_time": 2, "kind": "like",
    "producer": {"id": "app", "epoch": 1, "seq": 1}, "user_id": "u-1", "video_id": "v-1", "scene": "live",
    "source": "paid",
}  # fmt: skip
WRONG = {  # what is wrong with a like -> the reasons told
    "nothing": ({}, []),
    "a new field": ({"mood": {"deep": [None]}}, []),
    "an optional null": ({"device_id": None}, []),
    "a required null": ({"user_id": None}, ["missing:user_id"]),
    "a number for a text": ({"user_id": 5}, ["wrong_type:user_id"]),
    "a truth for a number": ({"event_time": True}, ["wrong_type:event_time"]),
    "a fraction": ({"comment_length": 5.0}, ["wrong_type:comment_length"]),
    "more than 64 bits": ({"comment_length": 2**64}, ["wrong_type:comment_length"]),
    "a kind as list": ({"kind": ["like"]}, ["wrong_type:kind"]),
    "an id in capitals": ({"event_id": LIKE["event_id"].upper()}, ["bad_event_id"]),
    "an id and a line break": ({"event_id": LIKE["event_id"] + "\n"}, ["bad_event_id"]),
    "no producer": ({"producer": None}, ["missing:producer"]),
    "half a producer": (
        {"producer": {"id": ""}},
        ["empty:producer.id", "missing:producer.epoch", "missing:producer.seq"],
    ),
    "nothing liked": ({"video_id": None}, ["no_object"]),
    "a cart without product": ({"kind": "add_to_cart"}, ["missing:product_id"]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name):
    change, reasons = WRONG[name]
    assert sorted(fault.reason for fault in validator("likes", 1, SCHEMAS).faults(LIKE | change)) == sorted(reasons)


@pytest.mark.parametrize("body", [None, [], "{}", 5])
def test_what_is_no_object_is_refused(body):
    assert [fault.reason for fault in validator("likes", 1, SCHEMAS).faults(body)] == ["wrong_type:body"]


def test_a_fault_is_one_line_with_field_rule_and_remedy_and_without_the_value():
    (fault,) = validator("likes", 1, SCHEMAS).faults(LIKE | {"user_id": "secret" * 50})
    assert str(fault) == "user_id: must have at most 128 characters [too_long:user_id]; shorten it"


@pytest.mark.parametrize("topic", TOPICS)
def test_the_quick_answer_is_the_thorough_one(topic):
    """The compiled check and jsonschema agree on bodies with wrong types, nulls and values over every limit."""
    check = validator(topic, 1, SCHEMAS)
    made = list(bodies(event_contract(topic, 1, SCHEMAS), seed=11, count=400, wrong_types=True))
    assert [body for body in made if check.is_valid(body) != (not list(check.thorough(body)))] == []
    assert 40 < sum(map(check.is_valid, made)) < 360
