"""A broker that is a list: what tests of ingest put on the topics, with places and times of their choosing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from jobs.drills.records import ALL, LINE, NOON, Record, body_of, headers_of, micros, record, uuid7
from jobs.lake import topics
from jobs.lake.file_topics import Row
from jobs.lake.ingest import landing
from jobs.lake.ingest.planning import Plan
from jobs.lake.tables import Lake

__all__ = ["ALL", "LINE", "NOON", "Log", "Record", "body_of", "headers_of", "micros", "record", "uuid7"]


@dataclass
class Log:
    """All topics; records get the next offset of their partition."""

    parts: dict[str, dict[int, list[Record]]] = field(default_factory=dict)
    gone: dict[tuple[str, int], int] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    compacted: set[tuple[str, int, int]] = field(default_factory=set)

    def put(self, records: Iterable[Record]) -> None:
        """Append records, in their order."""
        for each in records:
            self.ids.setdefault(each.topic, f"id-{each.topic}")
            part = self.parts.setdefault(each.topic, {}).setdefault(each.partition, [])
            part.append(replace(each, offset=len(part)))

    def ends(self, _: Any, names: Iterable[str]) -> topics.Offsets:
        """As `topics.end_offsets`."""
        return {name: {n: len(part) for n, part in self.parts[name].items()} for name in names if name in self.parts}

    def begins(self, _: Any, names: Iterable[str]) -> topics.Offsets:
        """The first offset held, as `topics.extents` tells it."""
        wanted = [name for name in names if name in self.parts]
        return {name: {n: self.gone.get((name, n), 0) for n in self.parts[name]} for name in wanted}

    def extents(self, _: Any, *groups: Iterable[str]) -> tuple[topics.Offsets, topics.Offsets]:
        """As `topics.extents`."""
        names = [name for group in groups for name in group]
        return self.begins(_, names), self.ends(_, names)

    def topic_ids(self, _: Any, names: Iterable[str]) -> dict[str, str]:
        """As `topics.topic_ids`."""
        return {name: self.ids[name] for name in names if name in self.ids}

    def read(self, _: Lake, plan: Plan) -> list[Row]:
        """As `landing.read_here`."""
        return [
            (each.key, each.value, name, number, each.offset, each.at, each.headers)
            for name, parts in plan.ranges.items()
            for number, (start, end) in parts.items()
            for each in self.parts[name].get(number, [])[start:end]
            if (name, number, each.offset) not in self.compacted
        ]

    def installed(self, patch: pytest.MonkeyPatch) -> Log:
        """Stand in for the broker."""
        patch.setattr(topics, "end_offsets", self.ends)
        patch.setattr(topics, "extents", self.extents)
        patch.setattr(topics, "topic_ids", self.topic_ids)
        patch.setattr(landing, "read_here", self.read)
        return self
