"""The scanning kernel vouches for a text only if Python's own reader, made as strict, reads the same body from it."""

import json
import re
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.definitions.events import scanned
from jobs.definitions.events.scanned import bodies_of, pieces
from jobs.definitions.events.shape import layout_of
from jobs.lake.event_contracts import EventField

TEXT, NUMBER, FLAG = (EventField("", kind) for kind in ("string", "integer", "boolean"))
FIELDS = (
    EventField("name", "string"),
    EventField("size", "integer"),
    EventField("is_new", "boolean"),
    EventField("producer", "object", parts=(EventField("id", "string"), EventField("seq", "integer"))),
    EventField("tags", "array", item=TEXT),
    EventField(
        "lines",
        "array",
        item=EventField(
            "",
            "object",
            parts=(EventField("line_id", "string"), EventField("price", "integer"), EventField("is_gift", "boolean")),
        ),
    ),
    EventField("arms", "map", item=TEXT),
    EventField("nam", "string"),  # as long as no other, and the beginning of one
)
LAYOUT = layout_of(FIELDS)
LEAST, MOST = -(2**63), 2**63 - 1

words = st.text(st.characters(codec="utf-8", exclude_categories=("Cs",)), max_size=6)
numbers = st.integers(LEAST, MOST)
bodies = st.fixed_dictionaries(
    {},
    optional={
        "name": words,
        "size": numbers,
        "is_new": st.booleans(),
        "producer": st.fixed_dictionaries({}, optional={"id": words, "seq": numbers}),
        "tags": st.lists(words, max_size=4),
        "lines": st.lists(
            st.fixed_dictionaries({}, optional={"line_id": words, "price": numbers, "is_gift": st.booleans()}),
            max_size=3,
        ),
        "arms": st.dictionaries(words, words, max_size=3),
        "nam": words,
    },
)


def read(*texts: bytes | None) -> list[dict[str, Any] | None]:
    return [without_nulls(body) for body in bodies_of(pa.array(texts, pa.binary()), LAYOUT).to_pylist()]


def without_nulls(value: Any) -> Any:
    """A body as JSON would have it: what is null is not there, a map is an object."""
    if isinstance(value, dict):
        return {
            name: dict(part) if name == "arms" else without_nulls(part)
            for name, part in value.items()
            if part is not None
        }
    return [without_nulls(part) for part in value] if isinstance(value, list) else value


def strictly(text: bytes) -> dict[str, Any]:
    """What Python reads; ValueError for a repeated key, a fraction, a number that is none, an escape by number."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) < len(pairs):
            raise ValueError("repeated")
        return dict(pairs)

    def never(word: str) -> Any:
        raise ValueError(word)

    found = json.loads(text.decode("utf-8"), object_pairs_hook=once, parse_float=never, parse_constant=never)
    if not isinstance(found, dict):
        raise TypeError("no object")
    return found


@st.composite
def written(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """A body and how somebody wrote it: any order of fields, any white space."""
    body = draw(bodies)
    names = draw(st.permutations(list(body)))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t:\r ")]))
    text = json.dumps({name: body[name] for name in names}, ensure_ascii=False, separators=separators)
    return body, (draw(st.sampled_from(["", " \n"])) + text + draw(st.sampled_from(["", "\r\n "]))).encode()


def is_vouched_for(body: dict[str, Any], text: bytes) -> bool:
    """Escapes by number (so json.dumps writes control characters) and escapes in a map's keys are looked at closely."""
    by_number = re.search(rb"(?<!\\)(\\\\)*\\u", text)
    return not by_number and not any(json.dumps(key, ensure_ascii=False) != f'"{key}"' for key in body.get("arms", {}))


@settings(max_examples=400, deadline=None)
@given(st.lists(written(), min_size=1, max_size=8))
def test_a_body_of_promised_fields_is_read_as_it_was_written(several: list[tuple[dict[str, Any], bytes]]) -> None:
    found = read(*(text for _, text in several))
    assert found == [body if is_vouched_for(body, text) else None for body, text in several]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good text with a few bytes cut out, put in, or both."""
    _, text = draw(written())
    at = draw(st.integers(0, len(text)))
    until = draw(st.integers(at, min(len(text), at + 3)))
    bits = [bytes([n]) for n in b'",:{}[]0-.e\\ntu\x00\x1f\xc3\xed\xf4\x80']
    return text[:at] + draw(st.sampled_from([b"", *bits, b"null"])) + text[until:]


@settings(max_examples=2_000, deadline=None)
@given(damaged())
def test_a_damaged_text_is_never_taken_for_something_else(text: bytes) -> None:
    (found,) = read(text)
    if found is not None:
        assert found == without_nulls(strictly(text))


PLAIN = {
    b"{}": {},
    b'{"name":null,"tags":null,"producer":null,"lines":[{"price":null}]}': {"lines": [{}]},
    b'{"size":-9223372036854775808}': {"size": LEAST},
    b'{"size":9223372036854775807}': {"size": MOST},
    b'{"size":-0}': {"size": 0},
    b'{"name":"\\"\\\\\\/\\b\\f\\n\\r\\t"}': {"name": '"\\/\b\f\n\r\t'},
    '{"name":"\U0001f440 \u202e é"}'.encode(): {"name": "\U0001f440 \u202e é"},
    b'{"tags":[],"arms":{},"lines":[],"producer":{}}': {"tags": [], "arms": {}, "lines": [], "producer": {}},
}
ODD = [
    None,
    b"",
    b" ",
    b"{",
    b"[]",
    b'"name"',
    b"\xef\xbb\xbf{}",
    b"{}x",
    b"{}{}",
    b'{"name":"a"}}',
    b'{"name":"a",}',
    b"{'name':'a'}",
    b'{"name":"a","name":"a"}',
    b'{"name":null,"name":"a"}',
    b'{"arms":{"a":"b","a":"b"}}',
    b'{"producer":{"id":"a","id":"b"}}',
    b'{"lines":[{"price":1,"price":1}]}',
    b'{"other":1}',
    b'{"producer":{"x":1}}',
    b'{"size":"1"}',
    b'{"name":1}',
    b'{"is_new":1}',
    b'{"is_new":"true"}',
    b'{"tags":"a"}',
    b'{"tags":{"a":"b"}}',
    b'{"arms":[]}',
    b'{"arms":{"a":1}}',
    b'{"arms":{"a":null}}',
    b'{"tags":[null]}',
    b'{"lines":[null]}',
    b'{"lines":[1]}',
    b'{"producer":[]}',
    b'{"size":1.0}',
    b'{"size":1e3}',
    b'{"size":01}',
    b'{"size":-}',
    b'{"size":+1}',
    b'{"size":1 2}',
    b'{"size":9223372036854775808}',
    b'{"size":-9223372036854775809}',
    b'{"size":' + b"9" * 2000 + b"}",
    b'{"size":NaN}',
    b'{"name":"\\u0041"}',
    b'{"na\\u006de":"a"}',
    b'{"name":"\\x"}',
    b'{"name":"a\nb"}',
    b'{"name":"\x00"}',
    b'{"name":"a',
    b'{"name":"\xc0\x80"}',
    b'{"name":"\xed\xa0\x80"}',
    b'{"name":"\xf4\x90\x80\x80"}',
    b'{"name":"\xe2\x82"}',
    b'{"name":"\xff"}',
    b'{"name":tru}',
    b'{"is_new":tru}',
    b'{"tags":["a" "b"]}',
    b'{"tags":["a",]}',
    b'{"tags":["a"',
    b'{"arms":{"a"}}',
    b'{"arms":{"a":}}',
    b'{"lines":[{"price":}]}',
    b'{"lines":[{]}',
    b'{"name" "a"}',
    b'{"name":}',
    b'{"arms":{' + b",".join(b'"%d":""' % n for n in range(65)) + b"}}",
    b"[" * 50_000,
    b'{"name":"' + b"a" * 20_000_001 + b'"}',
]


def test_plain_texts_are_read_and_odd_ones_are_left_to_a_closer_look() -> None:
    """All in one batch: what is odd leaves no trace in its neighbours."""
    texts = [text for odd in ODD for text in (odd, *PLAIN)]
    expected = [body for _ in ODD for body in (None, *PLAIN.values())]
    assert read(*texts) == expected


def test_lists_longer_than_expected_get_room() -> None:
    long = {"tags": [str(n) for n in range(100)], "lines": [{"price": n} for n in range(50)]}
    bad = json.dumps(long).encode()[:-1] + b",}"
    assert read(bad, json.dumps(long).encode(), b'{"tags":["a"]}') == [None, long, {"tags": ["a"]}]


@pytest.mark.parametrize("begin", [0, 1, 3])
def test_a_slice_of_an_array_is_read_from_its_own_beginning(begin: int) -> None:
    texts = pa.array([b'{"size":%d}' % n for n in range(5)], pa.binary()).slice(begin)
    assert bodies_of(texts, LAYOUT).field("size").to_pylist() == list(range(begin, 5))


def test_fields_have_slots_of_their_own() -> None:
    slots = [field.slot for field in LAYOUT.fields if field.group < 0]
    slots += [part.slot for field in LAYOUT.fields if field.group < 0 for part in field.parts]
    assert sorted(slots) == list(range(LAYOUT.slots))
    items = sorted(
        (field.slot, max(1, len(field.parts)) + (field.name == "arms")) for field in LAYOUT.fields if field.group >= 0
    )
    assert all(first + width == following for (first, width), (following, _) in pairwise(items))
    assert np.sum([width for _, width in items]) == LAYOUT.item_slots


@given(st.lists(st.none() | st.binary(max_size=40), max_size=60), st.integers(1, 50))
def test_no_piece_holds_more_than_it_may_wherever_the_large_bodies_lie(values: list[bytes | None], most: int) -> None:
    batch = pa.RecordBatch.from_pydict({"value": pa.array(values, pa.binary()), "n": pa.array(range(len(values)))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scanned, "MOST_BYTES", most)
        found = list(pieces(batch))
    assert [row for piece in found for row in piece.to_pylist()] == batch.to_pylist()
    assert all(piece.num_rows for piece in found)
    held = [[len(row["value"] or b"") for row in piece.to_pylist()] for piece in found]
    assert all(sum(sizes) - max(sizes) <= most for sizes in held)
    assert len(found) <= 1 + sum(map(sum, held)) // most
