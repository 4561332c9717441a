"""Odd records of every topic from a seed: good ones, of which field by field, header by header something is odd.

Each has a name that says what was done to it. A body is a list of (name, value) as they stand in its text, so that
nothing in it need be JSON.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from jobs.definitions.event_ids import BEYOND
from jobs.lake.event_contracts import EventField, event_contract
from jobs.lake.settings import ROOT
from tests.lake.logs import NOON, Record, body_of, headers_of, micros

Headers = tuple[tuple[str | None, bytes | None], ...] | None
Parts = list[tuple[str, str]]  # of a body, as they are written
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MINUTE_US, NOON_US, LAST_US = 60_000_000, micros(NOON), 253_402_300_799_999_999
GREATEST = 2**63 - 1
LETTERS = (
    "a", "Z", "0", " ", "\t", "\n", "\r", "\x00", "\x01", "\x1f", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff",
    "ä", "a\u0308", "é", "中", "文", "😀", "👩\u200d👩", "\u202e", "ש", "\u0301", "\uffff", "\ufffd", "\U0010ffff", "İ",
    "ß", "ﬁ", "\u200b", '"', "\\", "/", "'", "`", ":", ";", ",", "{", "[", "%", "_", "$", "<b>", "٣",
)  # fmt: skip
TEXTS = (
    "", " ", "  a ", "null", "true", "12", "-1", "1e3", "0x10", "٣", "NaN", "2026-11-20", "a:b", "a=b&c", "../x",
    "__HIVE__",
    "\x00", "a\x00b", "\x00\x00", "\ufeffa", "e\u0301", "é", "중", "\u2028", "\U0010ffff", "😀😀", "\\u0041", '"', "\\",
    "{}", "[1]", '{"a":1}', "'; DROP TABLE x; --", "İıſK", "x" * 31, "x" * 32, "x" * 33, "x" * 127, "x" * 128,
    "x" * 129, "中" * 128, "😀" * 64, "😀" * 65, "😀" * 128, "😀" * 129, "e\u0301" * 64, "a\u0308" * 65, "x" * 1000,
    "x" * 1001,
    "\u00ff" * 32, "\uffff" * 33, "\U0010ffff" * 40, "x" * 31 + "😀y", "x" * 20_000, "中" * 20_001, "k1:" + "0" * 32,
)  # fmt: skip
NUMBERS = (
    "0", "-0", "-1", "1", "5", "6", "1900", "1899", "2100", "2101", "604800000", "604800001", "1000000", "1000001",
    "2147483647", "2147483648", "-2147483649", "4294967296", "9007199254740991", "9007199254740992",
    "10000000000000", "10000000000001", f"{LAST_US}", f"{LAST_US + 1}", f"{GREATEST}", f"{GREATEST + 1}",
    f"{-GREATEST - 1}",
    f"{-GREATEST - 2}", "18446744073709551615", "18446744073709551616", "9" * 19, "9" * 20, "-" + "9" * 19, "9" * 400,
    "0" * 30, "1.0", "0.0", "-0.0", "4000.5", "1e3", "1E3", "1e0", "1e-400", "1e309", "-1e309", "00", "01", "-01", "+1",
    "0x10", "1_000", ".5", "5.", "-", "NaN", "Infinity", "-Infinity",
)  # fmt: skip
ODD = (
    "null", "true", "false", "True", "nul", "", " ", '""', '"4000"', "'a'", "{}", "[]", "[null]", "[[]]", "[{}]",
    '["a"]',
    '["a",null]', '["a","a"]', '["a",1]', "[1,2]", '{"a":1}', '{"a":"b"}', '{"a":null}', '{"a":"b","a":"c"}', '{"":""}',
    '{"b":"1","a":"2"}', '{"a":"2","b":"1"}', '{"a":{"b":[1,{"c":null}]}}', '{"\\u0061":"x"}', "[" * 299 + "]" * 299,
    "[" * 301 + "]" * 301, '"\\u0041"', '"\\ud83d\\ude00"', '"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"',
    '"\\/\\b\\f\\n\\r\\t"',
    '"\\x"', '"\\u12"', '"a\nb"', '"a\x00b"', '"open', '{"id":"a"}', '{"id":"a","epoch":1,"seq":2,"more":[1]}',
    '{"id":"","epoch":-1,"seq":9007199254740992}', '{"id":1,"epoch":"1","seq":1.5}', '{"seq":1,"epoch":2,"id":"z"}',
    '[{"line_id":"l","quantity":0}]', "[null,{}]", '[{"partition":0,"next_offset":5,"x":1}]', "NaN",
)  # fmt: skip
BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda _: b"",
    "blanks": lambda _: b" \n",
    "null": lambda _: b"null",
    "a number": lambda _: b"12",
    "a list": lambda raw: b"[" + raw + b"]",
    "an empty object": lambda _: b"{}",
    "cut off": lambda raw: raw[:-1],
    "cut in half": lambda raw: raw[: len(raw) // 2],
    "twice": lambda raw: raw + raw,
    "a letter behind": lambda raw: raw + b"x",
    "NUL behind": lambda raw: raw + b"\x00",
    "blanks around": lambda raw: b" \t\r\n" + raw + b"\n\r\t ",
    "a byte order mark": lambda raw: b"\xef\xbb\xbf" + raw,
    "UTF-16": lambda raw: raw.decode(errors="replace").encode("utf-16"),
    "a stray byte": lambda raw: raw.replace(b'":"', b'":"\xff', 1),
    "an overlong slash": lambda raw: raw.replace(b'":"', b'":"\xc0\xaf', 1),
    "half a character": lambda raw: raw.replace(b'":"', b'":"\xed\xa0\x80', 1),
    "beyond the last character": lambda raw: raw.replace(b'":"', b'":"\xf4\x90\x80\x80', 1),
    "blanks everywhere": lambda raw: raw.replace(b":", b" : ").replace(b",", b"\n,\t"),
    "a comma more": lambda raw: raw[:-1] + b",}",
    "a comment": lambda raw: raw[:-1] + b"/* x */}",
    "single quotes": lambda raw: raw.replace(b'"', b"'"),
}
TIMES = (  # as a header says them
    "2026-11-20T04:00:00Z", "2026-11-20T04:00:00.5Z", "2026-11-20T04:00:00.123456Z", "2026-11-20T04:00:00.1234567Z",
    "2026-11-20T04:00:00.123456789Z", "2026-11-20T04:00:00.1234567891Z", "2026-11-20T04:00:00.999999999Z",
    "2026-11-20T04:00:00", "2026-11-20 04:00:00", "2026-11-20 04:00:00.25", "2026-11-20T04:00", "2026-11-20T04",
    "2026-11-20",
    "2026-11-20T", "2026-11", "2026", "20261120", "20261120T040000Z", "2026-11-20t04:00:00z", "2026-11-20T04:00:00z",
    "2026-11-20T04:00:00+08:00", "2026-11-20T04:00:00-0330", "2026-11-20T04:00:00+0800", "2026-11-20T04:00:00+08",
    "2026-11-20T04:00:00+8", "2026-11-20T04:00:00+8:00", "2026-11-20T04:00:00+08:00:30", "2026-11-20T04:00:00+18:00",
    "2026-11-20T04:00:00+18:01", "2026-11-20T04:00:00+19:00", "2026-11-20T04:00:00 +08:00", "2026-11-20T04:00:00 Z",
    "2026-11-20 04:00:00 UTC", "2026-11-20T04:00:00 Asia/Shanghai", "2026-11-20T04:00:00Asia/Shanghai",
    "2026-11-20T04:00:00[Asia/Shanghai]", "2026-11-20T04:00:00+08:00[Asia/Shanghai]", "2026-11-20T04:00:00 PST",
    "2026-11-20T04:00:00 EST", "2026-11-20T04:00:00 CST", "2026-11-20T04:00:00GMT+8", "2026-11-20T04:00:00UTC+8",
    "2026-11-20T04:00:00 UT",
    "2026-11-20T04:00:00 GMT", "2026-11-20T04:00:00-00:00", "2026-11-20T23:59:60Z", "2026-12-31T23:59:60.5Z",
    "2026-11-20T24:00:00Z",
    "2026-11-20T24:00:00", "2026-11-20T25:00:00Z", "2026-11-20T04:60:00Z", "2026-11-20T4:0:0Z", "2026-1-2T3:4:5Z",
    "2026-1-2",
    "2026-02-29T00:00:00Z", "2024-02-29T00:00:00Z", "2026-02-30", "2026-00-10T00:00:00Z", "2026-13-01T00:00:00Z",
    "2026-11-00T00:00:00Z", "2026-11-20T04:00:00.Z", "2026-11-20T04:00:00,5Z", "2026-11-20T04:00:.5Z",
    " 2026-11-20T04:00:00Z",
    "2026-11-20T04:00:00Z ", "\t2026-11-20T04:00:00Z\n", "\u30002026-11-20", "2026-11-20T04:00:00Zx", "x2026-11-20",
    "2026-11-20T04:00:00ZZ", "T04:00:00Z", "04:00:00", "now", "NOW", "today", "epoch", "tomorrow", "yesterday",
    "infinity", "1763611200", "1763611200000",
    "1763611200000000", "Fri, 20 Nov 2026 04:00:00 GMT", "20/11/2026", "11/20/2026", "2026/11/20", "2026.11.20",
    "2026-W47-5", "2026-324",
    "1970-01-01T00:00:00Z", "1969-12-31T23:59:59.999999Z", "1900-01-01T00:00:00Z", "1582-10-10T00:00:00Z",
    "1582-10-04T23:59:59Z", "0001-01-01T00:00:00Z", "0000-01-01T00:00:00Z", "-0001-01-01T00:00:00Z", "-2026-11-20",
    "+2026-11-20",
    "9999-12-31T23:59:59.999999Z", "10000-01-01T00:00:00Z", "+10000-01-01T00:00:00Z", "99999-01-01",
    "294247-01-10T04:00:54.775807Z",
    "294247-01-10T04:00:54.775808Z", "+294247-01-10T04:00:54.775807Z", "999999-01-01", "2262-04-11T23:47:16.854775807Z",
    "2262-04-11T23:47:16.854775808Z", "2500-01-01T00:00:00Z", "1677-09-21T00:12:43.145224192Z",
    "1677-09-21T00:12:43Z", "1500-06-01T12:00:00Z",
    "2026-11-20T04:00:00\x00", "２０２６-11-20", "٢٠٢٦-11-20", "2026-11-20T04:00:00−08:00", "", " ", "null",
    "2026-11-20T04:00:00.000000000000Z",
    "2026-11-20T04:00:00.0000009Z", "2026-11-20T04:00:00.1+01:00", "2026-11-20T0400Z", "2026-11-20T04:00Z",
    "2026-11-20T04:00+08:00", "2026-11-20T04Z", "2026-11-20Z", "2026-11-20+08:00",
    "2026-03-29 02:30:00 Europe/Berlin", "2026-10-25 02:30:00 Europe/Berlin", "2026-11-20T04:00:00 europe/berlin",
    "2026-11-20 4:00 AM", "2026-11-20T04:00:00AM", "02026-11-20", "002026-11-20T04:00:00Z",
)  # fmt: skip
WHOLE = (  # as a header says them
    f"{NOON_US}", "0", "-0", "-1", "+1", f"+{NOON_US}", f"000{NOON_US}", "0" * 40 + f"{NOON_US}", f" {NOON_US}",
    f"{NOON_US} ",
    f"\t{NOON_US}\n", f"\u3000{NOON_US}", f"\xa0{NOON_US}", f"\x0b{NOON_US}", f"\x00{NOON_US}", f"{NOON_US}\x00",
    f"\x1f{NOON_US}\x01",
    f"{NOON_US}\x7f", f"\x85{NOON_US}", f"\u2028{NOON_US}", f"{NOON_US}.0", f"{NOON_US}.", f"{NOON_US}.9",
    f"-{NOON_US}.9", ".5", ".", f"{NOON_US}e0", "1e3", "1E15", "0x10",
    "1_000", "1,000", "1763611200000000L", f"{NOON_US}L", f"{NOON_US}D", f"{NOON_US}f", "١٢٣", "１２３", "+",
    "-", "+-1",
    "--1", "- 1", "", " ", "NaN", "Infinity", "true", "null",
    f"{GREATEST}", f"{GREATEST + 1}", f"{-GREATEST - 1}", f"{-GREATEST - 2}", f"{GREATEST}.5", f"{GREATEST}.99",
    f"{-GREATEST - 1}.5", "9" * 30, f"{GREATEST - 1}", f"{GREATEST - 600_000_000}",
    f"{GREATEST - 599_999_999}", f"{LAST_US}", f"{LAST_US + 1}", f"{NOON_US}1.5x", "1.5.5", "1.", "0.0", "-.5",
    "1.5e3", "1.٣", "12 34",
)  # fmt: skip
RANGES = (
    "{a}/{b}",
    "{a}",
    "/{b}",
    "{a}/",
    "/",
    "",
    "{a}//{b}",
    "{a}/{b}/",
    "{a}/{b}/{a}",
    "{a} / {b}",
    "{b}/{a}",
    "{a}\\{b}",
    "{a}-{b}",
)
KINDS = (
    "{n}", "{n}.v1", "{n}.v01", "{n}.v001", "{n}.v0", "{n}.v2", "{n}.v99", "{n}.v999999999", "{n}.v9999999999",
    "{n}.v-1",
    "{n}.v+1", "{n}.v1.0", "{n}.v1 ", " {n}.v1", "{n}.v", "{n}.V1", "{n}.v1.v1", "{n}.v.v1", "{n}.v1\n", "{n}.v1\x00",
    "{n}.v١", "{n}.v１",
    "{n}v1", "{n}s.v1", "x{n}.v1", ".v1", "v1", "", " ", "REELHOUSE.view.v1", "reelhouse.view.v1",
    "reelhouse.like.v1", "reelhouse.order.v1",
    "{n}.v1\r\n.v2", "{n}.vv1", "com.example.thing", "{n}.v2147483648", "{n}.v2147483647", "{n}.v1😀",
)  # fmt: skip
SOURCES = (
    "app:test", "", " ", "replay:", "replay:x", "replay", "Replay:x", "REPLAY:x", " replay:x", "replay:\n",
    "replay:😀", "replay:x" * 40, "sim:1",
    "x" * 33, "x" * 500, "中" * 33, "\x00", "\ufeffreplay:x", "replay\x00:x", "a\nb",
)  # fmt: skip
RAW = (b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"a\xff", b"\xe4\xb8", b"\x80", b"\x00", b"")


@dataclass(frozen=True)
class Odd:
    """A record and what is odd about it."""

    name: str
    record: Record
    headers: Headers


class Maker:
    """Makes records of one topic, each with an id of its own unless it repeats an earlier one."""

    def __init__(self, topic: str, random: Random) -> None:
        self.topic, self.random, self.number = topic, random, 0
        self.fields = event_contract(topic, 1, ROOT / "schemas").fields
        self.names = [field.name for field in self.fields]
        self.type_name = event_contract(topic, 1, ROOT / "schemas").type_name

    def records(self) -> Iterator[Odd]:
        """All of them."""
        yield from self.of_fields()
        for make, times in (
            (self.full, 60), (self.of_texts, 60), (self.of_letters, 40), (self.of_ids, 40), (self.of_clocks, 90),
            (self.of_replays, 110), (self.of_headers, 90), (self.of_keys, 30), (self.gone, 60), (self.again, 60),
        ):  # fmt: skip
            for _ in range(times):
                yield make()
        for text in TIMES:
            yield self.told(f"ce_time {text!r}", {"ce_time": text.encode()}, value=None)
        for text in WHOLE:
            yield self.replayed(text, "0/9223372036854775807")
            yield self.told(f"a tombstone of {text!r}", {"ce_replaytime": text.encode()}, value=None)

    # what is good

    def full(self) -> Odd:
        """A good record with many of its fields, of odd but allowed values."""
        return self.made("allowed values", self.parts(self.some_fields()))

    def some_fields(self) -> dict[str, Any]:
        """Some of the fields beyond those a body must have."""
        envelope = ("event_id", "event_time", "sent_time", "producer", "kind")
        chosen = [each for each in self.fields if each.name not in envelope and self.random.random() < 0.6]
        return {field.name: self.good(field) for field in chosen}

    def good(self, field: EventField) -> Any:
        """A value that the contract allows, as often as not an odd one."""
        if "enum" in field.limits:
            return self.random.choice(field.limits["enum"])
        return getattr(self, f"good_{field.kind}")(field)

    def good_string(self, field: EventField) -> str:
        least, most = field.limits.get("minLength", 0), field.limits.get("maxLength", 100)
        text = "".join(self.random.choices(LETTERS, k=self.random.choice((0, 1, 3, 9))))
        text = self.random.choice((text, self.random.choice(TEXTS)))[:most]
        return text if len(text) >= least else "x" * least

    def good_integer(self, field: EventField) -> int:
        least, most = field.limits.get("minimum", 0), field.limits.get("maximum", 10**6)
        inside = [
            number for number in (least, least + 1, most - 1, most, 2**31, 2**32, 2**53 - 1) if least <= number <= most
        ]
        return self.random.choice([*inside, self.random.randint(least, most)])

    def good_boolean(self, _: EventField) -> bool:
        return self.random.random() < 0.5

    def good_array(self, field: EventField) -> list[Any]:
        assert field.item
        least, most = field.limits.get("minItems", 0), min(field.limits.get("maxItems", 5), 100)
        length = self.random.choice((least, 1, 2, 3, most))
        return [self.good(field.item) for _ in range(max(least, min(most, length)))]

    def good_map(self, field: EventField) -> dict[str, str | None]:
        assert field.item
        names = {self.good_string(field.item) for _ in range(self.random.choice((0, 1, 2, 5)))}
        pairs = [(name, self.random.choice((self.good_string(field.item), "b", None))) for name in sorted(names)]
        self.random.shuffle(pairs)
        return dict(pairs)

    def good_object(self, field: EventField) -> dict[str, Any]:
        return {part.name: self.good(part) for part in field.parts if part.required or self.random.random() < 0.5}

    # what is not

    def of_fields(self) -> Iterator[Odd]:
        """Each field with odd values in its place; or beside it, under the same name."""
        for field in self.fields:
            beyond = [*self.beyond(field)]
            for value in [*beyond, *self.random.sample(NUMBERS, 5), *self.random.sample(ODD, 6)]:
                yield self.made(f"{field.name} is {value[:60]}", self.with_value(field.name, value))
            for value in self.random.sample(TEXTS, 4):
                yield self.made(
                    f"{field.name} is a text {value[:40]!r}", self.with_value(field.name, json.dumps(value))
                )
            twice = self.parts() if field.name in ("producer",) else self.parts({field.name: self.good(field)})
            yield self.made(f"{field.name} twice", [*twice, (field.name, "null")])
            odd = f"\\u{ord(field.name[0]):04x}{field.name[1:]}"
            yield self.made(
                f"{field.name} in escapes", [(odd if name == field.name else name, each) for name, each in twice]
            )
            yield self.made(f"no {field.name}", [pair for pair in twice if pair[0] != field.name])
            for part in (*field.parts, *(field.item.parts if field.item else ())):
                for value in [*self.beyond(part), *self.random.sample(NUMBERS, 4), *self.random.sample(ODD, 4)]:
                    yield self.made(
                        f"{field.name}.{part.name} is {value[:60]}", self.with_part(field, part.name, value)
                    )

    def beyond(self, field: EventField) -> Iterator[str]:
        """At the bounds of what is allowed, and just beyond."""
        limits = field.limits
        for bound in ("minimum", "maximum"):
            if bound in limits:
                yield from (str(limits[bound] + step) for step in (-1, 0, 1))
        for bound in ("minLength", "maxLength"):
            if bound in limits:
                yield from (json.dumps("😀" * max(0, limits[bound] + step), ensure_ascii=False) for step in (-1, 0, 1))
        for bound in ("minItems", "maxItems"):
            if bound in limits and limits[bound] < 2000 and field.item:
                item = self.good(field.item)
                yield from (json.dumps([item] * max(0, limits[bound] + step)) for step in (-1, 0, 1))
        if "maxProperties" in limits:
            for step in (-1, 0, 1):
                named = {f"{n}": "x" for n in range(limits["maxProperties"] + step)}
                yield from (json.dumps(named), json.dumps(named | {"null": None}))

    def with_value(self, name: str, value: str) -> Parts:
        """A good body with the text of one field's value."""
        parts = self.parts()
        return [pair for pair in parts if pair[0] != name] + [(name, value)]

    def with_part(self, field: EventField, name: str, value: str) -> Parts:
        """The same of a part of an object, or of one of a list of them."""
        parts = field.item.parts if field.item else field.parts
        inner = [(part.name, value if part.name == name else json.dumps(self.good(part))) for part in parts]
        whole = written(inner)
        return self.with_value(field.name, f"[{whole},{whole}]" if field.kind == "array" else whole)

    def of_texts(self) -> Odd:
        """A body whose text as a whole is odd."""
        name, change = self.random.choice([*BROKEN.items()])
        made = self.made(name, self.parts())
        return replace(made, record=replace(made.record, value=change(made.record.value or b"")))

    def of_letters(self) -> Odd:
        """Unknown fields with odd names and values, the fields in another order."""
        names = ["".join(self.random.choices(LETTERS, k=2)) for _ in range(3)] + [
            "Kind",
            "kind ",
            "",
            "user_id2",
            "event",
        ]
        unknown = [
            (json.dumps(name)[1:-1], self.random.choice((*NUMBERS, *ODD, json.dumps(self.random.choice(TEXTS)))))
            for name in self.random.sample(names, 3)
        ]
        parts = [*self.parts(self.some_fields()), *unknown]
        self.random.shuffle(parts)
        return self.made(f"unknown fields {unknown!r:.80}", parts)

    def of_ids(self) -> Odd:
        """An id that is none, or only just is one."""
        good = str(body_of(self.topic, self.next())["event_id"])
        ids = (
            good.upper(), good[:14] + "4" + good[15:], good[:19] + "c" + good[20:], good[:-1], good + "0",
            good + "\n", " " + good,
            good.replace("-", ""), "{" + good + "}", f"{BEYOND}-7000-8000-000000000001",
            "e677d21f-dbff-7fff-bfff-ffffffffffff",
            "00000000-0000-7000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
            "7fffffff-ffff-7000-8000-000000000000",
            "80000000-0000-7000-8000-000000000001", good[:8] + "\x00" + good[9:], "g" + good[1:], "０" + good[1:],
            "😀" * 36, "",
            f"{self.random.randrange(16**8):08x}-{self.random.randrange(16**4):04x}-7{good[15:]}",
            f"0{self.random.randrange(16**7):07x}-{self.random.randrange(16**4):04x}-7{good[15:]}",
        )  # fmt: skip
        chosen = self.random.choice(ids)
        return self.made(f"event_id {chosen!r}", self.parts({"event_id": chosen}), event_id=chosen)

    def of_clocks(self) -> Odd:
        """Times at the edges of what is believed, and kafka times of any year."""
        steps = (0, 1, -1, 1000, -1000, 999, -999)
        minutes = self.random.choice((0, 5, -5, 10, -10, 366 * 24 * 60, -366 * 24 * 60, 24 * 60, 60 * 24 * 365 * 30))
        ages = (NOON_US, 0, 1, LAST_US, -1, -GREATEST, GREATEST, LAST_US // 2, micros(datetime(2150, 7, 1, tzinfo=UTC)))
        sent, step = self.random.choice((NOON_US, NOON_US, *ages)), self.random.choice(steps)
        at = self.random.choice((sent, NOON_US, *ages)) + minutes * MINUTE_US + step
        sent += self.random.choice((0, 0, 5, -5)) * MINUTE_US + self.random.choice(steps)
        body = {"event_time": at, "sent_time": sent}
        made = self.made(f"times {body}", self.parts({**body, **self.times()}))
        days = ("0001-01-01", "1582-10-10", "1582-10-15", "1900-01-01", "1969-12-31", "1970-01-01", "1986-05-04",
                "2026-11-20", "2150-07-01",
                "9999-12-31")  # fmt: skip
        arrived = datetime.fromisoformat(f"{self.random.choice(days)}T15:59:59.999999+00:00")
        is_live = self.random.random() < 0.5
        return (
            made if is_live else replace(made, record=replace(made.record, at=arrived), name=f"{made.name}, {arrived}")
        )

    def times(self) -> dict[str, int]:
        """Of the other fields that are times."""
        return {
            each.name: self.good_integer(each) for each in self.fields if each.is_time and each.name not in ENVELOPE
        }

    def of_replays(self) -> Odd:
        """What a replay says of itself."""
        bounds = [self.random.choice((str(NOON_US - 10**9), str(NOON_US + 1), "0", *WHOLE)) for _ in range(2)]
        declared = self.random.choice(("{a}/{b}", *RANGES)).format(a=bounds[0], b=bounds[1])
        return self.replayed(self.random.choice((str(NOON_US), *WHOLE)), declared)

    def replayed(self, at: str, declared: str) -> Odd:
        """A replay's record that arrived then, as it says, of these times."""
        time = self.random.choice((NOON_US, 0, 1, LAST_US, NOON_US - 10**9))
        said = {"ce_source": b"replay:x", "ce_replaytime": at.encode(), "ce_replayrange": declared.encode()}
        parts = self.parts({"event_time": time, "sent_time": self.random.choice((time, 0, NOON_US, LAST_US))})
        return self.told(f"a replay at {at!r} of {declared!r}", said, parts)

    def of_headers(self) -> Odd:
        """Headers that are odd: their values, or how often and how they are there."""
        made = self.made("", self.parts())
        pairs = [*(made.headers or ())]
        name = self.random.choice(("ce_id", "ce_type", "ce_source", "ce_time", "ce_replaytime", "ce_replayrange"))
        texts = [
            *(kind.format(n=self.type_name.rpartition(".v")[0]).encode() for kind in KINDS),
            *(text.encode() for text in SOURCES),
            *RAW, None, self.type_name.encode(),
        ]  # fmt: skip
        text = self.random.choice(texts)
        others = [pair for pair in pairs if pair[0] != name]
        ways: dict[str, Headers] = {
            "is": (*others, (name, text)), "is first": ((name, text), *pairs), "is again": (*pairs, (name, text)),
            "is not there": tuple(others), "alone": ((name, text),), "in upper case": (*others, (name.upper(), text)),
            "none": (), "null": None, "twice": (*pairs, *pairs), "unnamed": (("", text), *pairs),
            "nameless": ((None, text), *pairs),
        }  # fmt: skip
        kinds = [kind.format(n=self.type_name.rpartition(".v")[0]).encode() for kind in KINDS]
        if self.random.random() < 0.6:
            name, text = self.random.choice(
                (("ce_type", self.random.choice(kinds)), ("ce_source", self.random.choice(SOURCES).encode()))
            )
            ways = {"is": (*[pair for pair in pairs if pair[0] != name], (name, text))}
        way, headers = self.random.choice([*ways.items()])
        return replace(made, headers=headers, name=f"header {name} {way} {text!r:.60}")

    def of_keys(self) -> Odd:
        """A key that is not what the body says, or is, and is odd."""
        made = self.made("", self.parts())
        key = self.random.choice(
            (None, *RAW, *(text.encode() for text in self.random.sample(TEXTS, 3)), (made.record.key or b"") + b" ")
        )
        return replace(made, record=replace(made.record, key=key), name=f"key {key!r:.60}")

    def gone(self) -> Odd:
        """A tombstone with odd headers."""
        odd = self.of_headers()
        key = self.random.choice((odd.record.key, b"k", None, *RAW, "😀".encode(), "中".encode() * 60))
        return replace(odd, record=replace(odd.record, value=None, key=key), name=f"a tombstone, {odd.name}")

    def again(self) -> Odd:
        """A body that came before, or nearly so, at another time."""
        number = self.random.randrange(7)
        odd = self.random.choice(
            (
                (),
                (),
                (("more", "1"),),
                (("more", '{"b":1,"a":2}'), ("less", "[]")),
                (("less", "[]"), ("more", '{"b":1,"a":2}')),
            )
        )
        sent = NOON_US + self.random.choice((0, 5, 10**6))
        body = body_of(self.topic, 10**9 + number) | {"sent_time": sent}
        parts = [(name, json.dumps(value)) for name, value in body.items()]
        if self.random.random() < 0.3:
            parts = [*parts[1:], *odd, parts[0]]
        made = self.made(f"again {number} {odd}", [*parts, *(odd if len(parts) == len(body) else ())])
        arrived = NOON + timedelta(microseconds=self.random.choice((0, 0, 1, -1, 1000, -1000)))
        return replace(made, record=replace(made.record, at=arrived, partition=self.random.randrange(2)))

    # putting it together

    def next(self) -> int:
        self.number += 1
        return self.number

    def parts(self, fields: dict[str, Any] | None = None) -> Parts:
        """A good body with other values of these fields, as it is written."""
        body = body_of(self.topic, self.next()) | (fields or {})
        is_ascii = self.random.random() < 0.2
        return [(name, json.dumps(value, ensure_ascii=is_ascii)) for name, value in body.items()]

    def made(self, name: str, parts: Parts, event_id: str | None = None) -> Odd:
        """A body as a record, its key and its id as the body says them where it can be told."""
        body = body_of(self.topic, self.number) | told(parts)
        if event_id is None:
            event_id = str(body["event_id"])
        key = str(body.get("source" if self.topic == "control" else KEYS[self.topic])).encode("utf-8", "replace")
        made = Record(self.topic, key, written(parts).encode("utf-8", "surrogatepass"), None)
        return Odd(name, made, headers_of(self.topic, event_id.encode("utf-8", "replace").decode()))

    def told(self, name: str, headers: dict[str, bytes], parts: Parts | None = None, **changed: Any) -> Odd:
        """A record with these headers in place of those of the same name."""
        made = self.made(name, self.parts() if parts is None else parts)
        kept = tuple(pair for pair in made.headers or () if pair[0] not in headers)
        key = f"{changed and self.number}".encode() if changed else made.record.key
        return replace(made, headers=(*kept, *headers.items()), record=replace(made.record, key=key, **changed))


ENVELOPE = ("event_time", "sent_time")
KEYS = dict.fromkeys(("views", "likes", "orders"), "user_id") | {
    topic: f"{topic.removesuffix('s')}_id" for topic in ("users", "videos", "products", "merchants")
}


def told(parts: Parts) -> dict[str, Any]:
    """What of a body's parts is JSON."""
    found = {}
    for name, value in parts:
        try:
            found[name] = json.loads(value)
        except ValueError:
            continue
    return found


def written(parts: Parts) -> str:
    """The text of an object."""
    return "{" + ",".join(f'"{name}":{value}' for name, value in parts) + "}"


def odd_records(topic: str, seed: int) -> list[Odd]:
    """The odd records of a topic; the same for the same seed."""
    return [*Maker(topic, Random(f"{topic} {seed}")).records()]
