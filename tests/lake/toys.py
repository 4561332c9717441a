"""A toy family on a real lake: two tables made of `silver.plays`, so that publishing is tested without the shop.

`gold.toy_days` replaces days, `gold.toy_users` merges users; `gold.toy_log` only grows.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
import yaml
from deltalake import DeltaTable
from pyspark.sql import DataFrame

from jobs.lake import kill_points
from jobs.lake.backfills.slices import DaysSlice, Slice
from jobs.lake.families.backfilled import Backfilled
from jobs.lake.kill_points import Killed
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.runner import lease_name
from jobs.lake.settings import ROOT, Settings
from jobs.lake.tables import Lake
from jobs.lake.work import Mode, Staged, Work

Row = dict[str, Any]

FAMILY = "toys"
TABLES = ("gold.toy_days", "gold.toy_log", "gold.toy_users")
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
LEDGER = (
    "books", "touched", "watermarks", "publications", "check_results", "runs", "leases", "costs", "backfills",
    "restatements", "replays", "retractions", "erasures", "landings", "reconciliations", "book_hours",
    "file_digests",
)  # fmt: skip

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
LOG: Columns = {
    "user_id": ("string", "personal"),
    "known_from": ("timestamp", "public"),
    "play_count": ("bigint", "public"),
}
UNLUCKY = {
    "name": "unlucky_day", "type": "sql", "severity": "critical", "description": "No day has exactly three plays.",
    "query": "SELECT COUNT(*) FROM {table} WHERE play_count = 3", "mustBe": 0,
}  # fmt: skip
NO_CAPITALS = {
    "name": "no_capitals", "type": "sql", "severity": "critical", "description": "Users are written small.",
    "query": "SELECT COUNT(*) FROM {table} WHERE user_id RLIKE '[A-Z]'", "mustBe": 0,
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
    offset: int = 0

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.settings)

    def ingest(self, *plays: tuple[str, date, int], **misbooked: int) -> None:
        """One batch of (user, day, watch_ms), with its touched days and its books, as ingest writes them."""
        self.seq += 1
        rows = [
            {"play_id": f"{self.seq}-{n}", "user_id": user, "event_date": day, "watch_ms": ms, "ingest_seq": self.seq}
            for n, (user, day, ms) in enumerate(plays)
        ]
        self.ledger.append("silver.plays", rows)
        touched = sorted({day for _, day, _ in plays})
        self.ledger.append("ops.touched", [self._touched(day, len(plays)) for day in touched])
        self.ledger.append("ops.books", [self._books(len(plays)) | misbooked])

    def rows(self, table: str, version: int | None = None) -> list[tuple[Any, ...]]:
        """Rows of a table (of its newest version, or an older one) as plain tuples in a stable order."""
        rows = DeltaTable(self.settings.table_path(table), version=version).to_pyarrow_table().to_pylist()
        return sorted((tuple(row.values()) for row in rows), key=repr)

    def _touched(self, day: date, rows: int) -> dict[str, Any]:
        facts = {"ingest_seq": self.seq, "table": "silver.plays", "day": day, "cause": "new_facts"}
        return {**facts, "rows": rows, "recorded_at": NOON}

    def _books(self, rows: int) -> dict[str, Any]:
        counts = {"received": rows, "accepted": rows, "duplicate": 0, "conflict": 0, "quarantined": 0}
        place = {"topic": "views", "topic_id": "t", "partition": 0, "offset_from": self.offset}
        self.offset += rows
        return {
            "ingest_seq": self.seq,
            "run_id": "r",
            **place,
            "offset_to": self.offset,
            **counts,
            "balanced": True,
            "recorded_at": NOON,
        }


def toys(home: Path, spark: Any) -> Toys:
    """A new lake under `home`, with contracts of its own."""
    schemas = home / "schemas"
    write_contract(schemas, "silver.plays", PLAYS, ["play_id"], write="append", slice="event_date")
    write_contract(
        schemas, "gold.toy_days", DAYS, ["event_date"], write="replace_slice", slice="event_date", family=FAMILY,
        inputs=["silver.plays"], quality=[UNLUCKY, BUSY], backfill=["days"],
    )  # fmt: skip
    write_contract(
        schemas, "gold.toy_users", USERS, ["user_id"], write="merge", family=FAMILY, inputs=["silver.plays"],
        quality=[NO_CAPITALS], looked_up_by="user_id",
    )  # fmt: skip
    write_contract(
        schemas, "gold.toy_log", LOG, ["user_id", "known_from"], write="append", family=FAMILY, inputs=["silver.plays"]
    )
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
        {
            "name": column,
            "logicalType": "string",
            "physicalType": kind,
            "classification": privacy,
            "description": column,
        }
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


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterable[Staged]:
    """The toy family: what `jobs.lake.families.<family>.stage` is for the real ones, worked out without Spark."""
    plays = plays_of(lake, work)
    new = {row["event_date"] for row in plays if row["ingest_seq"] > work.ingest_seq_from} if done else set()
    due = {*work.days, *new}
    days = days_of([row for row in plays if work.full or row["event_date"] in due])
    for one in done:
        made = one.rows["gold.toy_days"].toArrow().to_pylist()
        days += [row for row in made if row["event_date"] not in due]
        assert isinstance(one.slice, DaysSlice)
        due |= {*one.slice.days}
    mode: Mode = "replace_all" if work.full else "replace_slices"
    slices = () if work.full else tuple(sorted(due))
    yield Staged("gold.toy_days", _frame(lake, "gold.toy_days", days), mode, slices)
    touched = {row["user_id"] for row in plays if row["ingest_seq"] > work.ingest_seq_from}
    users = users_of([row for row in plays if row["user_id"] in touched])
    forgotten = [user for user in users if user["user_id"] == "nobody"]
    kept = [user for user in users if user["user_id"] != "nobody"]
    removed = _frame(lake, "gold.toy_users", forgotten) if forgotten else None
    yield Staged("gold.toy_users", _frame(lake, "gold.toy_users", kept), "merge", removed=removed)
    log = [
        {"user_id": user["user_id"], "known_from": work.known_from, "play_count": user["play_count"]} for user in kept
    ]
    yield Staged("gold.toy_log", _frame(lake, "gold.toy_log", log), "append")


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterable[Staged]:
    """The days of a slice of a backfill."""
    assert isinstance(one, DaysSlice)
    days = days_of([row for row in plays_of(lake, work) if row["event_date"] in one.days])
    yield Staged("gold.toy_days", _frame(lake, "gold.toy_days", days), "append")


def plays_of(lake: Lake, work: Work) -> list[Row]:
    """All plays the work knows of."""
    rows: list[Row] = Ledger(lake.settings).read("silver.plays").to_pylist()
    return [row for row in rows if row["ingest_seq"] <= work.ingest_seq_to]


def days_of(plays: Sequence[Row]) -> list[Row]:
    """One row per day: how many plays, and which share was watched at all."""
    days = sorted({row["event_date"] for row in plays})
    found = [[row["watch_ms"] for row in plays if row["event_date"] == day] for day in days]
    shares = [sum(ms > 0 for ms in watched) / len(watched) for watched in found]
    return [
        {"event_date": day, "play_count": len(watched), "watched_rate": share}
        for day, watched, share in zip(days, found, shares, strict=True)
    ]


def users_of(plays: Sequence[Row]) -> list[Row]:
    """One row per user, with one column of each odd type."""
    users: dict[str, list[Row]] = {}
    for row in plays:
        users.setdefault(row["user_id"], []).append(row)
    return [
        {
            "user_id": user,
            "play_count": len(own),
            "interest": Decimal(10) ** 37 + len(own),
            "last_seen_at": NOON,
            "is_keen": len(own) > 1,
            "scenes": sorted({str(row["event_date"]) for row in own}),
            "facts": {"plays": str(len(own))},
            "best": {"day": max(row["event_date"] for row in own), "watch_ms": max(row["watch_ms"] for row in own)},
        }
        for user, own in sorted(users.items())
    ]


def _frame(lake: Lake, table: str, rows: Sequence[Row]) -> DataFrame:
    """Rows by way of Arrow, which needs no Python worker."""
    fields = [field.with_nullable(True) for field in lake.contract(table).arrow_schema()]
    return lake.spark.createDataFrame(pa.Table.from_pylist(list(rows), schema=pa.schema(fields))).coalesce(1)


@contextmanager
def installed() -> Iterator[None]:
    """Let the runner find the toy family among the real ones."""
    module = ModuleType(f"jobs.lake.families.{FAMILY}")
    module.stage, module.stage_slice = stage, stage_slice  # type: ignore[attr-defined]
    sys.modules[module.__name__] = module
    try:
        yield
    finally:
        del sys.modules[module.__name__]


def run_out(ledger: Ledger, name: str) -> None:
    """Let a lease run out, as it does when its holder stands still for a minute."""
    held, version = ledger.read_versioned(LEASES)
    lines = [row | {"expires_at": row["acquired_at"]} if row["name"] == name else row for row in held.to_pylist()]
    ledger.replace(LEASES, lines, on_version=version)


def take_over(ledger: Ledger, family: str, do: Callable[[], None] = lambda: None) -> None:
    """Another run takes a family's lease from one that stands still, and does something."""
    run_out(ledger, lease_name(family))
    with Leases(ledger).held(lease_name(family), "another"):
        do()


@contextmanager
def killed_at(name: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """The block is killed at the named point of the writers."""
    patch.setenv(kill_points.VARIABLE, f"raise:{name}")
    with pytest.raises(Killed):
        yield
    patch.delenv(kill_points.VARIABLE)
