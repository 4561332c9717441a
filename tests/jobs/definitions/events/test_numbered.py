"""Who sent a record and under which number is read as silver would read it, and of a broken record, too."""

import pyarrow as pa
import pytest

from jobs.definitions.events.numbered import numbered
from jobs.lake.event_contracts import EventField

COUNT = EventField("seq", "integer")
PRODUCER = EventField("producer", "object", parts=(EventField("id", "string"), EventField("epoch", "integer"), COUNT))
GOOD = ("app-1", 2, 7)
BODIES: dict[str, tuple[bytes | None, tuple[str, int, int] | None]] = {
    "as the library writes it": (b'{"sent_time":1,"producer":{"id":"app-1","epoch":2,"seq":7},"kind":"play"}', GOOD),
    "spread over lines": (b'{\n "kind": "play",\n "producer": {"id": "app-1", "epoch": 2, "seq": 7}\n}', GOOD),
    "in another order, with more": (b'{"producer":{"seq":7,"by":"x","id":"app-1","epoch":2}}', GOOD),
    "behind an object": (b'{"experiments":{"a":"b"},"producer":{"id":"app-1","epoch":2,"seq":7}}', GOOD),
    "one inside another object is none": (
        b'{"via":{"producer":{"id":"app-9","epoch":9,"seq":9}},"producer":{"id":"app-1","epoch":2,"seq":7}}', GOOD),
    "only inside another object": (b'{"via":{"producer":{"id":"app-9","epoch":9,"seq":9}}}', None),
    "a word in a text is none": (b'{"text":"\\"producer\\":{","producer":{"id":"app-1","epoch":2,"seq":7}}', GOOD),
    "letters beyond ASCII": ('{"producer":{"id":"ü","epoch":2,"seq":7}}'.encode(), ("ü", 2, 7)),
    "an escape": (b'{"producer":{"id":"\\u0061pp-1","epoch":2,"seq":7}}', GOOD),
    "an escape in the name": (b'{"produc\\u0065r":{"id":"app-1","epoch":2,"seq":7}}', GOOD),
    "torn behind it": (b'{"producer":{"id":"app-1","epoch":2,"seq":7},"kind":"pl', GOOD),
    "no UTF-8 behind it": (b'{"producer":{"id":"app-1","epoch":2,"seq":7},"kind":"\xff"}', GOOD),
    "torn before it": (b'{"kind":"play","prod', None),
    "no number": (b'{"producer":{"id":"app-1","epoch":2}}', None),
    "a number as text": (b'{"producer":{"id":"app-1","epoch":2,"seq":"7"}}', None),
    "a number with a fraction": (b'{"producer":{"id":"app-1","epoch":2,"seq":7.5}}', None),
    "a number below zero": (b'{"producer":{"id":"app-1","epoch":-1,"seq":7}}', None),
    "a number that is none of ours": (b'{"producer":{"id":"app-1","epoch":2,"seq":9999999999999999}}', None),
    "nobody": (b'{"producer":{"id":"","epoch":2,"seq":7}}', None),
    "no object": (b'["producer"]', None),
    "nothing": (b"", None),
    "null": (None, None),
}  # fmt: skip


@pytest.fixture(scope="module")
def told() -> dict[str, tuple[str, int, int]]:
    """All bodies in one call, as they would lie in a batch."""
    rows = numbered(pa.array([value for value, _ in BODIES.values()], pa.binary()), PRODUCER).to_pylist()
    names = list(BODIES)
    return {names[row.pop("row")]: tuple(row.values()) for row in rows}


@pytest.mark.parametrize("name", BODIES)
def test_a_number_is_read_where_the_body_says_it(told: dict[str, tuple[str, int, int]], name: str) -> None:
    assert told.get(name) == BODIES[name][1]


def test_no_bodies_have_no_numbers() -> None:
    assert numbered(pa.array([], pa.binary()), PRODUCER).num_rows == 0
