"""The funnels of the real logs in plain SQL over the raw files, from the rules, sharing no code with the engine.

`ENTRIES` reads one log into `chains`, a row an entry: `subject`, `key` (what is held equal), `moment`, `until` (µs) and
how far it got: `reached`, `got_at`, `is_done`, and whether the optional step was filled. `ATTEMPTS` is rule 9b.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb

Row = dict[str, Any]
DAY = "timezone('{zone}', make_timestamptz(entry_at))::DATE"
# A local time that comes twice, when clocks go back, is the first of the two.
LOCAL = (
    "epoch_us(CASE WHEN timezone('{zone}', timezone('{zone}', {local}) - INTERVAL 1 HOUR) = {local} "
    "THEN timezone('{zone}', {local}) - INTERVAL 1 HOUR ELSE timezone('{zone}', {local}) END)"
)
CSV = "read_csv('{folder}/{file}', header = {header}, delim = '{delim}', all_varchar = true, null_padding = true)"

KUAIRAND = """
CREATE TABLE raw AS SELECT user_id AS subject, video_id AS key, time_ms::BIGINT * 1000 AS moment,
  play_time_ms::BIGINT AS watched, duration_ms::BIGINT AS length, * FROM {log};
CREATE TABLE acts AS
SELECT subject, key, moment + watched * 1000 AS moment, label = '1' AS is_like, '1' IN (is_comment, is_forward,
  is_follow) AS is_more
FROM raw;
CREATE TABLE chains AS
WITH plays AS (
  SELECT DISTINCT subject, key, moment, moment + 1800000000 AS until, watched, length, date, hourmin, is_click,
    long_view,
    is_profile_enter, comment_stay_time
  FROM raw WHERE watched >= 3000 OR (length > 0 AND watched * 3 >= length)
), liked AS (
  SELECT plays.*, (SELECT min(a.moment) FROM acts a WHERE is_like AND a.subject = plays.subject AND a.key = plays.key
    AND a.moment BETWEEN plays.moment AND until) AS liked_at FROM plays
), engaged AS (
  SELECT liked.*, (SELECT min(a.moment) FROM acts a WHERE is_more AND a.subject = liked.subject AND a.key = liked.key
    AND a.moment BETWEEN liked_at AND until) AS engaged_at FROM liked
)
SELECT subject, key, moment, until, 1 + (liked_at IS NOT NULL)::INT + (engaged_at IS NOT NULL)::INT AS reached,
  coalesce(engaged_at, liked_at, moment) AS got_at, engaged_at IS NOT NULL AS is_done, false AS has_optional
FROM engaged;
"""

# A purchase is an order placed and paid at one instant: who ordered has paid.
BOUGHT = """
CREATE TABLE chains AS
WITH ordered AS (
  SELECT subject, '' AS key, moment, moment + {window} AS until, (SELECT min(a.moment) FROM acts a WHERE what = 'buy'
    AND a.subject = seen.subject AND a.moment BETWEEN seen.moment AND seen.moment + {window}) AS paid_at
  FROM acts seen WHERE what = 'see'
), kept AS (
  SELECT *, (SELECT min(a.moment) FROM acts a WHERE what = 'keep' AND a.subject = ordered.subject
    AND a.moment BETWEEN ordered.moment AND coalesce(paid_at, until)) AS kept_at
  FROM ordered
)
SELECT subject, key, moment, until,
  CASE WHEN paid_at IS NOT NULL THEN 4 WHEN kept_at IS NOT NULL THEN 2 ELSE 1 END AS reached,
  coalesce(paid_at, kept_at, moment) AS got_at, paid_at IS NOT NULL AS is_done, kept_at IS NOT NULL AS has_optional
FROM kept;
"""
TAOBAO = """
CREATE TABLE acts AS SELECT DISTINCT column0 AS subject, column4::BIGINT * 1000000 AS moment, column1 AS item,
  CASE column3 WHEN 'pv' THEN 'see' WHEN 'buy' THEN 'buy' ELSE 'keep' END AS what
FROM {log} WHERE length(column4) = 10;
""" + BOUGHT.replace("{window}", "3600000000")
REES46 = """
CREATE TABLE acts AS
SELECT user_id AS subject, epoch_us(strptime(event_time, '%Y-%m-%d %H:%M:%S UTC')) AS moment,
  CASE event_type WHEN 'view' THEN 'see' WHEN 'cart' THEN 'keep' ELSE 'buy' END AS what
FROM (SELECT DISTINCT * FROM {log} WHERE user_session <> '');
""" + BOUGHT.replace("{window}", "1800000000")

OLIST = """
CREATE TABLE orders AS
SELECT customer_unique_id AS subject, order_id AS key, {placed} AS placed_at, {paid} AS paid_at,
  {shipped} AS shipped_at,
  {delivered} AS delivered_at
FROM {log} JOIN {people} USING (customer_id);
CREATE TABLE chains AS
WITH paid AS (
  SELECT subject, key, placed_at AS moment, placed_at + 120 * 86400000000 AS until, shipped_at, delivered_at,
    CASE WHEN paid_at BETWEEN placed_at AND placed_at + 120 * 86400000000 THEN paid_at END AS paid_at
  FROM orders
), delivered AS (
  SELECT * REPLACE (CASE WHEN delivered_at BETWEEN paid_at AND until THEN delivered_at END AS delivered_at) FROM paid
), shipped AS (
  SELECT * REPLACE (
    CASE WHEN shipped_at BETWEEN paid_at AND coalesce(delivered_at, until) THEN shipped_at END AS shipped_at)
  FROM delivered
), reviewed AS (
  SELECT shipped.*, (SELECT min({answered}) FROM {reviews} r WHERE r.order_id = shipped.key
    AND {answered} BETWEEN delivered_at AND until) AS reviewed_at FROM shipped
)
SELECT subject, key, moment, until, CASE WHEN reviewed_at IS NOT NULL THEN 5 WHEN delivered_at IS NOT NULL THEN 4
    WHEN shipped_at IS NOT NULL THEN 3 WHEN paid_at IS NOT NULL THEN 2 ELSE 1 END AS reached,
  coalesce(reviewed_at, delivered_at, shipped_at, paid_at, moment) AS got_at, reviewed_at IS NOT NULL AS is_done,
  shipped_at IS NOT NULL AS has_optional
FROM reviewed;
"""

ATTEMPTS = """
CREATE TABLE conversions AS
WITH RECURSIVE found AS (
  SELECT subject, key, min(got_at) AS instant, -1::BIGINT AS before FROM chains WHERE is_done GROUP BY ALL
  UNION ALL
  SELECT subject, key, min(e.got_at), f.instant
  FROM found f JOIN chains e USING (subject, key) WHERE e.is_done AND e.moment > f.instant GROUP BY ALL
)
SELECT * FROM found;
CREATE TABLE taken AS
SELECT e.*, instant FROM conversions JOIN chains e USING (subject, key)
WHERE e.moment > before AND e.moment <= instant AND e.until >= instant;
CREATE TABLE left_over AS SELECT * FROM chains ANTI JOIN taken USING (subject, key, moment);
CREATE TABLE runs AS
WITH RECURSIVE found AS (
  SELECT subject, key, min(moment) AS start, arg_min(until, moment) AS stop FROM left_over GROUP BY ALL
  UNION ALL
  SELECT subject, key, min(e.moment), arg_min(e.until, e.moment)
  FROM found f JOIN left_over e USING (subject, key) WHERE e.moment > f.stop GROUP BY subject, key, f.start
)
SELECT * FROM found;
CREATE TABLE attempts AS
SELECT subject, max(moment) FILTER (is_done AND got_at = instant) AS entry_at, min(moment) AS earliest_at,
  count(*) AS entries,
  max(reached) FILTER (is_done AND got_at = instant) AS reached, instant AS got_at, entry_at AS best_at,
  bool_or(has_optional) FILTER (is_done AND got_at = instant AND moment = own_at) AS has_optional, max(until) AS until,
  true AS is_done
FROM (
  SELECT *, max(moment) FILTER (is_done AND got_at = instant) OVER (PARTITION BY subject, key,
    instant) AS own_at FROM taken
) GROUP BY subject, key, instant
UNION ALL BY NAME
SELECT subject, start AS entry_at, start AS earliest_at, count(*) AS entries,
  first(reached ORDER BY {best}) AS reached, first(got_at ORDER BY {best}) AS got_at,
    first(moment ORDER BY {best}) AS best_at,
  first(has_optional ORDER BY {best}) AS has_optional, max(until) AS until, false AS is_done
FROM runs JOIN left_over USING (subject, key) WHERE moment BETWEEN start AND stop
GROUP BY subject, key, start;
""".replace("{best}", "reached DESC, got_at, moment DESC")

GOT_TO = "count(*) FILTER (CASE WHEN {is_optional} THEN has_optional ELSE reached >= {step} END)"
MEDIAN_DOUBLED = "list_sort(list({x}))[(count(*) + 1) // 2] + list_sort(list({x}))[count(*) // 2 + 1]"


class Sql:
    """One log's funnel by SQL; `optional` is the number of its optional step, 0 for none."""

    def __init__(self, entries: str, zone: str, optional: int, **sources: str) -> None:
        self.duck = duckdb.connect()
        self.day, self.optional = DAY.format(zone=zone), optional
        for statement in (entries.format(**sources) + ATTEMPTS).split(";\n"):
            self.duck.execute(statement)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        return self.duck.execute(query).fetchall()

    def _got_to(self, step: int) -> str:
        return GOT_TO.format(step=step, is_optional="true" if step == self.optional else "false")

    def attempts(self, step: int) -> int:
        return int(self.rows(f"SELECT {self._got_to(step)} FROM attempts")[0][0])

    def mature(self, step: int, watermark: int) -> int:
        return int(self.rows(f"SELECT {self._got_to(step)} FROM attempts WHERE until < {watermark}")[0][0])

    def people(self, step: int) -> int:
        best = "PARTITION BY subject ORDER BY reached DESC, got_at, moment DESC"
        chosen = f"SELECT * FROM chains QUALIFY row_number() OVER ({best}) = 1"
        return int(self.rows(f"SELECT {self._got_to(step)} FROM ({chosen})")[0][0])

    def by_day(self, source: str, step: int) -> dict[str, int]:
        found = self.rows(f"SELECT {self.day} AS day, {self._got_to(step)} FROM {source} GROUP BY day")
        return {day.isoformat(): count for day, count in found}

    def attempts_by_day(self, step: int) -> dict[str, int]:
        return self.by_day("attempts", step)

    def people_by_day(self, step: int) -> dict[str, int]:
        best = f"PARTITION BY subject, {self.day} ORDER BY reached DESC, got_at, best_at DESC"
        return self.by_day(f"(SELECT * FROM attempts QUALIFY row_number() OVER ({best}) = 1)", step)

    def medians_by_day(self, since: str) -> dict[str, int]:
        """Twice the median time to convert by day, from `entry_at` (decision) or `earliest_at` (deliberation)."""
        median = MEDIAN_DOUBLED.format(x=f"got_at - {since}")
        found = self.rows(f"SELECT {self.day} AS day, {median} FROM attempts WHERE is_done GROUP BY day")
        return {day.isoformat(): value for day, value in found}

    def median(self, since: str) -> int:
        """Twice the median time to convert of all conversions."""
        median = MEDIAN_DOUBLED.format(x=f"got_at - {since}")
        return int(self.rows(f"SELECT {median} FROM attempts WHERE is_done")[0][0])

    def entries(self) -> int:
        return int(self.rows("SELECT sum(entries) FROM attempts")[0][0])


def of_kuairand(folder: Path) -> Sql:
    log = CSV.format(folder=folder, file="processed_standard_kcore_15.csv", header="true", delim="\t")
    return Sql(KUAIRAND, "Asia/Shanghai", 0, log=log)


def of_taobao(folder: Path) -> Sql:
    log = CSV.format(folder=folder, file="UserBehavior.csv", header="false", delim=",")
    return Sql(TAOBAO, "Asia/Shanghai", 2, log=log)


def of_rees46(folder: Path) -> Sql:
    return Sql(REES46, "UTC", 2, log=CSV.format(folder=folder, file="2019-Oct.csv", header="true", delim=","))


def of_olist(folder: Path) -> Sql:
    zone = "America/Sao_Paulo"
    names = {"log": "orders", "people": "customers", "reviews": "order_reviews"}
    files = {
        name: f"read_csv('{folder}/olist_{file}_dataset.csv', all_varchar = true, quote = '\"', escape = '\"')"
        for name, file in names.items()
    }
    columns = {
        "placed": "order_purchase_timestamp", "paid": "order_approved_at", "shipped": "order_delivered_carrier_date",
        "delivered": "order_delivered_customer_date", "answered": "r.review_answer_timestamp",
    }  # fmt: skip
    times = {name: LOCAL.format(zone=zone, local=f"{column}::TIMESTAMP") for name, column in columns.items()}
    return Sql(OLIST, zone, 3, **files, **times)
