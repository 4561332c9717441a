"""A close look says all that is wrong with a text, and loses nothing of one that is only unusual."""

import json
from typing import Any

import pytest
from hypothesis import given, settings

from jobs.definitions.events.closely import DEEPEST, look
from jobs.definitions.events.scanned import bodies_of, readings_of
from tests.jobs.definitions.events.test_scanned import FIELDS, LAYOUT, damaged, strictly, written

SAID: dict[bytes, tuple[str, ...]] = {
    b'{"name":"\\u0041"}': (),
    b'{"size":1,"other":[1.50,{"a":null}]}': (),
    b'{"size":1,"size":2}': ("duplicate_field:size",),
    b'{"si\\u007ae":1,"size":2}': ("duplicate_field:size",),
    b'{"producer":{"id":"a","id":"b"}}': ("duplicate_field:body",),
    b'{"u-4711":1,"u-4711":2,"u-12":1,"u-12":2}': ("duplicate_field:(unknown field)",),
    b'{"size":"1","name":2,"is_new":"x"}': ("wrong_type:name", "wrong_type:size", "wrong_type:is_new"),
    b'{"size":1.0}': ("wrong_type:size",),
    b'{"size":9223372036854775808}': ("wrong_type:size",),
    b'{"size":' + b"9" * 5000 + b"}": ("wrong_type:size",),
    b'{"producer":{"id":1,"seq":"x"}}': ("wrong_type:producer.id", "wrong_type:producer.seq"),
    b'{"producer":[]}': ("wrong_type:producer",),
    b'{"tags":["a",1]}': ("wrong_type:tags",),
    b'{"lines":[{"price":"x"},{"price":"y"}]}': ("wrong_type:lines.price",),
    b'{"lines":[{},1]}': ("wrong_type:lines",),
    b'{"arms":{"a":1}}': ("wrong_type:arms",),
    b'{"tags":[null],"arms":{"a":null},"lines":[null]}': (),
    b"": ("malformed_json",),
    b"[]": ("malformed_json",),
    b"{}{}": ("malformed_json",),
    b'{"size":NaN}': ("malformed_json",),
    b'{"name":"a\nb"}': ("malformed_json",),
    b"\xef\xbb\xbf{}": ("malformed_json",),
    b'{"name":"\xff"}': ("invalid_utf8",),
    b'{"name":"\\ud800"}': ("invalid_utf8",),
    b'{"name":"\\ud83d\\udc40"}': (),
    b'{"x":' + b"[" * DEEPEST + b"]" * DEEPEST + b"}": ("too_deep",),
    b'{"x":' + b"[" * (DEEPEST - 1) + b"]" * (DEEPEST - 1) + b"}": (),
    b'{"name":"' + b"[" * 2000 + b'"}': (),
    b'{"name":"' + b"a" * 20_000_001 + b'"}': ("too_large",),
}


@pytest.mark.parametrize(("text", "reasons"), SAID.items(), ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_said(text: bytes, reasons: tuple[str, ...]) -> None:
    assert look(text, FIELDS).reasons == reasons


def test_unknown_fields_are_kept_as_they_were_written() -> None:
    found = look(b'{"a":"\xc3\xa9","b":1.50,"c":{"d":[1e309,null,true]},"e":null,"size":7}', FIELDS)
    assert found.rest == {"a": "é", "b": "1.50", "c": '{"d":[1e309,null,true]}', "e": None}
    assert found.body is not None
    assert found.body["size"] == 7


@settings(max_examples=300, deadline=None)
@given(written())
def test_both_ways_of_reading_agree(one: tuple[dict[str, Any], bytes]) -> None:
    import pyarrow as pa

    _, text = one
    closely = look(text, FIELDS)
    assert not closely.reasons
    plain = bodies_of(pa.array([text], pa.binary()), LAYOUT)
    if plain.null_count == 0:
        assert pa.array([closely.body], plain.type).equals(plain)


def test_readings_lie_in_the_places_of_their_records() -> None:
    import pyarrow as pa

    texts = [b'{"size":1}', b"{", None, b'{"size":2,"mood":"good"}', b'{"size":3}']
    found = readings_of(pa.array(texts, pa.binary()), LAYOUT, FIELDS).to_pylist()
    assert [each["body"] and each["body"]["size"] for each in found] == [1, None, None, 2, 3]
    assert [each["torn"] for each in found] == [None, ["malformed_json"], None, [], None]
    assert [each["is_unread"] for each in found] == [None, True, None, False, None]
    assert [dict(each["rest"] or ()) for each in found] == [{}, {}, {}, {"mood": "good"}, {}]


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_only_what_is_no_object_is_unread(text: bytes) -> None:
    found = look(text, FIELDS)
    if found.is_unread:
        assert len(found.reasons) == 1
        with pytest.raises((ValueError, TypeError)):
            strictly(text)
    else:
        assert isinstance(json.loads(text), dict)
