"""From the YAML of a definition to a `Definition`, or to one error that names line and remedy."""

from __future__ import annotations

import re
from pathlib import Path as File
from typing import Any

from jobs.definitions.funnel.analysis import refuse_what_cannot_be_judged
from jobs.definitions.funnel.breakdown_values import breakdown_at_of, breakdowns_of, pairs_of
from jobs.definitions.funnel.calendar import is_zone
from jobs.definitions.funnel.marked_yaml import read_marked
from jobs.definitions.funnel.model import SAME_LOCAL_DAY, Definition
from jobs.definitions.funnel.step_values import exclusions_of, steps_of
from jobs.definitions.funnel.values import Values
from jobs.lake.errors import DefinitionError

KEYS = (
    "name", "version", "mode", "window", "zone", "steps", "optional", "hold", "gaps", "exclusions", "ties",
    "strict_scope", "first_entry_only", "breakdowns", "breakdown_at", "description",
)  # fmt: skip
MAX_BYTES = 1 << 20
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


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


class _Reader(Values):
    """Takes a definition out of one marked document, refusing the first thing that is off."""

    def definition(self) -> Definition:
        """The whole definition, judged."""
        if not isinstance(self.marked.value, dict):
            raise self.refuse((), "is no definition; begin with name, version, window and steps (docs/funnels.md)")
        self.raw = self.marked.value
        self.known_keys(self.raw, (), KEYS)
        for key in ("name", "version", "window", "steps"):
            if key not in self.raw:
                raise self.refuse((), f"{key}: is missing; write it (docs/funnels.md)")
        steps = steps_of(self)
        found = Definition(
            name=self._name(),
            version=self._version(),
            steps=steps,
            window_us=self._window(),
            mode=self.choice("mode", ("ordered", "strict", "unordered")),  # type: ignore[arg-type]
            zone=self._zone(),
            hold=self.properties("hold"),
            exclusions=exclusions_of(self, steps),
            ties=self.choice("ties", ("allow", "forbid")),  # type: ignore[arg-type]
            strict_scope=self.names(("strict_scope",), self.raw.get("strict_scope", [])),
            first_entry_only=self._first_entry(),
            breakdowns=breakdowns_of(self),
            breakdown_at=breakdown_at_of(self, steps),
            pairs=pairs_of(self),
        )
        refuse_what_cannot_be_judged(found, self.refuse)
        return found

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

    def _window(self) -> int | None:
        window = self.raw["window"]
        if window == SAME_LOCAL_DAY:
            return None
        try:
            return self.duration(("window",), window)
        except DefinitionError as bad:
            raise DefinitionError(f"{bad}, or {SAME_LOCAL_DAY}") from None

    def _zone(self) -> str:
        zone = self.raw.get("zone", "Asia/Shanghai")
        if not isinstance(zone, str) or not is_zone(zone):
            raise self.refuse(("zone",), f"{zone!r} is no time zone; write an IANA name such as Asia/Shanghai")
        return zone

    def _first_entry(self) -> Any:
        value = self.raw.get("first_entry_only", False)
        if value not in (True, False, "filtered") or (isinstance(value, int) and not isinstance(value, bool)):
            raise self.refuse(("first_entry_only",), f"is {value!r}; write true, false or filtered")
        return {True: "true", False: "no"}.get(value, "filtered")
