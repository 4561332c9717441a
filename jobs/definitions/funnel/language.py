"""From the YAML of a definition to a `Definition`, or to one error that names line and remedy."""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Any

from jobs.definitions.funnel.analysis import refuse_what_cannot_be_judged
from jobs.definitions.funnel.calendar import is_zone
from jobs.definitions.funnel.durations import read_duration
from jobs.definitions.funnel.marked_yaml import MarkedYaml, Path, read_marked
from jobs.definitions.funnel.model import SAME_LOCAL_DAY, Definition, Exclusion, Step
from jobs.definitions.funnel.vocabulary import did_you_mean
from jobs.lake.errors import DefinitionError

KEYS = (
    "name", "version", "mode", "window", "zone", "steps", "optional", "hold", "gaps", "exclusions", "ties",
    "strict_scope", "first_entry_only", "breakdowns", "breakdown_at", "description",
)  # fmt: skip
MAX_STEPS = MAX_EXCLUSIONS = 64  # a bit of an integer for each
MAX_BYTES = 1 << 20
EVENTS = "an event name or a list of different ones, such as play or [like, share]"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PROPERTY = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")


def read_definition(file: File) -> Definition:
    """The definition in a file; DefinitionError when it is impossible, misspelt or not there."""
    remedy = "name a YAML file such as schemas/funnels/x.yaml"
    if file.exists() and not file.is_file():
        raise DefinitionError(f"{file}: is no file; {remedy}")
    try:
        if file.stat().st_size > MAX_BYTES:
            raise DefinitionError(f"{file}: is larger than {MAX_BYTES:,} bytes, which no definition is; {remedy}")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as bad:
        raise DefinitionError(f"{file}: cannot be read ({bad}); {remedy}") from bad
    return parse_definition(text, str(file))


def parse_definition(text: str, source: str) -> Definition:
    """The definition in a YAML text; `source` names it in errors."""
    marked = read_marked(text, source)
    return _Reader(marked).definition()


class _Reader:
    """Takes a definition out of one marked document, refusing the first thing that is off."""

    def __init__(self, marked: MarkedYaml) -> None:
        self.marked = marked
        self.raw: dict[str, Any] = {}

    def refuse(self, path: Path, message: str) -> DefinitionError:
        return self.marked.refuse(path, message)

    def definition(self) -> Definition:
        """The whole definition, judged."""
        if not isinstance(self.marked.value, dict):
            raise self.refuse((), "is no definition; begin with name, version, window and steps (docs/funnels.md)")
        self.raw = self.marked.value
        self._known_keys(self.raw, (), KEYS)
        for key in ("name", "version", "window", "steps"):
            if key not in self.raw:
                raise self.refuse((), f"{key}: is missing; write it (docs/funnels.md)")
        steps = self._steps()
        found = Definition(
            name=self._name(),
            version=self._version(),
            steps=steps,
            window_us=self._window(),
            mode=self._choice("mode", ("ordered", "strict", "unordered")),  # type: ignore[arg-type]
            zone=self._zone(),
            hold=self._properties("hold"),
            exclusions=self._exclusions(steps),
            ties=self._choice("ties", ("allow", "forbid")),  # type: ignore[arg-type]
            strict_scope=self._names(("strict_scope",), self.raw.get("strict_scope", [])),
            first_entry_only=self._first_entry(),
            breakdowns=self._breakdowns(),
            breakdown_at=self._breakdown_at(steps),
            pairs=self._pairs(),
        )
        refuse_what_cannot_be_judged(found, self.refuse)
        return found

    def _known_keys(self, values: dict[str, Any], path: Path, known: tuple[str, ...]) -> None:
        for key in values:
            if key not in known:
                raise self.refuse((*path, key), f"is no key of a definition; {did_you_mean(key, known)}")

    def _name(self) -> str:
        name = self.raw["name"]
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            remedy = "lower-case letters, digits and _, such as content_to_purchase"
            raise self.refuse(("name",), f"is {name!r}; write {remedy}")
        return name

    def _version(self) -> int:
        version = self.raw["version"]
        if isinstance(version, bool) or not isinstance(version, int) or not 0 < version < 1 << 63:
            raise self.refuse(("version",), f"is {version!r}; write a whole number from 1")
        return version

    def _choice(self, key: str, known: tuple[str, ...]) -> str:
        value = self.raw.get(key, known[0])
        if value not in known:
            raise self.refuse((key,), f"is {value!r}; write {' or '.join(known)}")
        return str(value)

    def _duration(self, path: Path, value: Any) -> int:
        try:
            return read_duration(value)
        except ValueError as bad:
            raise self.refuse(path, str(bad)) from bad

    def _window(self) -> int | None:
        window = self.raw["window"]
        if window == SAME_LOCAL_DAY:
            return None
        try:
            return self._duration(("window",), window)
        except DefinitionError as bad:
            raise DefinitionError(f"{bad}, or {SAME_LOCAL_DAY}") from None

    def _zone(self) -> str:
        zone = self.raw.get("zone", "Asia/Shanghai")
        if not isinstance(zone, str) or not is_zone(zone):
            raise self.refuse(("zone",), f"{zone!r} is no time zone; write an IANA name such as Asia/Shanghai")
        return zone

    def _names(self, path: Path, value: Any, *, least: int = 0, what: str = EVENTS) -> tuple[str, ...]:
        """One name or a list of them; `what` says of what kind they are."""
        names = [value] if isinstance(value, str) else value
        good = isinstance(names, list) and all(isinstance(name, str) and name.strip() for name in names)
        if not good or len(names) < least or len(set(names)) < len(names):
            raise self.refuse(path, f"is {value!r}; write {what}")
        return tuple(names)

    def _properties(self, key: str) -> tuple[str, ...]:
        names = self._names((key,), self.raw.get(key, []), what="different properties, such as [product_id]")
        for index, name in enumerate(names):
            self._property((key, index), name)
        return names

    def _property(self, path: Path, name: str) -> None:
        if not _PROPERTY.fullmatch(name):
            raise self.refuse(path, f"{name!r} is no property; write a column name such as product_id")

    def _broken_down(self) -> list[Any]:
        """Every breakdown as it stands: names, and lists for pairs; no two that say the same."""
        value = self.raw.get("breakdowns", [])
        named = [value] if isinstance(value, str) else value
        if not isinstance(named, list) or not all(isinstance(one, (str, list)) for one in named):
            raise self.refuse(("breakdowns",), f"is {value!r}; write properties and pairs: [scene, [scene, source]]")
        sets = [{one} if isinstance(one, str) else {str(name) for name in one} for one in named]
        for index, one in enumerate(sets):
            if one in sets[:index]:
                raise self.refuse(("breakdowns", index), f"{named[index]!r} is there already; remove one")
        return named

    def _breakdowns(self) -> tuple[str, ...]:
        """The breakdowns by one property."""
        named = [(index, one) for index, one in enumerate(self._broken_down()) if isinstance(one, str)]
        for index, name in named:
            self._property(("breakdowns", index), name)
        return tuple(name for _, name in named)

    def _pairs(self) -> tuple[tuple[str, str], ...]:
        """The breakdowns by two properties at once."""
        named = enumerate(self._broken_down())
        return tuple(self._pair(("breakdowns", index), pair) for index, pair in named if isinstance(pair, list))

    def _pair(self, path: Path, pair: list[Any]) -> tuple[str, str]:
        if len(pair) != 2 or not all(isinstance(name, str) for name in pair) or pair[0] == pair[1]:
            raise self.refuse(path, f"is {pair!r}; write a pair of different properties, such as [scene, source]")
        for name in pair:
            self._property(path, name)
        return pair[0], pair[1]

    def _where(self, path: Path, value: Any) -> str | None:
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise self.refuse(path, f'is {value!r}; write a SQL predicate in quotes, such as "watch_ms >= 3000"')
        return value.strip() if value is not None else None

    def _list(self, key: str, what: str) -> list[Any]:
        value = self.raw.get(key, [])
        if not isinstance(value, list):
            raise self.refuse((key,), f"is {value!r}; write a list of {what}")
        return value

    def _steps(self) -> tuple[Step, ...]:
        raw = self._list("steps", "steps, each {name: …, event: …}")
        if not 1 <= len(raw) <= MAX_STEPS:
            raise self.refuse(("steps",), f"are {len(raw)}; write 1 to {MAX_STEPS}")
        names: list[str] = []
        for index, step in enumerate(raw):
            names.append(self._step_name(index, step))
            if names[-1] in names[:-1]:
                raise self.refuse(("steps", index, "name"), f"{names[-1]!r} is taken by an earlier step; write another")
        optional, gaps = self._optional(names), self._gaps(names)
        return tuple(self._step(index, step, names[index] in optional, gaps) for index, step in enumerate(raw))

    def _step_name(self, index: int, step: Any) -> str:
        path: Path = ("steps", index)
        if not isinstance(step, dict):
            raise self.refuse(path, f"is {step!r}; write {{name: watched, event: play}}")
        self._known_keys(step, path, ("name", "event", "where", "distinct"))
        for key in ("name", "event"):
            if key not in step:
                raise self.refuse(path, f"{key}: is missing; write it, as in {{name: watched, event: play}}")
        name = step["name"]
        if not isinstance(name, str) or not _PROPERTY.fullmatch(name):
            raise self.refuse((*path, "name"), f"is {name!r}; write letters, digits and _, such as watched")
        return name

    def _step(self, index: int, step: dict[str, Any], is_optional: bool, gaps: dict[str, int]) -> Step:
        path: Path = ("steps", index)
        distinct = step.get("distinct", False)
        if not isinstance(distinct, bool):
            raise self.refuse((*path, "distinct"), f"is {distinct!r}; write true or false")
        return Step(
            name=step["name"],
            events=self._names((*path, "event"), step["event"], least=1),
            where=self._where((*path, "where"), step.get("where")),
            distinct=distinct,
            gap_us=gaps.get(step["name"]),
            is_optional=is_optional,
        )

    def _step_named(self, path: Path, name: Any, names: list[str]) -> int:
        if name not in names:
            raise self.refuse(path, f"{name!r} is no step; {did_you_mean(str(name), names)}")
        return names.index(name)

    def _optional(self, names: list[str]) -> set[str]:
        what = "names of different steps that may be skipped, such as [considered]"
        optional = self._names(("optional",), self.raw.get("optional", []), what=what)
        for index, name in enumerate(optional):
            place = self._step_named(("optional", index), name, names)
            if place in (0, len(names) - 1):
                raise self.refuse(("optional", index), f"{name!r} is the first or last step, which cannot be skipped")
        return set(optional)

    def _gaps(self, names: list[str]) -> dict[str, int]:
        gaps = self.raw.get("gaps", {})
        if not isinstance(gaps, dict):
            raise self.refuse(("gaps",), f"is {gaps!r}; write {{step: 30m}}")
        for name in gaps:
            if self._step_named(("gaps", name), name, names) == 0:
                raise self.refuse(("gaps", name), "is the first step, which has none before it; remove it")
        return {name: self._duration(("gaps", name), gap) for name, gap in gaps.items()}

    def _exclusions(self, steps: tuple[Step, ...]) -> tuple[Exclusion, ...]:
        raw = self._list("exclusions", "{event: …, between: [step, step]}")
        if len(raw) > MAX_EXCLUSIONS:
            raise self.refuse(
                ("exclusions",), f"are {len(raw)}; write at most {MAX_EXCLUSIONS}, joined by lists and OR"
            )
        return tuple(self._exclusion(("exclusions", index), part, steps) for index, part in enumerate(raw))

    def _exclusion(self, path: Path, part: Any, steps: tuple[Step, ...]) -> Exclusion:
        if not isinstance(part, dict) or "event" not in part or "between" not in part:
            raise self.refuse(path, "write {event: order_cancelled, between: [ordered, paid]}")
        self._known_keys(part, path, ("event", "where", "between"))
        between, names = part["between"], [step.name for step in steps]
        if not isinstance(between, list) or len(between) != 2:
            raise self.refuse((*path, "between"), f"is {between!r}; write two steps, such as [ordered, paid]")
        places = [self._step_named((*path, "between"), name, names) for name in between]
        if places[0] >= places[1]:
            raise self.refuse((*path, "between"), f"{between[0]!r} does not come before {between[1]!r}; swap them")
        for name, place in zip(between, places, strict=True):
            if steps[place].is_optional:
                raise self.refuse(
                    (*path, "between"), f"{name!r} is optional; an exclusion lies between mandatory steps"
                )
        events = self._names((*path, "event"), part["event"], least=1)
        return Exclusion(events, self._where((*path, "where"), part.get("where")), places[0], places[1])

    def _first_entry(self) -> Any:
        value = self.raw.get("first_entry_only", False)
        if value not in (True, False, "filtered") or (isinstance(value, int) and not isinstance(value, bool)):
            raise self.refuse(("first_entry_only",), f"is {value!r}; write true, false or filtered")
        return {True: "true", False: "no"}.get(value, "filtered")

    def _breakdown_at(self, steps: tuple[Step, ...]) -> str:
        value = self.raw.get("breakdown_at", "entry")
        known = ["entry", "conversion", "profile", *(step.name for step in steps)]
        if value not in known:
            raise self.refuse(("breakdown_at",), f"{value!r} is no step; {did_you_mean(str(value), known)}")
        return str(value)
