"""What the families' frames and contracts say, said of odd values: both engines must mean the same (docs/adr/0025).

Everything is asked of one table of odd values, in one job of each engine for each way of asking. What the engines are
known to mean otherwise, and nothing of ours says where it matters, is not asked: `get` at places below -1, the least of
structs with nulls in them, JSON of instants and of great decimals, sums beyond 64 bits (Spark fails), local hours after
2099, lists with nulls as text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from jobs.definitions.as_of import as_of, held_at, with_version
from jobs.definitions.bots import is_suspected_bot
from jobs.definitions.funnel.language import parse_definition
from jobs.definitions.funnel.order_lines import per_product
from jobs.definitions.funnel.portable import is_plain, is_portable
from jobs.definitions.funnel.vocabulary import properties
from jobs.definitions.identity import is_anonymous
from jobs.definitions.interest import faded, play_weight
from jobs.definitions.json_text import json_text
from jobs.definitions.lifecycle import lifecycle
from jobs.definitions.local_time import local_date, local_hour
from jobs.definitions.money import gross_fen, is_believable, is_taken_back, net_fen, price_band
from jobs.definitions.news import cause_at, place_of_description, place_of_fact
from jobs.definitions.orders import settled
from jobs.definitions.people import generation, is_flagged, is_minor, may
from jobs.definitions.row_text import row_text
from jobs.definitions.sessions import starts_session
from jobs.definitions.sketch import bucket, sketch
from jobs.definitions.unions import together
from jobs.definitions.watching import is_completed_view, is_valid_view, watched_ms
from jobs.gold.user_profiles_history import profile_hash
from jobs.lake.contract_model import Check
from jobs.lake.contracts import contract
from jobs.lake.expectations import expected_of
from jobs.lake.settings import ROOT, Settings
from jobs.lake.small_engine import small_lake
from jobs.lake.small_runs import is_small
from jobs.lake.work import Work

Columns = dict[str, Column]
Told = dict[str, tuple[str, list[Any]]]  # name -> type and values
INSTANTS, TEXT, WHOLE = pa.timestamp("us", "UTC"), pa.string(), pa.int64()
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = 253_402_300_799_999_999  # microseconds since 1970: the latest instant an event may tell of
GREATEST, LEAST = 2**63 - 1, -(2**63)
ROWS = 97  # a prime, so that no two columns go round together
DAY, NOON = date(2026, 3, 8), datetime(2026, 3, 8, 12, tzinfo=UTC)
ZONES = (
    "UTC", "Asia/Shanghai", "Asia/Kolkata", "Asia/Kathmandu", "America/St_Johns", "America/New_York",
    "America/Sao_Paulo", "America/Havana", "Australia/Lord_Howe", "Asia/Beirut", "Europe/Dublin", "Pacific/Apia",
    "Africa/Casablanca",
)  # fmt: skip


def micros(*texts: str) -> list[int]:
    """Instants in microseconds since 1970."""
    return [(datetime.fromisoformat(text).replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1) for text in texts]


TIMES = [*micros(
    "1969-12-31T23:59:59.999999", "1970-01-01", "1970-01-01T00:00:00.000001", "1900-01-01", "1899-12-31T15:54:17",
    "1986-05-03T18:00:00", "1991-09-14T16:59:59.999999", "1987-07-01T15:30:00", "2018-11-04T02:59:59.999999",
    "2018-11-04T03:00:00", "2019-02-17T01:59:59", "2019-02-17T02:00:00", "2026-02-28T16:00:00", "2026-03-08T04:30:00",
    "2026-03-08T06:59:59.999999", "2026-03-08T07:00:00", "2026-11-01T04:59:59.999999", "2026-11-01T05:00:00",
    "2026-11-01T05:30:00", "2026-11-01T06:00:00", "2026-03-28T22:00:00", "2026-03-29T01:00:00", "2026-10-25T01:00:00",
    "2026-04-04T14:59:59.999999", "2026-04-04T15:00:00", "2026-10-03T15:30:00", "2024-02-29T23:59:59.999",
    "2025-12-31T23:59:59.9995", "2011-12-30T10:00:00", "2037-12-31T23:59:59", "2060-07-01T03:30:00",
    "2099-07-01T03:30:00",
), None]  # fmt: skip
FAR = [
    *TIMES,
    *micros("2150-07-01T03:30", "2262-04-11T23:47:16.854775", "2262-04-11T23:47:16.854776", "2400-02-29"),
    LAST,
]
MIDNIGHTS = [  # that some of the zones have twice, or not at all
    DAY, date(2026, 3, 29), date(2018, 11, 4), date(2026, 11, 1), date(2019, 2, 17), date(2026, 4, 5),
    date(2026, 10, 4), date(1986, 5, 4), date(2011, 12, 30), date(2026, 10, 25), date(2017, 10, 15), None,
]  # fmt: skip
NUMBERS = [
    0, 1, -1, 7, -7, 63, 64, 65, 2999, 3000, 10**6, 10**12, 10**12 + 1, 10**13, 2**53 + 1, -(10**12), 604_800_000, None,
]  # fmt: skip
WIDE = [*NUMBERS, GREATEST, LEAST, GREATEST - 1, 2**62]
TEXTS = [
    "", " ", "a", "A", "b", "ä", "a\u0308", "中文", "😀", "\uffff", "\U0010ffff", "\x00", "a\tb", "a\nb", "\x1f",
    "\x0b", "\\u001f", "\\\x1b\\\\", "\x1e\x1f", "\x01", '"', "\\", "/", "'", "\u2028", "\x7f", "\x85", "</b>", "%",
    "_", "a:b", "a:\nb", "a ", "null", "1", "ß", "ẞ", "İ", "ﬁ", "\u200b", None,
]  # fmt: skip
LINE = pa.struct([("line_id", TEXT), ("product_id", TEXT), *((name, WHOLE) for name in (
    "quantity", "unit_price_fen", "discount_fen"))])  # fmt: skip
REFUND = pa.struct([("line_id", TEXT), ("quantity", WHOLE), ("refund_fen", WHOLE)])
SPAN = pa.struct([("number", pa.int32()), ("last", pa.date32()), ("first", pa.date32()), ("is_aside", pa.bool_())])


def records(kind: pa.StructType, *columns: list[Any]) -> list[dict[str, Any]]:
    """Structs whose fields go round these values, each at its own pace."""
    names = [field.name for field in kind]
    return [dict(zip(names, values, strict=True)) for values in islice(zip(*map(cycle, columns), strict=False), 30)]


def lists(values: list[Any], *lengths: int) -> list[list[Any] | None]:
    """Lists of these values, of these lengths in turn; null and an empty one among them."""
    ring = cycle(values)
    return [None, [], *[list(islice(ring, length)) for length in lengths * 4]]


LINES = records(
    LINE, ["1", "2", "3"], ["p", "q", None, "😀"], [1, 2, 10**6, None, 3], [0, 1999, 10**13, 500], [None, 0, 1]
)
REFUNDS = records(REFUND, ["1", "2", "3", None], [1, 2, None, 10**6, 3], [1, 0, 10**13])
SPANS = records(
    SPAN, [0, 1, 2], [None, date(2026, 3, 9), DAY, date(2026, 3, 7)], [DAY, None, date(2026, 3, 1)], [True, False, None]
)
TIMED = sorted(abs(number) for number in [*WIDE, 1, 1, 2**40] if number is not None and number > LEAST)
ODD: dict[str, tuple[list[Any], pa.DataType]] = {
    "at": (TIMES, INSTANTS),
    "at2": (FAR[5:], INSTANTS),
    "far": (FAR, INSTANTS),
    "us": (FAR, WHOLE),
    "n": (NUMBERS, WHOLE),
    "m": ([*NUMBERS[4:], *NUMBERS[:9]], WHOLE),
    "wide": (WIDE, WHOLE),
    "wide2": ([*WIDE[9:], *WIDE[:11]], WHOLE),
    "i": ([0, 1, -1, 2, 5, None, 3, 24, 600, 1200, 140], pa.int32()),
    "few": ([0, 1, 2, 3, 4, None], WHOLE),
    "big": ([Decimal(one) for one in (0, 1, -1, 10**30, -7, 6)] + [None], pa.decimal128(38, 0)),
    "s": (TEXTS, TEXT),
    "t": ([*TEXTS[7:], *TEXTS[:12]], TEXT),
    "b": ([True, False, None], pa.bool_()),
    "c": ([False, False, True, None, None], pa.bool_()),
    "day": ([DAY, date(1969, 12, 31), date(2024, 2, 29), date(1582, 10, 4), date(9999, 12, 31), None], pa.date32()),
    "day2": ([date(2026, 3, 1), DAY, date(1900, 1, 1), date(2027, 3, 1), None], pa.date32()),
    "midnight": (MIDNIGHTS, pa.date32()),
    "texts": (lists(TEXTS, 1, 2, 3, 7), pa.list_(TEXT)),
    "words": (lists([text for text in TEXTS if text], 2, 1, 4), pa.list_(TEXT)),
    "numbers": (lists(NUMBERS, 1, 2, 3, 5), pa.list_(WHOLE)),
    "instants": (lists(FAR, 1, 2, 5), pa.list_(INSTANTS)),
    "days": (lists([DAY, date(2026, 3, 1), None, date(1999, 1, 1)], 1, 2, 3), pa.list_(pa.date32())),
    "timed": (lists(TIMED, 1, 20, 3), pa.list_(WHOLE)),
    "lines": (lists(LINES, 1, 2, 3), pa.list_(LINE)),
    "refund_lines": (lists(REFUNDS, 1, 2, 3), pa.list_(REFUND)),
    "spans": (lists(SPANS, 1, 2, 4, 7), pa.list_(SPAN)),
    "by": ([None, [], *[[(text, text)] for text in TEXTS if text], [("b", "1"), ("a", None)]], pa.map_(TEXT, TEXT)),
    "birth_year": ([1900, 1965, 1979, 2008, 2100, 1966, 2011, 1906, None], WHOLE),
    "kind": (["play", "paid", "refunded", "like", "unlike", "follow", None, "live_enter", "cancelled"], TEXT),
    "watch_ms": ([*NUMBERS, 2**62], WHOLE),
    "duration_ms": ([3000, 0, None, 1, 604_800_000, 10**12, -1, 8999, 3333], WHOLE),
    "is_advertisement": ([True, False, None], pa.bool_()),
    "consent": ([None, [], ["personalisation"], ["marketing", "personalisation"], ["sharing"]], pa.list_(TEXT)),
    "is_suspected_bot": ([True, False, None], pa.bool_()),
    "is_minor": ([None, True, False, False], pa.bool_()),
    "topic_kind": (["category", "creator", "tag", "price_band", "other", None], TEXT),
    "valid_from": ([*TIMES[9:], *TIMES[:9]], INSTANTS),
    "valid_to": ([None, *FAR], INSTANTS),
    "is_deleted": ([False, True, False, False], pa.bool_()),
    "event_time": ([at for at in TIMES if at is not None], INSTANTS),
    "user_id": (["k1:a", "k1:b", "d:😀", "k1:", None], TEXT),
    "device_id": (["k1:a", "d:x", None], TEXT),
    "order_id": (["o1", "o2", "o3", "o4"], TEXT),
}


def odd(session: SparkSession) -> DataFrame:
    """The table of odd values."""
    columns = {
        name: pa.array(list(islice(cycle(values), place, place + ROWS)), kind)
        for place, (name, (values, kind)) in enumerate(ODD.items())
    }
    return session.createDataFrame(pa.table({"id": pa.array(range(ROWS)), **columns}))


def of_zones() -> Columns:
    """Days and hours of local calendars, and where a local day begins."""
    asked = {}
    for zone in ZONES:
        asked[f"local_date {zone}"] = local_date(F.col("at"), zone)
        asked[f"local_hour {zone}"] = local_hour(F.col("at"), zone)
        asked[f"midnight {zone}"] = F.to_utc_timestamp(F.col("midnight").cast("timestamp"), zone)
        asked[f"eve {zone}"] = F.to_utc_timestamp(local_date(F.col("at"), zone).cast("timestamp"), zone)
    asked["far day of Shanghai"] = local_date(F.col("far"), "Asia/Shanghai")
    return asked


def of_times() -> Columns:
    """Instants, dates and the ways between them."""
    at, day, lit = F.col("at"), F.col("day"), F.lit
    return {
        "unix_micros": F.unix_micros("far"),
        "timestamp_micros": F.timestamp_micros("us"),
        "transform timestamp_micros": F.transform("numbers", F.timestamp_micros),
        "transform unix_micros": F.transform("instants", F.unix_micros),
        "minus unix_micros": -F.unix_micros("far"),
        "date_add": F.date_add(lit("1970-01-01").cast("date"), F.col("i")),
        "date_sub": F.date_sub("day", 7),
        "date_sub of a literal": F.date_sub(lit(DAY), 90),
        "date_diff": F.date_diff("day", "day2").cast("bigint"),
        "date_diff of a literal": F.date_diff(lit(DAY), day).cast("bigint"),
        "weeks": F.call_function("div", F.date_diff("day", "day2"), lit(7)).cast("bigint"),
        "year": F.year("day"),
        "hour": F.hour("far"),
        "to_date": F.to_date("far"),
        "date as timestamp": day.cast("timestamp"),
        "plus minutes": at + F.expr("INTERVAL 30 MINUTES"),
        "less days": at - F.expr("INTERVAL 30 DAYS"),
        "less a microsecond": F.col("far") - F.expr("INTERVAL 1 MICROSECOND"),
        "at < at2": at < F.col("at2"),
        "at <= at2": at <= F.col("at2"),
        "at = at2": at == F.col("at2"),
        "at < a literal": at < lit(NOON - timedelta(microseconds=1)),
        "at < null": at < lit(None).cast("timestamp"),
        "at between": at.between(F.col("valid_from"), F.col("valid_to")),
        "day between": day.between(lit(date(2026, 3, 1)), lit(DAY)),
        "day isin": day.isin(DAY, date(1999, 1, 1)),
        "day isin nothing": day.isin(*[]),
        "day NOT IN": F.expr("day IS NULL OR day NOT IN (DATE'2026-03-08')"),
        "at as text": F.col("far").cast("string"),
        "day as text": day.cast("string"),
        "starts_session": starts_session(at, F.col("at2")),
        "held_at": held_at(at),
    }


def of_numbers() -> Columns:
    """Whole numbers, at and beyond the ends of 64 bits where ours may be."""
    n, m, few, wide, i, lit = F.col("n"), F.col("m"), F.col("few"), F.col("wide"), F.col("i"), F.lit
    size = F.size("numbers")
    return {
        "try_add": F.try_add("wide", "wide2"),
        "try_subtract": F.try_subtract("wide", "wide2"),
        "try_multiply": F.try_multiply("wide", "wide2"),
        "try_multiply by a literal": F.try_multiply(wide, lit(10)),
        "plus, minus, times": F.array(n + m, n - m, n * 20, few - 1),
        "int plus": i + 1,
        "div": F.call_function("div", wide, lit(7)),
        "div by one below zero": F.call_function("div", wide, lit(-7)),
        "div by null or number": F.call_function("div", n, F.nullif(few, lit(0))),
        "div where it can be": F.when(few > 0, F.call_function("div", n, few)).otherwise(0),
        "div of decimals": F.call_function(
            "div", F.when(F.abs("n") < 10**9, n.cast("decimal(38,0)")) * lit(1_000_000), F.nullif(m, lit(0))
        ),
        "product of decimals": n.cast("decimal(19,0)") * m.cast("decimal(18,0)"),
        "greatest decimal": F.greatest(F.col("big"), lit(0).cast("decimal(38,0)")),
        "wide as decimal": wide.cast("decimal(38,0)"),
        "pmod": F.pmod(n, lit(7)),
        "pmod of int": F.pmod(i, lit(30)),
        "floor of a half": F.floor((size - 1) / 2).cast("int"),
        "ceil of a share": F.ceil(size * 75 / 100).cast("int") - 1,
        "floor and ceil below zero": F.array(F.floor((i - 1) / 2), F.ceil(i * 25 / 100)),
        "shiftleft": F.call_function("shiftleft", few, F.greatest(i, lit(0)) % 50),
        "shiftright": F.call_function("shiftright", wide, F.greatest(i, lit(0))),
        "bin": F.bin("wide"),
        "bitwiseOR": n.bitwiseOR(m),
        "casts": F.array(i.cast("bigint"), few.cast("int").cast("bigint"), F.col("b").cast("bigint")),
        "as text": F.array(n.cast("string"), i.cast("string"), F.col("b").cast("string"), F.col("big").cast("string")),
        "least": F.least("n", "m", "few"),
        "least of two types": F.least("few", lit(1)),
        "greatest": F.greatest(n, lit(0)),
        "least days": F.least("day", "day2"),
        "coalesce": F.coalesce("n", lit(0)),
        "comparisons": F.array(n < m, n <= m, n == m, n != m, n.eqNullSafe(m)),
        "not less": ~(n < m),
        "in with null": F.expr("n IN (1, NULL)"),
        "and, or, not": F.array(F.col("b") & F.col("c"), F.col("b") | F.col("c"), ~F.col("b")),
        "b <> (s IS NOT NULL)": F.expr("b <> (s IS NOT NULL)"),
        "when": F.when(F.col("b"), n).otherwise(0),
        "when, else nothing": F.when(F.col("b"), n),
        "INT(n = 0)": F.expr("INT(n = 0)"),
    }


def of_texts() -> Columns:
    """Text of any letters: compared, cut, told as JSON, hashed."""
    s, t, lit = F.col("s"), F.col("t"), F.lit
    both = F.struct("s", "t")
    exact = [
        name
        for name in ODD
        if name not in ("instants", "big", "valid_from", "valid_to", "at", "at2", "far", "event_time")
    ]
    return {
        "comparisons": F.array(s < t, s <= t, s == t, s.eqNullSafe(t), s == "", s.isin("a", "b"), ~s.isin("a", "b")),
        "NOT IN": F.expr("s NOT IN ('a', 'b')"),
        "isin nothing": s.isin(*[]),
        "least": F.least("s", "t"),
        "greatest": F.greatest("s", "t"),
        "concat": F.concat(lit("video:"), s),
        "concat_ws": F.concat_ws(":", "s", lit("x"), "t"),
        "split": F.split(F.concat_ws(":", "s", "t"), ":"),
        "a part": F.get(F.split("s", ":"), lit(1)),
        "length": F.length("s"),
        "substr": F.expr("substr(s, 1, 1)"),
        "LIKE": F.expr("s LIKE '%:%'"),
        "NOT LIKE": F.expr("s NOT LIKE '%:%'"),
        "LIKE a letter": F.expr("s LIKE '_'"),
        "contains": s.contains("\\u"),
        "json of a struct": json_text(both),
        "json of names": json_text(F.struct(s.alias('a"\x1fb'))),
        "json of a list": json_text(F.col("texts")),
        "json of a map": json_text(F.col("by")),
        "json of nothing": json_text(F.when(F.col("b"), both)),
        "json of all": json_text(F.struct(*exact)),
        "sha2": F.sha2(F.coalesce("s", lit("")), 256),
        "sha2 of null": F.sha2("s", 256),
        "create_map": F.create_map(lit("a"), F.coalesce("s", lit("(none)")), lit("b"), F.coalesce("t", lit(""))),
        "map_from_arrays": F.map_from_arrays(*[F.array().cast("array<string>")] * 2).cast("map<string,string>"),
    }


def of_lists() -> Columns:
    """Lists, maps and structs, null and empty ones and with nulls in them."""
    texts, numbers, days, lit = F.col("texts"), F.col("numbers"), F.col("days"), F.lit
    named = F.create_map(lit("play"), lit(1), lit("like"), lit(2))
    ranked = F.transform("spans", lambda span: F.struct(span["last"], span["first"]))
    quantity = F.aggregate(
        F.filter("refund_lines", lambda refund: refund["line_id"] == F.col("order_id").substr(2, 1)),
        lit(0).cast("bigint"),
        lambda total, refund: F.try_add(total, refund["quantity"]),
    )
    return {
        "get": F.get(texts, lit(1)),
        "get the last": F.get(texts, F.size(texts) - 1),
        "get at a column": F.get(texts, F.col("i")),
        "try_element_at": F.try_element_at(texts, lit(1)),
        "try_element_at a column": F.try_element_at("instants", F.when(F.col("i") != 0, F.col("i"))),
        "element_at of a map": F.element_at(named, F.col("kind")),
        "try_element_at of a map": F.try_element_at("by", F.col("s")),
        "element_at": F.when(F.size(numbers) > 0, F.element_at(numbers, lit(1))),
        "size": F.size(texts),
        "sizes differ": F.expr("size(texts) <> size(numbers) OR size(numbers) < few"),
        "sort_array": F.sort_array(texts),
        "sort_array, the last first": F.sort_array(texts, asc=False),
        "sort_array of numbers": F.sort_array(numbers),
        "sort_array of days": F.sort_array(days, asc=False),
        "sort_array of instants": F.sort_array("instants"),
        "sort_array of structs": F.sort_array(ranked, asc=False),
        "array_sort": F.array_sort(texts),
        "array_distinct": F.array_distinct(texts),
        "array_distinct of structs": F.array_distinct("spans"),
        "array_compact": F.array_compact(texts),
        "flatten": F.flatten(F.array("texts", "words")),
        "concat": F.concat("texts", "words"),
        "array_min": F.array_min(days),
        "array_max": F.array_max(numbers),
        "array_max of instants": F.array_max("instants"),
        "array_position": F.array_position(texts, F.col("s")),
        "array_position of literals": F.array_position(F.array(lit("a"), lit("b")), F.col("s")),
        "array_position of the greatest": F.array_position(numbers, F.array_max(numbers)),
        "filter": F.filter(days, lambda day: day <= F.col("day2")),
        "exists": F.exists(days, lambda day: day < F.col("day2")),
        "exists of numbers": F.exists(numbers, lambda number: number > 100),
        "transform": F.transform(texts, lambda text: F.struct(lit("tag").alias("kind"), text.alias("name"))),
        "a field of each": F.transform("lines", lambda line: line["product_id"]),
        "aggregate": F.aggregate(numbers, lit(0).cast("bigint"), lambda total, one: total + one),
        "aggregate of some": quantity,
        "structs compared": F.struct("event_time", "id") > F.struct(F.col("event_time"), (F.col("id") * 0).alias("id")),
        "a struct is there": F.when(F.col("b"), F.struct("s")).isNotNull(),
        "lists compared": texts == F.col("words"),
        "map_entries": F.map_entries("by"),
    }


def of_ours() -> Columns:
    """The definitions."""
    n, m, i, few, day, lit = F.col("n"), F.col("m"), F.col("i"), F.col("few"), F.col("day"), F.lit
    return {
        "is_minor": is_minor(F.col("birth_year"), DAY),
        "is_minor on a day": is_minor(F.col("birth_year"), day),
        "generation": generation(F.col("birth_year"), day),
        "is_flagged": is_flagged(),
        "may": may("personalisation"),
        "price_band": price_band(n),
        "gross_fen": gross_fen(F.col("lines"), n),
        "is_believable": is_believable(n),
        "net_fen": net_fen(n, m, F.col("b")),
        "is_taken_back": is_taken_back(n, m),
        "faded": faded(F.col("topic_kind"), i),
        "play_weight": play_weight(F.col("watch_ms"), F.col("duration_ms")),
        "is_valid_view": is_valid_view(),
        "is_completed_view": is_completed_view(),
        "watched_ms": watched_ms(),
        "bucket": bucket(F.when(F.col("wide") >= 0, F.col("wide"))),
        "sketch": sketch(F.sort_array("timed")),
        "sketch counted": F.aggregate(
            sketch(F.sort_array("timed")), lit(0).cast("bigint"), lambda total, part: total + part["count"]
        ),
        "lifecycle": lifecycle(F.date_diff("day", "day2"), i, few),
        "is_suspected_bot": is_suspected_bot(n, m),
        "is_anonymous": is_anonymous(),
        "place_of_fact": place_of_fact(lit(NOON).cast("timestamp"), F.coalesce("b", lit(False))),
        "place_of_fact, no watermark": place_of_fact(lit(None).cast("timestamp"), lit(False)),
        "place_of_description": place_of_description(lit(NOON).cast("timestamp")),
        "cause_at": cause_at(i),
    }


def of_groups() -> Columns:
    """Many rows as one, perhaps none."""
    n, few, b, lit = F.col("n"), F.col("few"), F.col("b"), F.lit
    none, order = F.col("id") < 0, F.struct("event_time", "id")
    return {
        "sum": F.sum("few"),
        "sum of some": F.sum(F.when(b, few)),
        "sum of decimals": F.sum(F.col("wide").cast("decimal(38,0)")),
        "sum of nothing": F.coalesce(F.sum(F.when(none, n)), lit(0)).cast("bigint"),
        "sum of nulls": F.sum(F.when(none, n)),
        "sum or zero": F.sum(F.when(b, n).otherwise(0)),
        "count": F.count("*"),
        "count of text": F.count("s"),
        "count_if": F.count_if(F.col("s") == "a"),
        "count_if of a flag": F.count_if("b"),
        "count_distinct": F.count_distinct("s"),
        "least": F.struct(*[F.min(name).alias(name) for name in ("s", "far", "day", "b", "n")]),
        "greatest": F.struct(*[F.max(name).alias(name) for name in ("s", "far", "day", "b", "n")]),
        "max of a condition": F.max(~b),
        "min of structs": F.min(F.when(b, order)),
        "max of structs": F.max(F.when(b, order)),
        "min of no structs": F.min(F.when(none, order)),
        "min_by": F.min_by(F.struct("s", "lines", "n"), F.when(b, order)),
        "min_by of none": F.min_by(F.struct("s", "n"), F.when(none, order)).isNotNull(),
        "max_by": F.max_by("s", F.struct(-F.unix_micros("event_time"), F.col("id"))),
        "collect_set": F.sort_array(F.collect_set("day")),
        "collect_list": F.sort_array(F.collect_list("n")),
        "collect_list of nothing": F.sort_array(F.collect_list(F.when(none, n))),
        "collect_list of structs": F.sort_array(F.collect_list(F.when(b, F.struct("id", "s")))),
        "flatten": F.sort_array(F.flatten(F.collect_list(F.when(b, F.col("texts"))))),
        "flatten of nothing": F.flatten(F.collect_list(F.when(none, F.col("texts")))),
        "a list of sums": F.array(*[F.coalesce(F.sum(F.get("numbers", lit(at))), lit(0)) for at in range(3)]),
        "copies": F.expr("COUNT(*) - COUNT(DISTINCT STRUCT(`s`, `few`))"),
        "rows that break a rule": F.expr("COUNT_IF(s NOT IN ('a', 'b') OR n < 0)"),
        "least of several below zero": F.expr("COUNT_IF(least(n, m, few) < 0)"),
        "ranks": F.expr("COUNT(few) <> MAX(few) OR COUNT(DISTINCT few) <> COUNT(*)"),
        "sums of a list": F.expr(
            "COUNT_IF(size(numbers) <> 3 OR aggregate(numbers, 0L, (total, one) -> total + one) <> few)"
        ),
        "sums of structs": F.expr("COUNT_IF(aggregate(lines, 0L, (n, part) -> n + part.unit_price_fen) <> few)"),
        "percent": F.expr(percent()),
    }


def percent() -> str:
    """The number of a check in percent, as contracts are read."""
    check = Check(
        "few_nulls", "library", "warning", "", ("mustBeLessThan", 5), column="s", metric="nullValues", unit="percent"
    )
    made = contract("gold.user_days", ROOT / "schemas").__class__
    return next(rule.number for rule in expected_of(made("t", "1", (), (), "append", "", "", checks=(check,))))


def of_windows() -> Columns:
    """Rows among others: ranks with ties and nulls, frames of rows and of instants."""
    mine = Window.partitionBy("group")
    turn, instant = mine.orderBy("far", "id"), mine.orderBy("at")
    b, n, few = F.col("b"), F.col("n"), F.col("few")
    order = F.struct("event_time", "id")
    best = [b, F.when(b, n), F.when(b, -F.unix_micros("far")), F.col("s"), F.col("id")]
    firsts = [F.desc(F.get("instants", F.lit(0))), F.desc(F.get("texts", F.lit(0)))]
    so_far, begun = (Window.unboundedPreceding, 0), Window.unboundedPreceding
    return {
        "row_number": F.row_number().over(mine.orderBy("s", "id")),
        "row_number, the last first": F.row_number().over(mine.orderBy(F.desc("n"), F.desc("at"), "id")),
        "row_number of the best": F.row_number().over(mine.orderBy(*[column.desc() for column in best])),
        "row_number of firsts": F.row_number().over(mine.orderBy("far", *firsts, "s", "id")),
        "row_number of decimals": F.row_number().over(mine.orderBy(F.desc("big"), "s", "id")),
        "lag": F.lag("far").over(turn),
        "max until the row before": F.max("at2").over(turn.rowsBetween(begun, -1)),
        "count_if of rows": F.count_if("b").over(turn.rowsBetween(*so_far)),
        "count_if of instants": F.count_if("b").over(instant.rangeBetween(*so_far)),
        "sum of rows": F.sum(F.when(F.col("kind") == "refunded", F.coalesce("few", F.lit(0)))).over(
            turn.rowsBetween(*so_far)
        ),
        "max of all": F.max(b).over(mine),
        "min of a condition": F.min(F.when(b, few == F.col("i"))).over(mine),
        "max of structs": F.max(F.when(b, order)).over(mine),
        "min of structs": F.min(F.when(b, order)).over(mine),
        "count": F.count("*").over(mine),
        "sum of decimals": F.sum(F.greatest(F.col("big"), F.lit(0).cast("decimal(38,0)"))).over(mine),
        "min_by": F.min_by(F.when(b, n), F.when(b, order)).over(mine),
        "lists": F.sort_array(
            F.flatten(F.collect_list(F.coalesce("texts", F.array().cast("array<string>"))).over(mine))
        ),
    }


def frames(rows: DataFrame) -> dict[str, DataFrame]:
    """Ways to put rows together and take them apart."""
    left, right = (
        rows.select("id", F.col("s").alias("key")),
        rows.select(F.col("t").alias("key"), F.col("id").alias("other")),
    )
    pairs, others = rows.select("id", "user_id", "day"), rows.select("user_id", F.col("day2").alias("day"))
    versions = rows.where("id < 30").select("user_id", "valid_from", "valid_to", "is_deleted", "s")
    orders = rows.withColumns(
        {"event_id": F.col("id").cast("string"), "freight_fen": F.abs("n"), "refund_fen": F.abs("m")}
    )
    days = F.sequence(F.least("day2", F.lit(DAY)), F.greatest("day2", F.lit(DAY)))
    few = rows.sparkSession.createDataFrame([("a", 1), (None, 2), ("😀", 3)], "key string, number bigint")
    again = rows.groupBy("by_pair", "is_filled").agg(F.count("*").alias("rows"))
    return {
        "inner": left.join(right, on=["key"], how="inner"),
        "left": left.join(right, on=["key"], how="left"),
        "full": left.join(right.groupBy("key").agg(F.count("*").alias("rows")), on=["key"], how="full"),
        "left_semi": left.join(right, on=["key"], how="left_semi"),
        "left_anti": left.join(right, on=["key"], how="left_anti"),
        "left_semi of two": pairs.join(others, on=["user_id", "day"], how="left_semi"),
        "left_anti of two": pairs.join(others, on=["user_id", "day"], how="left_anti"),
        "broadcast": left.join(F.broadcast(few), on=["key"], how="inner"),
        "with_version": with_version(rows.select("id", "user_id", "at"), versions, "user_id", "at", {"s": "said"}),
        "as_of": as_of(rows.select("id", "valid_from", "valid_to", "is_deleted"), NOON),
        "distinct": rows.select("s", "b").distinct(),
        "dropDuplicates": rows.select("user_id", "day").dropDuplicates(["user_id", "day"]),
        "subtract": rows.select("s", "few").subtract(rows.select("t", "few")),
        "unionAll": rows.select("id", "s").unionAll(rows.select("few", "t")),
        "together": together(rows.select("id", "s", "lines"), rows.select("id", "at", "by"), rows.select("id", "days")),
        "groupBy nulls": rows.groupBy("s", "b", "far").agg(F.count("*").alias("rows"), F.sum("few").alias("sum")),
        "groupBy maps and lists": again.select("by_pair", "is_filled", "rows"),
        "any_value": rows.groupBy("is_filled").agg(F.any_value("is_filled").alias("any")),
        "no groups": rows.where("id < 0").groupBy("s").agg(F.sum("n").alias("sum")),
        "explode": rows.select("id", F.explode("texts").alias("text")),
        "explode structs": rows.select("id", F.explode("lines").alias("line")).select("id", "line.*"),
        "explode a field": rows.select("id", F.explode("lines.product_id").alias("product")),
        "posexplode": rows.select("id", F.posexplode("texts").alias("place", "text")),
        "posexplode_outer": rows.select("id", F.posexplode_outer("texts").alias("place", "text")).fillna({"place": 0}),
        "sequence": rows.select("id", F.explode(days).alias("day")).where("day > DATE'2026-03-01'"),
        "parts of nothing": rows.select("id", F.when(F.col("b"), F.struct("s", "n")).alias("one")).select(
            "id", "one.*"
        ),
        "where": rows.where("b AND NOT is_deleted AND (n > 0 OR n = 0)").select("id"),
        "where not": rows.where(~F.col("b")).select("id"),
        "localCheckpoint": rows.select("id", "s", "far", "lines").localCheckpoint(eager=True),
        "settled": settled(orders.withColumnRenamed("day", "event_date")),
        "per_product": per_product(rows.select("id", "user_id", "order_id", "lines")),
        "row_text": rows.select("id", row_text(rows.drop("big")).alias("text")),
        "profile_hash": rows.select("id", profile_hash(rows.select("id", *PROFILE)).alias("hash")),
    }


PROFILE = ("s", "t", "n", "b", "day", "far", "words", "consent")
QUESTIONS = {
    "of groups": "SELECT day FROM odd GROUP BY user_id, day HAVING COUNT(*) <> MAX(few) OR COUNT(DISTINCT few) <> 2",
    "over a window": "SELECT few FROM (SELECT few, count(*) OVER (PARTITION BY user_id) AS n FROM odd) WHERE few <> n",
    "of the row before": "SELECT before FROM (SELECT at, lag(at2) OVER (PARTITION BY user_id ORDER BY at, id) AS "
    "before FROM odd) WHERE at <= before + INTERVAL 30 MINUTES",
    "of sums": "SELECT t.id FROM (SELECT user_id, day, SUM(few) AS n FROM odd WHERE s <> 'a' GROUP BY user_id, day) v "
    "JOIN odd t ON t.user_id = v.user_id AND t.day = v.day WHERE t.b AND (v.n <> t.few OR v.n <> t.n)",
    "of itself": "SELECT COUNT(*) AS n FROM odd a JOIN odd b ON a.user_id = b.user_id AND a.few < b.few "
    "WHERE NOT a.b AND NOT b.c AND (b.n > a.n OR b.m > a.m)",
    "of consent": "SELECT id FROM odd WHERE NOT coalesce(array_contains(consent, 'personalisation'), false) AND b",
    "of pseudonyms": "SELECT id FROM odd WHERE user_id NOT LIKE '%:%' OR s NOT LIKE '%:%' OR user_id = device_id",
}
WHERES = (  # plain ones, as funnels may ask
    "query = 'a'", "query <> ''", "query IN ('a', 'b')", "query NOT IN ('a')", "query LIKE 'a%'", "query LIKE '_'",
    "query NOT LIKE '%a%'", "query > 'a'", "query BETWEEN 'a' AND 'b'", "query = 'it''s'", "rating BETWEEN 1 AND 3",
    "n > 1.5", "n >= 1e6", "n = 7.0", "n = -7", "n IN (7, 64.0)", "n IS DISTINCT FROM m", "n IS NOT DISTINCT FROM m",
    "coalesce(n, 0) = 0", "b", "NOT b", "b <> c", "query IS NULL",
    "since >= TIMESTAMP '2026-03-08 00:00:00'", "since < TIMESTAMP '2026-03-08T10:00:00+08:00'",
    "since >= '2026-03-08'", "day = DATE '2026-03-08'", "day < '2026-03-08'", "since > event_time", "n > '3000'",
    "is_advertisement OR watch_ms > duration_ms",
)  # fmt: skip


def plain(kind: pa.DataType) -> pa.DataType:
    """The type with instants and days as whole numbers, which any year fits into."""
    if pa.types.is_timestamp(kind):
        return WHOLE
    if pa.types.is_date(kind):
        return pa.int32()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(pa.field("item", plain(kind.value_type)))
    if pa.types.is_map(kind):
        return pa.map_(plain(kind.key_type), plain(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([pa.field(field.name, plain(field.type)) for field in kind])
    return pa.string() if pa.types.is_large_string(kind) else kind


def told(frame: DataFrame) -> Told:
    """Types and values of the columns."""
    table = frame.toArrow()
    return {
        name: (str(plain(table[name].type)), table[name].cast(plain(table[name].type)).to_pylist())
        for name in table.column_names
    }


def rows_of(frame: DataFrame) -> tuple[list[tuple[str, str]], list[str]]:
    """Types, and the rows whatever their order."""
    columns = told(frame)
    types = [(name, kind) for name, (kind, _) in columns.items()]
    return types, sorted(map(repr, zip(*[values for _, values in columns.values()], strict=True)))


def projected(rows: DataFrame, asked: Columns) -> Told:
    """Every column of every row, in the order of the rows."""
    return told(rows.select("id", *[column.alias(name) for name, column in asked.items()]).orderBy("id"))


def grouped(rows: DataFrame, *by: str) -> Told:
    """The sums of all rows, or of groups."""
    sums = [column.alias(name) for name, column in of_groups().items()]
    return told(rows.groupBy(*by).agg(*sums).orderBy(*by) if by else rows.agg(*sums))


def answers(session: SparkSession) -> dict[str, Mapping[str, Any]]:
    """Everything that is asked of one engine."""
    rows = odd(session).withColumn("group", F.pmod("id", F.lit(5)))
    pair = F.create_map(F.lit("a"), F.coalesce("s", F.lit("(none)")), F.lit("b"), F.coalesce("kind", F.lit("(none)")))
    paired = rows.withColumns({"by_pair": pair, "is_filled": F.array("b", "c")}).drop("group")
    named = rows.withColumns({"query": F.col("s"), "rating": F.col("few"), "since": F.col("at")})
    rows.createOrReplaceTempView("odd")
    asked: dict[str, Callable[[], Columns]] = {
        "zones": of_zones, "times": of_times, "numbers": of_numbers, "texts": of_texts, "lists": of_lists,
        "definitions": of_ours, "windows": of_windows,
    }  # fmt: skip
    return {name: projected(rows, columns()) for name, columns in asked.items()} | {
        "wheres": projected(named, {where: F.coalesce(F.expr(f"({where})"), F.lit(False)) for where in WHERES}),
        "groups": grouped(rows, "group"),
        "no rows": grouped(rows.where("id < 0")),
        "frames": {name: rows_of(frame) for name, frame in frames(paired).items()},
        "questions": {name: rows_of(session.sql(query)) for name, query in QUESTIONS.items()},
    }


GROUPS = ("zones", "times", "numbers", "texts", "lists", "definitions", "windows", "wheres", "groups",
          "no rows", "frames", "questions")  # fmt: skip


@pytest.fixture(scope="module")
def both(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Mapping[str, Any]]]:
    """What the two engines answer: that of small runs, and Spark."""
    with small_lake(Settings(home=tmp_path_factory.mktemp("agree"), spark_remote="", spark_master="")) as lake:
        small = answers(lake.spark)
    return [small, answers(spark)]


@pytest.mark.parametrize("group", GROUPS)
def test_both_engines_mean_the_same(both: list[dict[str, Mapping[str, Any]]], group: str) -> None:
    small, large = (each[group] for each in both)
    assert small.keys() == large.keys()
    assert {name: (small[name], large[name]) for name in large if small[name] != large[name]} == {}


@pytest.mark.parametrize("where", WHERES)
def test_what_was_compared_is_plain(where: str) -> None:
    assert is_plain(where)


@pytest.mark.parametrize(
    "where",
    [
        "watch_ms * 1.0 / duration_ms > 0.333333",
        "weekday(event_time) = 6",
        "CAST(watch_ms AS DECIMAL(10,2)) = 7",
        "sqrt(watch_ms) > 2",
        "watch_ms * duration_ms > 0",
        "experiments['a'] = 'b'",
        "coalesce(length(query), 0) > 3",
    ],
)
def test_what_was_not_compared_is_left_to_spark(where: str) -> None:
    assert not is_plain(where)


DEFINITION = """
name: asked
version: 1
window: 2h
steps:
  - {{name: watched, event: play}}
  - {{name: liked, event: like}}
exclusions: [{{event: report, where: "{where}", between: [watched, liked]}}]
hold: [{hold}]
breakdowns: [{breakdown}]
"""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({}, True),
        ({"where": "user_id LIKE 'k1:%'"}, True),
        ({"where": "length(user_id) > 3"}, False),
        ({"hold": "user_id, video_id"}, True),
        ({"hold": "event_time"}, False),
        ({"hold": "kafka_time"}, False),
        ({"breakdown": "city_tier, [scene, event_time]"}, True),
        ({"breakdown": "[scene, experiments]"}, False),
        ({"breakdown": "lines"}, False),
    ],
)
def test_a_funnel_is_left_to_spark_when_it_asks_for_more(said: dict[str, str], expected: bool, tmp_path: Path) -> None:
    words = {"where": "is_advertisement", "hold": "video_id", "breakdown": "scene"} | said
    made = DEFINITION.format(**words)
    assert is_portable(parse_definition(made, "asked.yaml"), properties(ROOT / "schemas")) is expected
    (tmp_path / "funnels").mkdir()
    (tmp_path / "funnels" / "asked.yaml").write_text(made)
    for promised in (ROOT / "schemas").iterdir():
        if promised.name != "funnels":
            (tmp_path / promised.name).symlink_to(promised)
    settings = Settings(schemas_dir=tmp_path, spark_remote="", spark_master="", lake_uri="")
    assert is_small(Work("funnels", "r", False, (), 1, 2, None, None, NOON, {}, rows=1), settings) is expected
    assert is_small(Work("profiles", "r", False, (), 1, 2, None, None, NOON, {}, rows=1), settings)
