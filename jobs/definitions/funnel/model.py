"""What a funnel definition says, once it has been found possible."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Literal

Mode = Literal["ordered", "strict", "unordered"]
Key = tuple[str, int]  # name and version of a definition
SAME_LOCAL_DAY = "same_local_day"
PAIR = " x "  # between the names of two breakdowns


@dataclass(frozen=True, slots=True)
class Step:
    """One step: an event of one of `events` whose `where` is true; `distinct` leaves double taps out of it."""

    name: str
    events: tuple[str, ...]
    where: str | None = None
    distinct: bool = False
    gap_us: int | None = None
    is_optional: bool = False


def pair_name(pair: tuple[str, str]) -> str:
    """What the breakdown by two properties at once is called."""
    return PAIR.join(pair)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An event of `events`, true of `where`, that forbids a chain when strictly between two steps (numbers from 0)."""

    events: tuple[str, ...]
    where: str | None
    after: int
    before: int


@dataclass(frozen=True)
class Definition:
    """One version of one funnel; `window_us` is None for the same local day."""

    name: str
    version: int
    steps: tuple[Step, ...]
    window_us: int | None
    mode: Mode = "ordered"
    zone: str = "Asia/Shanghai"
    hold: tuple[str, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    ties: Literal["allow", "forbid"] = "allow"
    strict_scope: tuple[str, ...] = ()
    first_entry_only: Literal["no", "true", "filtered"] = "no"
    breakdowns: tuple[str, ...] = ()
    breakdown_at: str = "entry"
    pairs: tuple[tuple[str, str], ...] = ()

    @cached_property
    def events(self) -> tuple[str, ...]:
        """Every event name the definition mentions, in the order of first mention."""
        named = [name for step in self.steps for name in step.events]
        named += [name for exclusion in self.exclusions for name in exclusion.events]
        return tuple(dict.fromkeys([*named, *self.strict_scope]))

    @cached_property
    def scope(self) -> tuple[str, ...]:
        """Event names that may not come between the steps of a strict funnel."""
        if self.mode != "strict":
            return ()
        return tuple(dict.fromkeys([*(name for step in self.steps for name in step.events), *self.strict_scope]))

    @cached_property
    def mandatory(self) -> tuple[int, ...]:
        """Numbers (from 0) of the steps that may not be skipped."""
        return tuple(number for number, step in enumerate(self.steps) if not step.is_optional)

    @cached_property
    def predicates(self) -> tuple[str, ...]:
        """Every distinct `where`, in the order of first mention."""
        parts: list[Step | Exclusion] = [*self.steps, *self.exclusions]
        return tuple(dict.fromkeys(part.where for part in parts if part.where))

    @cached_property
    def broken_down(self) -> dict[str, tuple[str, ...]]:
        """Name of a breakdown, as the tables show it → the properties it is made of; pairs after the single ones."""
        return {name: (name,) for name in self.breakdowns} | {pair_name(pair): pair for pair in self.pairs}

    @cached_property
    def broken_down_by(self) -> tuple[str, ...]:
        """Every property that some breakdown is made of, in the order of first mention."""
        return tuple(dict.fromkeys(name for parts in self.broken_down.values() for name in parts))

    @property
    def key(self) -> Key:
        """What tells it from every other definition."""
        return self.name, self.version

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with anything the definition says, its version and name apart."""
        unsaid = {"name", "version"} | ({"pairs"} if not self.pairs else set())  # added later: older hashes stay true
        said = {key: value for key, value in asdict(self).items() if key not in unsaid}
        return hashlib.sha256(repr(sorted(said.items())).encode()).hexdigest()[:16]
