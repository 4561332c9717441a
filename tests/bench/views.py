"""Views as they come to Kafka, about 450 bytes each: of a hundred, two bad, one a duplicate, one two days late.

Made in bulk by DuckDB, as the simulator makes its own; each row also has the place that a broker would give it.
"""

from dataclasses import dataclass
from pathlib import Path

PARTITIONS, PRODUCERS = 4, 8
TOPIC_ID = "bench-views"
BASE_MS = 1_780_797_600_000  # 2026-06-07T02:00:00Z: ten in the morning in Shanghai
SPAN_MS = 6 * 3_600_000
LATE_MS = 2 * 86_400_000
KINDS = ("impression", "play", "product_view")

# A row of number i tells of event e. A duplicate tells again what the row five before it told, sent anew.
NUMBERS = f"""
SELECT i, i % 50 = 0 AS is_bad, (i // 50) % 5 AS form, i % 100 = 3 AS is_late,
       CASE WHEN i % 100 = 7 THEN i - 5 ELSE i END AS e,
       hash(e) % {{users}} AS person, hash(e, 'video') % 20000 AS video, hash(e, 'watch') % 60000 AS watch,
       {BASE_MS} + e * {SPAN_MS} // {{count}} AS sent_ms,
       sent_ms - CASE WHEN is_late THEN {LATE_MS} ELSE 0 END AS at_ms, md5(e::VARCHAR) AS dice
FROM range({{count}}) AS numbers(i)
"""
PARTS = f"""
SELECT *, (person % {PARTITIONS})::INT AS part, row_number() OVER (PARTITION BY part ORDER BY i) - 1 AS place,
       person % {PRODUCERS} AS producer, row_number() OVER (PARTITION BY producer ORDER BY i) - 1 AS seq,
       format('u{{:07d}}', person) AS user_id, printf('%012x', at_ms) AS stamp,
       stamp[1:8] || '-' || stamp[9:12] || '-7' || dice[1:3] || '-8' || dice[4:6] || '-' || dice[7:18] AS event_id,
       CASE WHEN is_bad AND form = 1 THEN '"x"' WHEN is_bad AND form = 2 THEN '-5' ELSE watch::VARCHAR END AS watch_ms,
       CASE WHEN is_bad AND form = 3 THEN '' WHEN is_bad AND form = 4 THEN '"kind":"teleport",'
            ELSE '"kind":"' || ['impression', 'play', 'product_view'][1 + (video % 3)::INT] || '",' END AS kind
FROM numbers ORDER BY i
"""
BODIES = """
SELECT *, '{"event_id":"' || event_id || '","event_time":' || at_ms || '000,"sent_time":' || sent_ms
    || '000,"producer":{"id":"bench-' || producer || '","epoch":1,"seq":' || seq || '},' || kind || '"user_id":"'
    || user_id || '","device_id":"d' || user_id || '","video_id":"v' || video || '","product_id":"p' || video % 500
    || '","position":' || e % 40 || ',"scene":"short_video","source":"recommend","watch_ms":' || watch_ms
    || ',"duration_ms":60000,"heartbeats":' || watch // 5000 || ',"features":["ar_try_on"],'
    || '"experiments":{"feed_rank":"b"},"app_version":"8.2.1"}' AS body
FROM parts
"""
HEADERS = {
    "ce_specversion": "'1.0'",
    "ce_type": "'reelhouse.view.v1'",
    "ce_source": "'replay:bench'",
    "ce_dataschema": "'reelhouse:/schemas/events/views/v1.json'",
    "content-type": "'application/json'",
    "ce_replayrange": f"'{BASE_MS - 2 * LATE_MS}000/{BASE_MS + LATE_MS}000'",
    "ce_id": "event_id",
    "ce_time": "strftime(make_timestamp(at_ms * 1000), '%Y-%m-%dT%H:%M:%S.%fZ')",
    "ce_replaytime": "sent_ms || '000'",
}


@dataclass(frozen=True)
class Truth:
    """What is in the file: rows, and how many of them a careful reader refuses or finds repeated."""

    rows: int
    bad: int
    duplicates: int

    @property
    def accepted(self) -> int:
        """Rows that silver should have."""
        return self.rows - self.bad - self.duplicates


def make_views(path: Path, count: int) -> Truth:
    """Write so many records: topic, key, value, headers as Kafka takes them; partition, offset, timestamp it gives."""
    count = max(100, count // 100 * 100)  # whole hundreds, so that the shares are exact
    write_records(path, NUMBERS.format(count=count, users=max(10, count // 20)))
    return Truth(count, bad=count // 50, duplicates=count // 100)


def write_records(path: Path, numbers: str) -> None:
    """The records of which these rows tell, in SQL with the columns of NUMBERS, by their number."""
    import duckdb

    pairs = ", ".join(f"{{'key': '{name}', 'value': encode({text})}}" for name, text in HEADERS.items())
    query = f"""
    WITH numbers AS ({numbers}), parts AS ({PARTS}), bodies AS ({BODIES})
    SELECT 'views' AS topic, encode(user_id) AS key, [{pairs}] AS headers,
           encode(CASE WHEN is_bad AND form = 0 THEN left(body, length(body) * 2 // 3) ELSE body END) AS value,
           part AS partition, place AS "offset", make_timestamp(sent_ms * 1000)::TIMESTAMPTZ AS timestamp
    FROM bodies"""
    path.parent.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        connection.execute(f"SET TimeZone = 'UTC'; SET memory_limit = '3GB'; SET temp_directory = '{path.parent}/tmp'")
        connection.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 50000)")
