"""Broken JSON read with the repairs that a patch names; each can be meant in one way only, and the rest stays refused.

The text is taken apart into strings and what stands between them, so nothing inside a string is touched. Whatever is
left must be strict JSON: where a repair guessed wrong about a text, it is not read at all.
"""

import json
import re
from collections.abc import Collection
from functools import partial
from typing import Any, Literal

Repair = Literal["nan", "trailing_commas", "single_quotes"]
# Strings whole, an unfinished one to the end, or each of its quotes would be looked at as another beginning; a comma
# right behind an opening bracket, which ends nothing; a comma right before a closing one.
TOKEN = re.compile(
    r'"(?:[^"\\]|\\.)*+"'
    r"|'(?P<single>(?:[^'\\]|\\.)*+)'"
    r"|[\"'].*+"
    r"|[{\[][ \t\n\r]*+,"
    r"|,(?=[ \t\n\r]*+[}\]])",
    re.DOTALL,
)
INSIDE = re.compile(r"""\\.|\"""", re.DOTALL)  # what is written otherwise between double quotes


def strict(text: str, also: Collection[Repair] = (), *, is_cut: bool = False) -> Any:
    """The one JSON document of a text, or (`is_cut`) the first; ValueError for no JSON, and for a field twice."""
    decoder = json.JSONDecoder(object_pairs_hook=_once, parse_constant=partial(_constant, also))
    return decoder.raw_decode(text)[0] if is_cut else decoder.decode(text)


def mended(value: bytes, also: Collection[Repair] = ()) -> Any:
    """The first JSON document of a text, a byte order mark before it left out; ValueError when there is none."""
    text = value.decode("utf-8-sig").lstrip()
    return strict(TOKEN.sub(partial(_mended_token, also), text), also, is_cut=True)


def _mended_token(also: Collection[Repair], found: re.Match[str]) -> str:
    if found[0] == "," and "trailing_commas" in also:
        return ""
    if found["single"] is not None and "single_quotes" in also:
        return f'"{INSIDE.sub(_as_in_double_quotes, found["single"])}"'
    return found[0]


def _as_in_double_quotes(found: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(found[0], found[0])


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) < len(pairs):
        raise ValueError("a field stands there twice; which of them counts nobody can say")
    return body


def _constant(also: Collection[Repair], name: str) -> None:
    if name != "NaN" or "nan" not in also:
        raise ValueError(f"{name} is no JSON")
