"""A second version of an event contract says how its fields lie in silver, or is told what is wrong with it."""

import json

import pytest

from jobs.lake.contracts import contract
from jobs.lake.event_contracts import event_contract
from jobs.lake.event_validator import validator
from jobs.lake.event_versions import contracts_of, held_fields, unpromised_fields
from jobs.lake.promises.docs import pages
from jobs.lake.promises.events import check_events

KEPT = {"type": "integer", "x-silver": "comment_length"}
PERSON = {"$ref": "../envelope/v1.json#/$defs/person"}
WRONG = {  # what v2 has besides -> what is told
    "a field of another type": ({"comment_length": {"type": "string"}},
                                "v2.json: comment_length: is string, an older version has bigint"),
    "no such column": ({"words": {"type": "integer", "x-silver": "word_count"}}, "words: silver.likes has no such"),
    "one name for two": ({"words": KEPT}, "v2.json: comment_length: is x-silver of one field and another's too"),
    "a person by another name": ({"person": PERSON | {"x-silver": "user_id"}}, "v2.json: person: x-silver: the env"),
    "a person without a column": ({"friend_id": PERSON}, "v2.json: friend_id: silver.likes has no such column"),
    "a name inside": ({"place": {"type": "object", "properties": {"at": KEPT}}}, "v2.json: place: x-silver inside it"),
    "no envelope": ({"allOf": None}, "v2.json: event_id: is not asked for"),
}  # fmt: skip


@pytest.fixture
def second(schemas):
    """Write v2 of a like: so many properties more or other; None takes the envelope away."""

    def make(properties, *, is_shown=True):
        folder = schemas / "events" / "likes"
        schema = json.loads((folder / "v1.json").read_text(encoding="utf-8"))
        schema["$id"] = schema["$id"].replace("v1", "v2")
        if "allOf" in properties:
            schema["allOf"] = [part for part in schema["allOf"] if "if" in part]
        else:
            schema["properties"] |= properties
        (folder / "v2.json").write_text(json.dumps(schema), encoding="utf-8")
        if is_shown:
            for kind in ("valid", "invalid"):
                shown = sorted((folder / "examples" / kind).glob("*.json"))[0]
                (shown.parent / f"{shown.stem}.v2.json").write_text(shown.read_text(encoding="utf-8"), encoding="utf-8")
        return schemas

    return make


def told(schemas):
    forget()
    return [str(problem) for problem in check_events(schemas)]


def test_a_second_version_may_rename_add_and_allow(second):
    schemas = second({"mood": {"type": "string"}, "words": {"type": "array", "items": {"type": "string"}}})
    assert told(schemas) == []
    promised = event_contract("likes", 2, schemas)
    columns = contract("silver.likes", schemas).names
    assert unpromised_fields(promised, columns) == ("mood", "words")
    assert contracts_of(schemas) == {"likes": (1, 2)}
    both = [event_contract("likes", version, schemas) for version in (1, 2)]
    assert {field.name for field in held_fields(both)} == {field.name for field in both[0].fields} | {"mood", "words"}


def test_a_renamed_field_is_under_silvers_name_beside_the_older_ones(second, edit):
    schemas = second({})
    edit("events/likes/v2.json", '"comment_length": {', '"length": {"x-silver": "comment_length", ')
    assert told(schemas) == []
    both = [event_contract("likes", version, schemas) for version in (1, 2)]
    assert both[1].column_of["length"] == "comment_length"
    assert held_fields(both) == both[0].fields
    page = pages(schemas)
    assert "Silver calls it `comment_length`." in page["events.likes.md"]
    assert "[v1](events.likes.v1.md)" in page["events.likes.md"]
    assert "`comment_length`" in page["events.likes.v1.md"]


def test_each_version_has_examples_that_are_judged_by_it(second):
    schemas = second({}, is_shown=False)
    assert [line.partition(";")[0] for line in told(schemas)] == [
        "schemas/events/likes: examples: no valid ones of v2", "schemas/events/likes: examples: no invalid ones of v2",
    ]  # fmt: skip
    stricter = second({"mood": {"type": "string", "enum": ["calm"]}})
    shown = sorted((stricter / "events/likes/examples/valid").glob("*.v2.json"))[0]
    body = json.loads(shown.read_text(encoding="utf-8")) | {"mood": "sad"}
    shown.write_text(json.dumps(body), encoding="utf-8")
    forget()
    assert any("is refused for not_allowed:mood, should be for nothing" in line for line in told(stricter))


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_version_is_told_in_one_line(second, name):
    properties, words = WRONG[name]
    lines = told(second(properties))
    assert any(words in line for line in lines), lines
    assert all("; " in line and "\n" not in line for line in lines)


def forget():
    for cache in (event_contract, validator):
        cache.cache_clear()
