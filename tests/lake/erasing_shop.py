"""A lake of its own that takes in what is put and has people erased; what tests of erasures share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from pyspark.sql import SparkSession

from jobs.lake.balance import judged
from jobs.lake.clock import now
from jobs.lake.digest import digest_of
from jobs.lake.ingest.erasing import Asked, erase
from jobs.lake.ingest.loop import Ingest
from jobs.lake.kill_points import VARIABLE
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.upkeep.rounds import Round
from tests.lake.by_hour import Hours, by_hour
from tests.lake.logs import NOON, Log, Record, body_of, micros, record

WHO, OTHER = "u-who", "u-other"
TABLES = ("silver.views", "silver.likes", "silver.orders", "silver.users")
FATES = ("accepted", "duplicate", "conflict", "quarantined", "erased")


def view(number: int, user: str, *, hour: int = 0, **fields: Any) -> Record:
    """A view at an hour after noon."""
    at = NOON + timedelta(hours=hour)
    told = {"event_time": micros(at - timedelta(minutes=number // 2 % 2)), **fields}  # in one event hour or another
    return record("views", body_of("views", number, at=at, user_id=user, **told), at=at, partition=number % 2)


@dataclass
class Shop:
    """A lake and its topics."""

    settings: Settings
    spark: SparkSession
    log: Log

    def ingest(self, records: Iterable[Record] = ()) -> Ingest:
        """Take in what is put, as one batch."""
        self.log.put(records)
        run = Ingest(self.settings, "test", now, lambda _: self.spark)
        with pytest.MonkeyPatch.context() as patch:
            self.log.installed(patch)
            run.until_caught_up()
        return run

    def erase(
        self, user: str = WHO, *, is_later_refused: bool = False, killed_at: str = "", hour: int = 1,
        why: str = "request 17",
    ) -> int | None:  # fmt: skip
        """Erase somebody, asked for at an hour after noon, or begin to; the batch."""
        run = Ingest(self.settings, "test", now, lambda _: self.spark)
        asked = Asked(user, why, "tester", NOON + timedelta(hours=hour), is_later_refused)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv(VARIABLE, f"raise:{killed_at}")
            _, done = erase(run, asked)
        return done.ingest_seq if done else None

    def found(self) -> dict[str, Any]:
        """What silver, quarantine and the books say."""
        run = Ingest(self.settings, "test", now, lambda _: self.spark)
        lake, ledger = run.lake(), run.ledger
        refused = ledger.read("silver.quarantine").to_pylist()
        places = {(row["topic"], row["kafka_partition"], row["kafka_offset"]): row["reasons"] for row in refused}
        tables = {table: digest_of(lake, table) for table in TABLES}
        return tables | {"refused": places, "books": self.books(), "hours": self.hours()}

    def hours(self) -> Hours:
        """What the books say by event hour, of records that have one."""
        return {place: n for place, n in by_hour(Ledger(self.settings)).items() if place[2]}

    def books(self) -> Counter[str]:
        """The sums of all lines, each of which balances, also with its hours."""
        by_hour(Ledger(self.settings))
        lines = Ledger(self.settings).read("ops.books").to_pylist()
        assert [line["problem"] for line in judged(lines) if not line["balanced"]] == []
        sums = Counter({fate: sum(line[fate] or 0 for line in lines) for fate in FATES})
        reasons = Counter(dict.fromkeys((name for line in lines for name, _ in line["reason_counts"]), 0))
        for line in lines:
            reasons.update(dict(line["reason_counts"]))
        return sums + reasons

    def tidy(self, *tables: str) -> None:
        """Upkeep that keeps nothing old."""
        Round(self.settings, "test", timedelta(0), now(), lambda _: None).tidy(tables)
