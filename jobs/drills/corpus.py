"""The corpus: named records and their fate. An empty tuple of reasons means that the record is taken."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from jobs.drills.records import NOON, Record, body_of, headers_of, micros, record, uuid7

DAY = timedelta(days=1)
BACKSLASH_D800 = "\\ud800"


@dataclass(frozen=True)
class Case:
    """One record with the reasons it is refused for, or () for none; `fate` tells repeats from the taken."""

    hazard: str
    name: str
    record: Record
    reasons: tuple[str, ...] = ()
    fate: str = "taken"


class Maker:
    """Numbers the cases, so that each has an id of its own; all happen at `noon`."""

    def __init__(self, noon: datetime = NOON) -> None:
        self.noon = noon
        self.numbers = count(1)

    def body(self, topic: str = "views", /, **fields: Any) -> dict[str, Any]:
        """A good body of its own, with these fields changed."""
        return body_of(topic, next(self.numbers), self.noon, **fields)

    def text(self, old: str, new: str, topic: str = "views", **fields: Any) -> Record:
        """A good record whose text has `new` in the place of `old`."""
        good = record(topic, self.body(topic, **fields))
        text = (good.value or b"").decode()
        if old not in text:
            raise ValueError(f"no {old} in {text}")
        return _with(good, text.replace(old, new, 1).encode("utf-8", "surrogatepass"))

    def raw(self, value: bytes, topic: str = "views") -> Record:
        """Any bytes under good headers."""
        return _with(record(topic, self.body(topic)), value)


def _with(good: Record, value: bytes) -> Record:
    return Record(good.topic, good.key, value, good.headers, good.at, good.partition)


def cases(noon: datetime = NOON) -> list[Case]:
    """All cases, in the order in which they are put on the topics; the broker receives them at `noon`."""
    make = Maker(noon)
    parts = (broken_texts, wrong_types, huge_things, odd_letters, bare_records, wrong_clocks, repeats, late_ones,
             missing_keys, injections, new_contracts, odd_entities)  # fmt: skip
    return [case for part in parts for case in part(make)]


def broken_texts(make: Maker) -> Iterator[Case]:
    """P1: what is not exactly one JSON object."""
    good = json.dumps(make.body(), separators=(",", ":"))
    values = {
        "truncated": good[:-1], "truncated in a string": good[:60], "trailing garbage": good + "x",
        "trailing brace": good + "}", "trailing garbage that ends in a brace": good + "x}", "two documents": good + good,
        "two documents and a comma": good + "," + good, "a field after the end": good + ',"x":1}', "a list": f"[{good}]",
        "a number": "12", "a string": '"views"', "a null": "null", "empty": "", "white space": " \n\t ",
        "a byte order mark": "\ufeff" + good, "NaN": good.replace("4000", "NaN"), "infinity": good.replace("4000", "Infinity"),
        "single quotes": good.replace('"', "'"), "a trailing comma": good[:-1] + ",}",
        "a raw control character": good.replace("v1", "v\x01"), "a comment": good[:-1] + "/* */}",
        "a leading zero": good.replace("4000", "04000"),
    }  # fmt: skip
    for name, value in values.items():
        yield Case("P1", name, make.raw(value.encode()), ("malformed_json",))
    yield Case("P1", "UTF-16", make.raw(good.encode("utf-16")), ("invalid_utf8",))
    again = '"watch_ms":4000'
    yield Case("P1", "a field twice", make.text(again, f"{again},{again}"), ("duplicate_field:watch_ms",))
    yield Case("P1", "a field twice, once in escapes", make.text(again, again + ',"watch_\\u006ds":1'),
               ("duplicate_field:watch_ms",))  # fmt: skip
    yield Case("P1", "a field twice inside another", make.text('"epoch":1', '"epoch":1,"epoch":1'),
               ("duplicate_field:body",))  # fmt: skip
    yield Case("P1", "white space around", make.raw(f" \n{json.dumps(body_of('views', 90_001), indent=1)}\r\n".encode()),
               ("bad_header:ce_id",))  # fmt: skip


def wrong_types(make: Maker) -> Iterator[Case]:
    """P2: a field with another type than promised, and nothing silently null."""
    watch = {"text": '"4000"', "a fraction": "4000.5", "a fraction of zero": "4000.0", "an exponent": "4e3", "1e309": "1e309",
             "beyond 64 bits": "9223372036854775808", "900 digits": "9" * 900, "2,000 digits": "9" * 2000,
             "a truth value": "true", "an object": '{"a":1}', "a list": "[4000]"}  # fmt: skip
    for name, value in watch.items():
        wrong = make.text('"watch_ms":4000', f'"watch_ms":{value}')
        yield Case("P2", f"{name} for a whole number", wrong, ("wrong_type:watch_ms",))
    for name, value in {
        "a number": "12",
        "a truth value": "false",
        "an object": '{"a":"b"}',
        "a list": '["u1"]',
    }.items():
        wrong = make.text('"user_id":"u1"', f'"user_id":{value}')
        yield Case("P2", f"{name} for a text", wrong, ("wrong_type:user_id",))
    others: dict[str, dict[str, Any]] = {
        "wrong_type:features": {"features": [1]}, "wrong_type:experiments": {"experiments": {"a": 1}},
        "wrong_type:producer": {"producer": 5}, "wrong_type:producer.seq": {"producer": {"id": "a", "epoch": 1, "seq": "1"}},
        "out_of_range:watch_ms": {"watch_ms": -1}, "not_allowed:scene": {"scene": "metro"},
        "missing:watch_ms": {"watch_ms": None}, "missing:user_id": {"user_id": None},
        "too_long:region": {"region": "x" * 200}, "missing:event_time": {"event_time": None},
    }  # fmt: skip
    for reason, fields in others.items():
        bad = record("views", make.body(**fields), key=b"u1")
        yield Case("P2", f"{reason} in a view", bad, (reason,))
    line = {"line_id": "l1", "product_id": "p1", "merchant_id": "m1", "quantity": 2, "unit_price_fen": 500}
    lines = {
        "wrong_type:lines.quantity": {**line, "quantity": "2"}, "wrong_type:lines.product_id": {**line, "product_id": 7},
        "out_of_range:lines.quantity": {**line, "quantity": 0}, "missing:lines.merchant_id": line | {"merchant_id": None},
        "wrong_type:lines.unit_price_fen": {**line, "unit_price_fen": 5.5},
    }  # fmt: skip
    for reason, bad_line in lines.items():
        yield Case(
            "P2", f"{reason} in an order", record("orders", make.body("orders", lines=[line, bad_line])), (reason,)
        )
    two = record("views", make.body(scene="metro", watch_ms=-1))
    yield Case("P2", "two faults, both named", two, ("not_allowed:scene", "out_of_range:watch_ms"))
    yield Case("P2", "an explicit null is absent", record("views", make.body() | {"device_id": None}))


def huge_things(make: Maker) -> Iterator[Case]:
    """P3: too deep, too long."""
    for name, depth in {"1,001": 1001, "50,000": 50_000}.items():
        deep = make.text('"watch_ms":4000', f'"watch_ms":4000,"x":{"[" * depth}{"]" * depth}')
        yield Case("P3", f"depth {name}", deep, ("too_deep",))
    objects = make.text('"watch_ms":4000', f'"watch_ms":4000,"x":{_nested(1500)}')
    yield Case("P3", "objects 1,500 deep", objects, ("too_deep",))
    yield Case("P3", "a string of 21 MB", make.text("4000", f'4000,"x":"{"y" * 21_000_000}"'), ("too_large",))
    shallow = make.text('"watch_ms":4000', f'"watch_ms":4000,"x":{"[" * 200}{"]" * 200}')
    yield Case("P3", "an unknown field 200 deep is kept", shallow)


def _nested(depth: int) -> str:
    return '{"a":' * depth + "1" + "}" * depth


def odd_letters(make: Maker) -> Iterator[Case]:
    """P4: what is no UTF-8 is refused, what is merely odd is kept."""
    latin = record("views", make.body(region="caf\u00e9"))
    yield Case("P4", "Latin-1", _with(latin, (latin.value or b"").decode().encode("latin-1")), ("invalid_utf8",))
    yield Case("P4", "an overlong slash", _with(latin, (latin.value or b"").replace("é".encode(), b"\xc0\xaf")),
               ("invalid_utf8",))  # fmt: skip
    yield Case("P4", "half a character in escapes", make.text('"v1"', f'"v{BACKSLASH_D800}"'), ("invalid_utf8",))
    raw_half = make.text('"v1"', '"v\ud800"')
    yield Case("P4", "half a character in bytes", raw_half, ("invalid_utf8",))
    kept = {"an escaped backslash before ud800": '"v\\\\ud800"', "a whole pair in escapes": '"v\\ud83d\\ude00"',
            "NUL": '"v\\u0000x"', "right to left": '"\u202eabc"', "emoji": '"v😀"', "an escaped quote": '"v\\"1"',
            "Chinese in escapes": '"\\u4e2d\\u6587"', "a list in a text": '"[v1"', "a colon": '":"'}  # fmt: skip
    for name, value in kept.items():
        yield Case("P4", name, make.text('"v1"', value))


def bare_records(make: Maker) -> Iterator[Case]:
    """P5: records that lack a part, or are of a kind or version nobody knows."""
    body = make.body
    yield Case("P5", "a tombstone among facts", record("views", body(), value=None), ("tombstone",))
    yield Case("P5", "no headers", record("views", body(), headers=None), ("no_headers",))
    yield Case("P5", "an empty list of headers", record("views", body(), headers=()), ("no_headers",))
    strange = {"unknown_type": b"com.example.thing", "unknown_version": b"reelhouse.view.v99"}
    for reason, kind in strange.items():
        yield Case("P5", reason, _reheaded(record("views", body()), "ce_type", kind), (reason,))
    other = _reheaded(record("views", body()), "ce_type", b"reelhouse.like.v1")
    yield Case("P5", "another topic's type", other, ("unknown_type",))
    for name in ("ce_id", "ce_source", "ce_type"):
        yield Case("P5", f"no {name}", _reheaded(record("views", body()), name, None), (f"bad_header:{name}",))
    wrong_id = _reheaded(record("views", body()), "ce_id", uuid7(make.noon, 99_999).encode())
    yield Case("P5", "a header with another id", wrong_id, ("bad_header:ce_id",))
    yield Case("P5", "a header of invalid UTF-8", _reheaded(record("views", body()), "ce_source", b"\xff"),
               ("bad_header:ce_source",))  # fmt: skip
    twice = record("views", body())
    yield Case("P5", "a header twice: the first counts",
               Record(twice.topic, twice.key, twice.value, (*(twice.headers or ()), ("ce_type", b"x"))))  # fmt: skip


def _reheaded(good: Record, name: str, value: bytes | None) -> Record:
    pairs = [(key, value if key == name else old) for key, old in good.headers or ()]
    return Record(good.topic, good.key, good.value, tuple((key, told) for key, told in pairs if told is not None))


def wrong_clocks(make: Maker) -> Iterator[Case]:
    """P6: a clock that is wrong is set right by the time of sending, or not believed."""
    for name, wrong in {"years slow": -20 * 365 * DAY, "a day fast": DAY, "in 2099": 73 * 365 * DAY}.items():
        clock = micros(make.noon + wrong)
        yield Case("P6", f"a clock {name}, sent at once", record("views", make.body(event_time=clock, sent_time=clock)))
    ahead = make.body(event_time=micros(make.noon + DAY))
    yield Case("P6", "an event a day ahead of its own sending", record("views", ahead), ("future_time",))
    yield Case("P6", "nine minutes ahead", record("views", make.body(event_time=micros(make.noon) + 9 * 60_000_000)))
    yield Case("P6", "eleven minutes ahead", record("views", make.body(event_time=micros(make.noon) + 11 * 60_000_000)),
               ("future_time",))  # fmt: skip
    yield Case("P6", "an event of 1970", record("views", make.body(event_time=1)), ("past_time",))
    yield Case("P6", "a time before 1970", record("views", make.body(event_time=-1)),
               ("out_of_range:event_time", "past_time"))  # fmt: skip
    least = record("views", make.body(sent_time=-(2**63)))
    yield Case("P6", "the least sending time there is", least, ("out_of_range:sent_time",))
    told = {
        "ce_source": b"replay:test",
        "ce_replayrange": f"{micros(make.noon - 400 * DAY)}/{micros(make.noon)}".encode(),
    }
    old = make.body(event_time=micros(make.noon - 399 * DAY))
    yield Case("P6", "a replay inside its range", _told(record("views", old), told))
    outside = _told(record("views", make.body(event_time=micros(make.noon))), told)
    yield Case("P6", "a replay outside its range", outside, ("outside_declared_range",))
    endless = {"ce_source": b"replay:test", "ce_replayrange": f"0/{2**63 - 1}".encode()}
    at_the_end = endless | {"ce_replaytime": str(2**63 - 1).encode()}
    yield Case("P6", "a replay that arrives at the end of all time", _told(record("views", make.body()), at_the_end))
    last = _told(record("views", make.body(event_time=253_402_300_799_999_999)), endless)
    yield Case("P6", "a replay of the last day that has a date", last, ("future_time",))
    silent = _told(record("views", make.body()), {"ce_source": b"replay:test"})
    yield Case("P6", "a replay without a range", silent, ("bad_header:ce_replayrange",))


def _told(good: Record, headers: dict[str, bytes]) -> Record:
    kept = tuple(pair for pair in good.headers or () if pair[0] not in headers)
    return Record(good.topic, good.key, good.value, (*kept, *headers.items()))


def repeats(make: Maker) -> Iterator[Case]:
    """P7: the same id again."""
    body = make.body()
    yield Case("P7", "the first of three", record("views", body))
    yield Case("P7", "the same again, sent later", record("views", body | {"sent_time": body["sent_time"] + 5}),
               fate="duplicate")  # fmt: skip
    yield Case(
        "P7", "the same id with other content", record("views", body | {"watch_ms": 1}), ("conflict",), "conflict"
    )
    shadow = make.body()
    yield Case("P7", "a bad record with the id of a good one", record("views", shadow | {"watch_ms": "x"}),
               ("wrong_type:watch_ms",))  # fmt: skip
    yield Case("P7", "the good one after it", record("views", shadow))


def late_ones(make: Maker) -> Iterator[Case]:
    """P8: late is not wrong."""
    for name, late in {"a second": timedelta(seconds=1), "a day": DAY, "30 days": 30 * DAY}.items():
        yield Case("P8", f"late by {name}", record("views", make.body(event_time=micros(make.noon - late))))


def missing_keys(make: Maker) -> Iterator[Case]:
    """P9: no key, or an empty id."""
    yield Case("P9", "a null key", record("views", make.body(), key=None), ("empty_key",))
    yield Case("P9", "an empty key", record("views", make.body(), key=b""), ("empty_key",))
    yield Case("P9", "an empty user", record("views", make.body(user_id=""), key=b""), ("empty_key", "empty:user_id"))
    yield Case("P9", "another's key", record("views", make.body(), key=b"u2"), ("key_mismatch",))
    yield Case("P9", "a key of invalid UTF-8", record("views", make.body(), key=b"\xff"), ("empty_key",))
    no_id = make.body(event_id=None)
    yield Case("P9", "no id", record("views", no_id, headers=headers_of("views", "x")), ("missing:event_id",))
    for name, bad in {"version 4": "019caeb0-7a80-4001-8a5b-0242ac120001", "upper case": uuid7(make.noon, 7).upper(),
                      "a text": "e-1", "beyond the year 9999": "ffffffff-ffff-7000-8000-000000000001"}.items():  # fmt: skip
        yield Case("P9", f"an id of {name}", record("views", make.body(event_id=bad)), ("bad_event_id",))


def injections(make: Maker) -> Iterator[Case]:
    """P10: text that would like to be code."""
    for text in (
        "'; DROP TABLE silver.views; --",
        "../../etc/passwd",
        "<script>alert(1)</script>",
        "${jndi:ldap://x}",
        "a`b",
    ):
        yield Case("P10", text, record("views", make.body(user_id=text, region=text, video_id=text)))
    bad = record("views", make.body(event_id="' OR 1=1 --"))
    yield Case("P10", "an id that would like to be SQL", bad, ("bad_event_id",))


def new_contracts(make: Maker) -> Iterator[Case]:
    """P11: fields come, go and change their names."""
    yield Case("P11", "a new field is kept", record("views", make.body(mood="good")))
    yield Case("P11", "a new field with structure is kept", record("views", make.body(mood={"a": [1, 2]})))
    yield Case("P11", "a renamed field", record("views", make.body(watch_ms=None, watched_ms=1)), ("missing:watch_ms",))
    yield Case("P11", "another case is another field", record("views", make.body(watch_ms=None, Watch_ms=1)),
               ("missing:watch_ms",))  # fmt: skip
    yield Case("P11", "a new kind", record("views", make.body(kind="dream")), ("not_allowed:kind",))
    yield Case("P11", "an act about nothing", record("likes", make.body("likes", video_id=None)), ("no_object",))


def odd_entities(make: Maker) -> Iterator[Case]:
    """Entities and control keep the same rules."""
    yield Case(
        "P2", "a user born as text", record("users", make.body("users", birth_year="1990")), ("wrong_type:birth_year",)
    )
    yield Case(
        "P2", "an unknown consent", record("users", make.body("users", consent=["all"])), ("not_allowed:consent",)
    )
    yield Case(
        "P9", "a tombstone without a key", record("users", make.body("users"), key=b"", value=None), ("empty_key",)
    )
    yield Case(
        "P5", "a tombstone without headers", record("users", make.body("users", user_id="u9"), value=None, headers=None)
    )
    yield Case(
        "P2", "a word about no topic", record("control", make.body("control", topic="x")), ("not_allowed:topic",)
    )
    yield Case("P1", "half a word of control", make.raw(b'{"kind":"complete"', "control"), ("malformed_json",))
