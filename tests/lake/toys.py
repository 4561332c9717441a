"""A toy family on a real lake: two tables made of `silver.plays`, so that publishing is tested without the shop.

`gold.toy_days` replaces days, `gold.toy_users` merges users; `gold.toy_log` only grows.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from jobs.lake.ledger import Ledger
from jobs.lake.settings import ROOT, Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work

FAMILY = "toys"
TABLES = ("gold.toy_days", "gold.toy_log", "gold.toy_users")
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LEDGER = ("books", "touched", "watermarks", "publications", "check_results", "runs", "leases")

Columns = dict[str, tuple[str, str]]  # name → (type, privacy)
PLAYS: Columns = {
    "play_id": ("string", "internal"),
    "user_id": ("string", "personal"),
    "event_date": ("date", "public"),
    "watch_ms": ("bigint", "public"),
    "ingest_seq": ("bigint", "internal"),
}
DAYS: Columns = {
    "event_date": ("date", "public"),
    "play_count": ("bigint", "public"),
    "watched_rate": ("double", "public"),
}
USERS: Columns = {
    "user_id": ("string", "personal"),
    "play_count": ("bigint", "public"),
    "interest": ("decimal(38,0)", "public"),
    "last_seen_at": ("timestamp", "public"),
    "is_keen": ("boolean", "public"),
    "scenes": ("array<string>", "public"),
    "facts": ("map<string,string>", "public"),
    "best": ("struct<day:date,watch_ms:bigint>", "public"),
}
LOG: Columns = {"user_id": ("string", "personal"), "known_from": ("timestamp", "public"), "play_count": ("bigint", "public")}
WATCHED_LONG = {
    "name": "watched_long", "type": "sql", "severity": "critical", "description": "Nobody watches a negative time.",
    "query": "SELECT COUNT(*) FROM {table} WHERE watched_rate < 0 OR play_count > 100", "mustBe": 0,
}  # fmt: skip
BUSY = {
    "name": "busy_day", "type": "library", "metric": "rowCount", "severity": "warning",
    "description": "More days are expected.", "mustBeGreaterThan": 50,
}  # fmt: skip


@dataclass
class Toys:
    """One lake with the toy family's contracts, fed by hand."""

    settings: Settings
    lake: Lake
    seq: int = 0
    plays: list[dict[str, Any]] = field(default_factory=list)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    def ingest(self, *plays: tuple[str, date, int]) -> None:
        """One batch of (user, day, watch_ms), with its touched days and its books, as ingest writes them."""
        self.seq += 1
        rows = [(f"{self.seq}-{n}", user, day, ms, self.seq) for n, (user, day, ms) in enumerate(plays)]
        frame = self.lake.spark.createDataFrame(rows, "play_id string, user_id string, event_date date, watch_ms long, ingest_seq long")
        self.lake.append("silver.plays", frame, app="ingest", version=self.seq)
        touched = sorted({day for _, day, _ in plays})
        self.ledger.append("ops.touched", [self._touched(day, len(plays)) for day in touched])
        self.ledger.append("ops.books", [self._books(len(plays))])

    def rows(self, table: str, version: int | None = None) -> list[tuple[Any, ...]]:
        """Rows of a table, as plain tuples in a stable order."""
        return sorted(tuple(row) for row in self.lake.read(table, version).collect())

    def _touched(self, day: date, rows: int) -> dict[str, Any]:
        facts = {"ingest_seq": self.seq, "table": "silver.plays", "day": day, "cause": "new_facts"}
        return {**facts, "rows": rows, "recorded_at": NOON}

    def _books(self, rows: int) -> dict[str, Any]:
        counts = {"received": rows, "accepted": rows, "duplicate": 0, "conflict": 0, "quarantined": 0}
        place = {"topic": "views", "topic_id": "t", "partition": 0, "offset_from": 0, "offset_to": rows}
        return {"ingest_seq": self.seq, "run_id": "r", **place, **counts, "balanced": True, "recorded_at": NOON}


def toys(home: Path, spark: Any) -> Toys:
    """A new lake under `home`, with contracts of its own."""
    schemas = home / "schemas"
    write_contract(schemas, "silver.plays", PLAYS, ["play_id"], write="append", slice="event_date")
    write_contract(
        schemas, "gold.toy_days", DAYS, ["event_date"], write="replace_slice", slice="event_date", family=FAMILY,
        inputs=["silver.plays"], quality=[WATCHED_LONG, BUSY],
    )  # fmt: skip
    write_contract(schemas, "gold.toy_users", USERS, ["user_id"], write="merge", family=FAMILY, inputs=["silver.plays"])
    write_contract(schemas, "gold.toy_log", LOG, ["user_id", "known_from"], write="append", family=FAMILY, inputs=["silver.plays"])
    (schemas / "ops").mkdir()
    for name in LEDGER:
        (schemas / "ops" / f"{name}.yaml").symlink_to(ROOT / "schemas" / "ops" / f"{name}.yaml")
    (schemas / "glossary.yaml").symlink_to(ROOT / "schemas" / "glossary.yaml")
    settings = Settings(home=home, schemas_dir=schemas, spark_remote="", spark_master="")
    return Toys(settings, Lake(settings, spark))


def write_contract(
    schemas: Path, table: str, columns: Columns, grain: Sequence[str], *, version: str = "1.0.0",
    quality: Sequence[dict[str, Any]] = (), **own: Any,
) -> None:  # fmt: skip
    """A contract file of the shape schemas/README.md shows."""
    layer, name = table.split(".")
    properties = [
        {"name": column, "logicalType": "string", "physicalType": kind, "classification": privacy, "description": column}
        | ({"primaryKey": True} if column in grain else {})
        for column, (kind, privacy) in columns.items()
    ]
    promise = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": table, "version": version, "status": "active",
        "description": {"purpose": f"Toys: {name}."},
        "customProperties": [{"property": key, "value": value} for key, value in own.items()],
        "schema": [{"name": name, "description": "One row.", "properties": properties, "quality": list(quality)}],
    }  # fmt: skip
    (schemas / layer).mkdir(parents=True, exist_ok=True)
    (schemas / layer / f"{name}.yaml").write_text(yaml.safe_dump(promise))


def stage(lake: Lake, work: Work) -> Iterable[Staged]:
    """The toy family: what `jobs.lake.families.<family>.stage` is for the real ones."""
    plays = lake.read("silver.plays").where(F.col("ingest_seq") <= work.ingest_seq_to)
    days = days_of(plays)
    if not work.full:
        days = days.where(F.col("event_date").isin(*work.days))
    yield Staged("gold.toy_days", days, "replace_all" if work.full else "replace_slices", () if work.full else work.days)
    touched = plays.where(F.col("ingest_seq") > work.ingest_seq_from).select("user_id").distinct()
    users = users_of(plays.join(touched, on=["user_id"], how="left_semi"))
    forgotten = touched.where("user_id = 'nobody'")
    yield Staged("gold.toy_users", users.where("user_id <> 'nobody'"), "merge", removed=forgotten)
    yield Staged("gold.toy_log", users.select("user_id", F.lit(work.known_from).alias("known_from"), "play_count"), "append")


def days_of(plays: DataFrame) -> DataFrame:
    watched = F.avg((F.col("watch_ms") > 0).cast("double"))
    return plays.groupBy("event_date").agg(F.count("*").alias("play_count"), watched.alias("watched_rate"))


def users_of(plays: DataFrame) -> DataFrame:
    best = F.max_by(F.struct(F.col("event_date").alias("day"), "watch_ms"), F.struct("watch_ms", "play_id"))
    return plays.groupBy("user_id").agg(
        F.count("*").alias("play_count"),
        F.lit(Decimal(10) ** 37).alias("interest"),
        F.lit(NOON).alias("last_seen_at"),
        (F.count("*") > 1).alias("is_keen"),
        F.sort_array(F.collect_set(F.col("event_date").cast("string"))).alias("scenes"),
        F.create_map(F.lit("plays"), F.count("*").cast("string")).alias("facts"),
        best.alias("best"),
    )


@contextmanager
def installed() -> Iterator[None]:
    """Let the runner find the toy family among the real ones."""
    module = ModuleType(f"jobs.lake.families.{FAMILY}")
    module.stage = stage  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]
