"""A family that reads another's tables is built on what is published of them, and anew whenever that is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.publications import Publication, publish, release_id
from jobs.lake.work import Pending, Work, pending, plan
from tests.lake.toys import DAYS, FAMILY, MONDAY, NOON, TABLES, TUESDAY, Toys, write_contract
from tests.lake.toys import toys as make_toys

RANKS = "gold.toy_ranks"


@pytest.fixture
def toys(tmp_path: Path) -> Toys:
    """The toy lake with a second family that reads the first one's days, and plays."""
    made = make_toys(tmp_path, spark=None)
    write_contract(
        made.settings.schemas_dir, RANKS, DAYS, ["event_date"], write="replace_all", family="ranks",
        inputs=["gold.toy_days", "silver.plays"],
    )  # fmt: skip
    return made


def left(toys: Toys) -> Pending:
    return pending(toys.ledger, toys.settings, "ranks")


def planned(toys: Toys) -> Work | None:
    return plan(toys.ledger, toys.settings, "ranks", False, [], NOON)


def release(toys: Toys, family: str, number: int, seq: int, hours: int = 0, watermark: datetime | None = None) -> None:
    """Book a release of a family, on batch `seq`."""
    common: dict[str, Any] = {"slices": (), "verdict": "passed", "run_id": f"run-{number}", "rows": 1}
    common |= {"contract_version": "1.0.0", "watermark": watermark, "known_from": NOON + timedelta(hours=hours)}
    tables = TABLES if family == FAMILY else (RANKS,)
    lines = [
        Publication(
            release_id=release_id(family, number), family=family, table=table, version=10 + number, ingest_seq=seq,
            **common,
        )
        for table in tables
    ]  # fmt: skip
    publish(toys.ledger, family, number, lines)


def test_before_the_other_family_is_released_there_is_nothing_to_do(toys: Toys) -> None:
    toys.ingest(("ann", MONDAY, 1))
    assert not left(toys).is_waiting
    assert planned(toys) is None


def test_it_goes_as_far_as_the_other_family_and_no_further(toys: Toys) -> None:
    toys.ingest(("ann", MONDAY, 1))
    level = datetime(2026, 11, 17, tzinfo=UTC)
    release(toys, FAMILY, 1, seq=1, watermark=level)
    toys.ingest(("ann", TUESDAY, 1))
    work = planned(toys)
    assert work is not None
    assert (work.ingest_seq_to, work.watermark) == (1, level)
    assert work.silver_versions == {"gold.toy_days": 11, "silver.plays": toys.ledger.version("silver.plays")}


def test_its_own_release_leaves_nothing_until_the_next_of_the_other(toys: Toys) -> None:
    toys.ingest(("ann", MONDAY, 1))
    release(toys, FAMILY, 1, seq=1)
    release(toys, "ranks", 1, seq=1, hours=1)
    assert left(toys).reasons == ()
    toys.ingest(("ann", TUESDAY, 1))
    assert left(toys).reasons == ()
    release(toys, FAMILY, 2, seq=2, hours=2)
    assert left(toys).reasons == ("touched", "upstream")


def test_a_rebuild_and_a_rollback_of_the_other_family_wake_it(toys: Toys) -> None:
    """The same batches under another contract, or fewer of them: what was built on them is no more what they say."""
    toys.ingest(("ann", MONDAY, 1))
    toys.ingest(("ann", MONDAY, 2))
    release(toys, FAMILY, 1, seq=2)
    release(toys, "ranks", 1, seq=2, hours=1)
    release(toys, FAMILY, 2, seq=2, hours=2)
    assert left(toys).reasons == ("upstream",)
    release(toys, "ranks", 2, seq=2, hours=3)
    assert left(toys).reasons == ()
    release(toys, FAMILY, 3, seq=1, hours=0)
    assert left(toys).reasons == ("upstream",)


def test_other_families_are_not_woken_by_releases(toys: Toys) -> None:
    toys.ingest(("ann", MONDAY, 1))
    release(toys, FAMILY, 1, seq=1)
    release(toys, "ranks", 1, seq=1, hours=1)
    release(toys, "ranks", 2, seq=1, hours=2)
    assert pending(toys.ledger, toys.settings, FAMILY).reasons == ()
