"""Bodies made from an event contract: good ones, and ones pushed to and over each limit of the contract."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from jobs.lake.event_contracts import EventContract, EventField

TEXTS = ("", "a", "u-1", "新鞋👟", "x" * 127, "👟" * 128, "x" * 129, "'; drop table views; --", "\u202eabc", "a.b:c")
KEPT_APART = 0.08  # how often a value is pushed to the edge: most bodies break one or two rules, some none


def bodies(promised: EventContract, seed: int, count: int, *, wrong_types: bool = False) -> Iterator[dict[str, Any]]:
    """`count` bodies; the same seed gives the same ones. `wrong_types` lets values of other JSON types in."""
    chance = Random(f"{promised.topic} {seed}")
    for _ in range(count):
        maker = _Maker(chance, 0.0 if chance.random() < 0.2 else KEPT_APART, wrong_types)
        body = maker.parts(promised.fields)
        for need in promised.needs:  # as a rule what the kind asks for is there
            for name in need.fields if body.get("kind") in need.kinds else ():
                if body.get(name) is None and chance.random() < 0.7:
                    body[name] = maker.good(next(field for field in promised.fields if field.name == name))
        yield body | ({"new_field": [1, None, {"a": None}]} if chance.random() < 0.3 else {})


class _Maker:
    """Draws values of fields."""

    def __init__(self, chance: Random, edge: float, wrong_types: bool) -> None:
        self.chance, self.edge, self.wrong_types = chance, edge, wrong_types

    def parts(self, fields: tuple[EventField, ...]) -> dict[str, Any]:
        """An object with these fields; optional ones often absent, required ones seldom."""
        made = {}
        for field in fields:
            fate = self.chance.random()
            if fate < (self.edge / 3 if field.required else 0.4):
                if self.chance.random() < 0.3:
                    made[field.name] = None
                continue
            made[field.name] = self.value(field)
        return made

    def value(self, field: EventField) -> Any:
        """A value of the field, now and then at or over an edge, or of another type."""
        if self.chance.random() >= self.edge:
            return self.good(field)
        if self.wrong_types and self.chance.random() < 0.5:
            return self.chance.choice(["1", 1, 1.0, 2**70, True, None, [], [None], {}, {"id": 1}, [[1]], ["a"]])
        return self.odd(field)

    def good(self, field: EventField) -> Any:
        """A value that keeps the field's own limits."""
        match field.kind:
            case "string":
                return self.text(field)
            case "integer":
                least, most = field.limits["minimum"], field.limits["maximum"]
                return self.chance.choice([least, least + 1, most])
            case "boolean":
                return self.chance.random() < 0.5
            case "object":
                return self.parts(field.parts)
        assert field.item
        items = [self.value(field.item) for _ in range(self.chance.randint(1, 3))]
        return {f"k{number}": item for number, item in enumerate(items)} if field.kind == "map" else items

    def text(self, field: EventField) -> str:
        """A text that keeps the field's own limits."""
        if "pattern" in field.limits:
            return f"019caeb0-7a80-7{self.chance.randrange(4096):03x}-8a5b-0242ac120002"
        return self.chance.choice(field.limits.get("enum", ["a", "u-1", "新鞋👟", "x" * 128]))

    def odd(self, field: EventField) -> Any:
        """A value of the right type at or over an edge."""
        limits = field.limits
        match field.kind:
            case "string":
                return self.chance.choice([*TEXTS, "x" * (limits.get("maxLength", 1) + 1)])
            case "integer":
                return self.chance.choice(
                    [limits["minimum"] - 1, limits["minimum"], limits["maximum"], limits["maximum"] + 1]
                )
            case "boolean" | "object":
                return self.good(field)
        assert field.item
        most = limits.get("maxItems", limits.get("maxProperties", 5))
        sizes = [0, min(most, 200), min(most, 200) + 1]  # a longer list than 200 makes the test slow, not better
        items = [self.good(field.item)] * self.chance.choice(sizes)
        if field.kind == "map":
            return {f"k{number}": self.chance.choice([item, None]) for number, item in enumerate(items)}
        return items + [None] * self.chance.randint(0, 1)
