"""A repair of broken JSON gives back what was meant, or nothing."""

import json
from collections.abc import Iterator
from typing import Any, get_args

import pytest

from jobs.drills.corpus import cases
from jobs.lake.mended_json import Repair, mended

ALL = get_args(Repair)
DOCUMENTS: list[Any] = [
    {"a": "it's", "b": 'she said "no", and left', "c": ["x, ]", "y,}", "'", '"', "\\", '\\"', "\\'"]},
    {"NaN": "NaN", "": "", "n": None, "t": [True, False, 1, -2.5e3], "deep": [[[]], {}, {"e": [{}]}]},
    {"ünïcode": "\u4e2d \U0001f600 \x7f", "lines": "a\nb\tc", "escaped": "\\u0041"},
    [],
    "'",
]


def broken(document: Any) -> Iterator[str]:
    """A document as it is, and as a careless writer would write it."""
    yield json.dumps(document)
    yield loose(document, "")
    yield "\ufeff" + loose(document, " \n")


def loose(value: Any, space: str) -> str:
    """In single quotes, with a comma after the last of everything."""
    if isinstance(value, str):
        inner = json.dumps(value)[1:-1].replace('\\"', '"').replace("'", "\\'")
        return f"'{inner}'"
    if isinstance(value, dict) and value:
        return (
            "{" + "".join(f"{loose(k, space)}{space}:{loose(v, space)}{space},{space}" for k, v in value.items()) + "}"
        )
    if isinstance(value, list) and value:
        return "[" + "".join(f"{loose(each, space)}{space},{space}" for each in value) + "]"
    return json.dumps(value)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_what_was_meant_is_read_however_it_was_written(document: Any) -> None:
    for text in broken(document):
        assert mended(text.encode(), ALL) == document, text


@pytest.mark.parametrize(
    ("text", "repair", "meant"),
    [
        ('{"a": NaN, "b": "NaN"}', "nan", {"a": None, "b": "NaN"}),
        ('{"a": [1, ], }', "trailing_commas", {"a": [1]}),
        ("{'a': 1}", "single_quotes", {"a": 1}),
    ],
)
def test_a_repair_is_done_where_it_is_named_and_no_other(text: str, repair: Repair, meant: Any) -> None:
    assert mended(text.encode(), [repair]) == meant
    with pytest.raises(ValueError, match=r"."):
        mended(text.encode(), [other for other in ALL if other != repair])


@pytest.mark.parametrize(
    "text",
    [
        "{,}", "[,]", "[ ,1]", "[1,,]", "{'a': 'it's'}", "{'a': 'it's, 'b': 1}", "{a: 1}", "{'a': True}",
        "{'a': '\\x41'}",
        "{'a': 'b}", '{"a": "b}', '{"a": "b\\', "{'a''b': 1}", '{"a": Infinity}', '{"a": -Infinity}', '{"a": 01}',
        '{"a": 1/* */}', '{"a": 1 "b": 2}', "{'a': 1, \"a\": 2}", '{"a": "v\x01"}', "", "'", "{'a\": 1}",
    ],
)  # fmt: skip
def test_what_could_be_meant_in_several_ways_or_in_none_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        mended(text.encode(), ALL)


@pytest.mark.timeout(60)  # a look from each of them to the end would take hours
def test_a_megabyte_of_quotes_takes_no_longer_than_its_length() -> None:
    for text in ("'" * 2**20, '"\\' + '\\"' * 2**19, "[ " * 2**19, ", " * 2**19, "'\\" * 2**18):
        with pytest.raises((ValueError, RecursionError)):
            mended(b"[" + text.encode(), ALL)


def test_of_the_broken_texts_of_the_corpus_these_can_be_read() -> None:
    texts = {case.name: case.record.value or b"" for case in cases() if case.hazard == "P1"}
    assert {name for name, text in texts.items() if is_read(text)} == {
        "trailing garbage", "trailing brace", "trailing garbage that ends in a brace", "two documents",
        "two documents and a comma", "a field after the end", "a byte order mark", "NaN", "single quotes",
        "a trailing comma", "white space around",
    }  # fmt: skip


def is_read(text: bytes) -> bool:
    try:
        return isinstance(mended(text, ALL), dict)
    except ValueError:
        return False
