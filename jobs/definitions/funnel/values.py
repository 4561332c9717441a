"""The values of a definition, each taken out of its marked document as what it should be, or refused in its place."""

from __future__ import annotations

import re
from typing import Any

from jobs.definitions.funnel.durations import read_duration
from jobs.definitions.funnel.marked_yaml import MarkedYaml, Path
from jobs.definitions.funnel.vocabulary import did_you_mean
from jobs.lake.errors import DefinitionError

EVENTS = "an event name or a list of different ones, such as play or [like, share]"
PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


class Values:
    """Values of one document; `raw` is the whole of it once it is known to be a mapping."""

    def __init__(self, marked: MarkedYaml) -> None:
        self.marked = marked
        self.raw: dict[str, Any] = {}

    def refuse(self, path: Path, message: str) -> DefinitionError:
        """The error that says where in the document something is off, and what to write."""
        return self.marked.refuse(path, message)

    def known_keys(self, values: dict[str, Any], path: Path, known: tuple[str, ...]) -> None:
        """Refuse a key that is none of these."""
        for key in values:
            if key not in known:
                raise self.refuse((*path, key), f"is no key of a definition; {did_you_mean(key, known)}")

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """One of the known words, the first where nothing is written."""
        value = self.raw.get(key, known[0])
        if value not in known:
            raise self.refuse((key,), f"is {value!r}; write {' or '.join(known)}")
        return str(value)

    def duration(self, path: Path, value: Any) -> int:
        """A length of time, us."""
        try:
            return read_duration(value)
        except ValueError as bad:
            raise self.refuse(path, str(bad)) from bad

    def names(self, path: Path, value: Any, *, least: int = 0, what: str = EVENTS) -> tuple[str, ...]:
        """One name or a list of them; `what` says of what kind they are."""
        names = [value] if isinstance(value, str) else value
        good = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
        if not good or len(names) < least or len(set(names)) < len(names):
            raise self.refuse(path, f"is {value!r}; write {what}")
        return tuple(names)

    def properties(self, key: str) -> tuple[str, ...]:
        """Different columns of an event under a key; none where it is left out."""
        names = self.names((key,), self.raw.get(key, []), what="different properties, such as [product_id]")
        for index, name in enumerate(names):
            self.named_property((key, index), name)
        return names

    def named_property(self, path: Path, name: str) -> None:
        """Refuse a name that no column can have."""
        if not PROPERTY.fullmatch(name):
            raise self.refuse(path, f"{name!r} is no property; write a column name such as product_id")

    def where(self, path: Path, value: Any) -> str | None:
        """A predicate as it is written; None for none."""
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.refuse(path, f'is {value!r}; write a SQL predicate in quotes, such as "watch_ms >= 3000"')
        return value.strip() if value is not None else None

    def listed(self, key: str, what: str) -> list[Any]:
        """The list under a key; empty where it is left out."""
        value = self.raw.get(key, [])
        if not isinstance(value, list):
            raise self.refuse((key,), f"is {value!r}; write a list of {what}")
        return value
