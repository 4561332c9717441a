"""Days of a made shop as they lie in silver, put there in bulk: what came in long ago, and a small batch after it.

Made by DuckDB: every session is six plays and, now and then, a like, a product looked at, a basket, an order, its
payment, its refund; people have six sessions. The small batch is the last hours of the newest day, of 30 days one event
in a hundred where nothing else is said, and late events of the week before. Whatever the share of late ones: once the
batch is in, silver holds the same rows.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.lake.contracts import contract
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake

FIRST_DAY = datetime(2026, 3, 1, 16, tzinfo=UTC)  # midnight of 2 March in Shanghai
TOLD_AT = datetime(2026, 6, 1, tzinfo=UTC)
DAY_US, MORNING_US, AWAKE_US = 86_400_000_000, 6 * 3_600_000_000, 14 * 3_600_000_000
LATE_DAYS = 7
NEW_PERCENT = 30  # of the newest day: a hundredth of 30 days
A_MILLION = 1_000_000
ALL_OF_IT = "all"
FACTS = ("views", "likes", "orders")
EMPTY = {"string": "0", "bigint": 0, "int": 0, "boolean": False, "date": FIRST_DAY.date(), "timestamp": FIRST_DAY}

EVENTS = f"""
WITH sessions AS (
  SELECT s, s * {{days}} // {{sessions}} AS day, (s * {{days}} % {{sessions}}) * {AWAKE_US} // {{sessions}} AS into_us,
         hash('who' || s) % {{users}} AS person, hash('buy' || s) % 20 AS buy,
         s >= {{sessions}} - {{sessions}} * {{new_percent}} // 100 // {{days}} AS is_new
  FROM range({{sessions}}) AS numbers(s)),
dice AS (
  SELECT *, 'e' || s || '-' || k AS event_id, hash(event_id) % 6 AS die,
         {{begin}} + day * {DAY_US} + {MORNING_US} + into_us + k * 40000000 AS event_us
  FROM sessions, range(12) AS places(k)),
kinds AS (
  SELECT *, CASE WHEN k < 6 THEN 'play' WHEN k = 6 AND die < 2 THEN 'like' WHEN k = 7 AND die < 3 THEN 'product_view'
                 WHEN k = 8 AND die < 2 THEN 'add_to_cart' WHEN k = 9 AND buy < 2 THEN 'placed'
                 WHEN k = 10 AND buy = 0 THEN 'paid' WHEN k = 11 AND buy = 0 AND die = 0 THEN 'refunded' END AS kind
  FROM dice)
SELECT kind, CASE WHEN k IN (6, 8) THEN 'likes' WHEN k > 8 THEN 'orders' ELSE 'views' END AS topic,
       event_id, make_timestamp(event_us)::TIMESTAMPTZ AS event_time,
       (make_timestamp(event_us) + INTERVAL 8 HOUR)::DATE AS event_date, 'k1:' || printf('%032d', person) AS user_id,
       'v' || hash('video' || event_id) % {{videos}} AS video_id, 'p' || hash('thing' || s) % 500 AS product_id,
       CASE WHEN kind = 'play' THEN hash('watch' || event_id) % 60000 END::BIGINT AS watch_ms,
       60000::BIGINT AS duration_ms, ['short_video', 'mall'][1 + (s % 2)::INT] AS scene, 'recommend' AS source,
       'o' || s AS order_id, CASE WHEN kind = 'refunded' THEN 9900::BIGINT END AS refund_fen, 0::BIGINT AS freight_fen,
       9900::BIGINT AS price_fen,
       'app' AS source_uri, is_new,
       CASE WHEN NOT is_new AND day >= {{days}} - 1 - {LATE_DAYS} AND day < {{days}} - 1
            THEN hash('late' || event_id) % {A_MILLION} ELSE {A_MILLION} END::BIGINT AS lateness,
       s = (SELECT max(s) FROM sessions WHERE buy = 0) AS is_last
FROM kinds WHERE kind IS NOT NULL
"""
LINE = (
    "transform(array('1'), n -> named_struct('line_id', n, 'product_id', product_id, 'merchant_id', 'm', "
    "'quantity', 1L, 'unit_price_fen', price_fen, 'discount_fen', 0L))"
)


@dataclass(frozen=True)
class Shop:
    """So many facts (about) on so many days, in a file made once; `new_percent` of the newest day is new."""

    file: Path
    facts: int
    days: int
    new_percent: int = NEW_PERCENT

    @property
    def new_from(self) -> datetime:
        """When the hours of the small batch begin, or a little before."""
        newest = FIRST_DAY + timedelta(days=self.days - 1, microseconds=MORNING_US)
        return newest + (100 - self.new_percent) * timedelta(microseconds=AWAKE_US) / 100

    @property
    def new_until(self) -> datetime:
        """When the last event of all is over; still on its day."""
        return FIRST_DAY + timedelta(days=self.days, hours=-1)

    def make(self) -> None:
        """Write the file."""
        import duckdb

        sessions = self.facts // 7  # six plays, and of all else one
        begin = int(FIRST_DAY.timestamp()) * A_MILLION
        people, videos = max(20, sessions // 6), max(20, sessions // 100)
        told = EVENTS.format(
            days=self.days, sessions=sessions, users=people, videos=videos, begin=begin, new_percent=self.new_percent
        )
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{self.file}.tmp'")
            connection.execute(f"COPY ({told}) TO '{self.file}' (FORMAT parquet, COMPRESSION zstd)")

    def is_small_batch(self, late_percent: int | None) -> Column:
        """Whether a row is of the small batch: what is new and a share of late ones; None: the last purchase only."""
        if late_percent is None:
            return F.col("is_last")
        of_a_week = A_MILLION * self.new_percent // 100 * late_percent // 100 // LATE_DAYS
        return F.col("is_new") | (F.col("lateness") < of_a_week)


def take_in(lake: Lake, shop: Shop, late_percent: int | None, *, seq: int) -> None:
    """Batch 1 (all that came in long ago) or 2 (the small one), with its papers, as ingest leaves them."""
    small, every = shop.is_small_batch(late_percent), lake.spark.read.parquet(str(shop.file))
    rows = every.where(small if seq == 2 else ~small)
    for topic in FACTS:
        table = f"silver.{topic}"
        lake.append(table, _filled(lake, table, rows.where(F.col("topic") == topic), seq), app="bench", version=seq)
    if seq == 1:
        _put_things(lake, every)  # also those that only the small batch speaks of: it brings facts and nothing else
    days = {row["event_date"]: row["count"] for row in rows.groupBy("event_date").count().collect()}
    _book(Ledger(lake.settings), days, seq, shop.new_from if seq == 1 else shop.new_until)


def _put_things(lake: Lake, rows: DataFrame) -> None:
    """Every user, video and product there is, as they always were; people agree to everything."""
    always: dict[str, Any] = {"valid_from": FIRST_DAY - timedelta(days=9), "is_current": True}
    about: dict[str, dict[str, Any]] = {
        "users": {"birth_year": 1990, "city_tier": "tier_1", "consent": ["marketing", "personalisation"]},
        "videos": {"category": "food", "content_kind": "PGC"},
        "products": {"category": "tea", "list_price_fen": 9900},
    }
    for name, columns in about.items():
        key, table = f"{name[:-1]}_id", f"silver.{name}"
        said = {name: F.lit(value) for name, value in (always | columns).items()} | {"event_id": F.col(key)}
        things = _filled(lake, table, rows.select(key).distinct().withColumns(said), 1)
        lake.replace_all(table, things, app="bench", version=1)


def _filled(lake: Lake, table: str, rows: DataFrame, seq: int) -> DataFrame:
    """The rows in the columns of the contract: what they do not tell is empty where required, else null."""
    known = {name: F.col(name) for name in rows.columns} | {"ingest_seq": F.lit(seq)}
    if table == "silver.orders":
        known["lines"] = F.when(F.col("kind") != "refunded", F.expr(LINE))
    columns = contract(table, lake.settings.schemas_dir).columns
    return rows.select(
        *[
            known.get(one.name, F.lit(EMPTY.get(one.type) if one.required else None)).cast(one.type).alias(one.name)
            for one in columns
        ]
    )


def _book(ledger: Ledger, days: dict[date, int], seq: int, until: datetime) -> None:
    """What ingest books of a batch: touched days, offsets, how far the source is complete."""
    known: dict[str, Any] = {"ingest_seq": seq, "recorded_at": TOLD_AT}
    counts = {"received": 1, "accepted": 1, "duplicate": 0, "conflict": 0, "quarantined": 0, "balanced": True}
    place = {"topic": "views", "topic_id": "t", "partition": 0, "offset_from": seq, "offset_to": seq + 1}
    touched = [
        known | {"table": "silver.views", "day": day, "cause": "new_facts", "rows": rows}
        for day, rows in sorted(days.items())
    ]
    said = known | {"source": "bench", "complete_until": until, "is_final": False, "offsets_reached": True}
    ledger.append("ops.touched", touched)
    ledger.append("ops.books", [known | {"run_id": "bench"} | place | counts])
    ledger.append("ops.watermarks", [said | {"topic": topic} for topic in FACTS])
