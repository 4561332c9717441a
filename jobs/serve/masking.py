"""The bytes of a refused record, shown so that its form can be judged and nobody can be recognised.

A broken record may hold a person's id anywhere: under a misspelt name, beside a lost quote, as a name itself. So
nothing is searched for to be hidden; all is hidden but what the contract itself says: brackets, names of its fields,
and values it lists for just that field. Of the rest only the form is shown (jobs/definitions/shown.py).
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from jobs.definitions.shown import form_of
from jobs.lake.event_contracts import EventField, event_contract, versions

LONGEST = 400  # characters shown
TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[{}\[\],:]|\s+|[^{}\[\],:"\s]+', re.DOTALL)
NAMES_WHAT_FOLLOWS = re.compile(rb"\s*:")
LITERALS = (b"true", b"false", b"null", b"NaN", b"Infinity", b"-Infinity")
MARK = b"\xef\xbb\xbf"  # of byte order
FREE_NAMED = "duplicate_field:"  # the one reason that quotes a name out of the body
UNKNOWN_FIELD = FREE_NAMED + "(unknown field)"


@dataclass
class Words:
    """What a topic's contracts say: field names, and the values that a field may have."""

    names: set[str] = field(default_factory=set)
    values: dict[str, set[str]] = field(default_factory=dict)

    def add(self, fields: Iterable[EventField]) -> None:
        """Take in fields and what is inside them."""
        for each in fields:
            self.names.add(each.name)
            inside = (each.item,) if each.item else ()
            for one in (each, *inside):
                listed = {value for value in one.limits.get("enum", ()) if isinstance(value, str)}
                self.values.setdefault(each.name, set()).update(() if each.is_pseudonym else listed)
            self.add(each.parts)
            self.add(part for one in inside for part in one.parts)


def words_of(topics: Iterable[str], schemas_dir: Path) -> Words:
    """The words of all versions of these topics' contracts."""
    words = Words()
    for topic in topics:
        for version in versions(topic, schemas_dir):
            words.add(event_contract(topic, version, schemas_dir).fields)
    return words


def masked(value: bytes, words: Words) -> str:
    """The form of a record's value, cut at LONGEST characters; never what it says of anybody."""
    shown = r"\xef\xbb\xbf" if value.startswith(MARK) else ""
    for part in _parts(value.removeprefix(MARK), words):  # tokens are judged whole, then cut
        shown += part
        if len(shown) > LONGEST:
            return shown[:LONGEST] + "…"
    return shown


def safe_reason(reason: str, names: set[str]) -> str:
    """A reason as it was recorded, unless it quotes a name of the body that no contract knows."""
    told = reason.removeprefix(FREE_NAMED)
    return reason if told == reason or told in names | {"body"} else UNKNOWN_FIELD


def _parts(value: bytes, words: Words) -> Iterator[str]:
    """Token by token; a value is known only by the name before it."""
    name = ""
    for found in TOKEN.finditer(value):
        token = found[0]
        text = token[1:-1].decode("ascii", "replace") if len(token) > 1 and token.endswith(b'"') else None
        if text is not None and NAMES_WHAT_FOLLOWS.match(value, found.end()):
            name = text if text in words.names else ""
            yield token.decode() if name else form_of(token[: LONGEST + 1])
        elif token in LITERALS or (text is not None and text in words.values.get(name, ())):
            yield token.decode()
        else:
            yield form_of(token[: LONGEST + 1])
