"""One small wild world and one tidy one, made once for the suite and read back from their Parquet files."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from jobs.simulate.deliver import Files
from jobs.simulate.envelope import source_of
from jobs.simulate.run import Outcome, Plan, simulate
from jobs.simulate.truth import TABLES, TruthFolder

LAST_DAY = date(2026, 6, 7)


@dataclass(frozen=True)
class Told:
    """A world as its readers meet it: the records in order of sending, the tables of the truth, and the counts."""

    plan: Plan
    outcome: Outcome
    records: pl.DataFrame
    truth: dict[str, pl.DataFrame]
    folder: Path


def tell(folder: Path, plan: Plan) -> Told:
    """Simulate into a folder and read everything back."""
    outcome = simulate(plan, Files(folder / "records", source_of(plan.seed), plan.seed), TruthFolder(folder / "truth"))
    files = sorted((folder / "records").glob("*.parquet"))
    records = pl.concat([pl.read_parquet(file) for file in files])
    truth = {table: pl.read_parquet(folder / "truth" / table / "*.parquet") for table in TABLES}
    return Told(plan, outcome, records, truth, folder)


def named(headers: list[dict[str, Any]]) -> dict[str, str]:
    """Headers by their names."""
    return {header["key"]: header["value"].decode() for header in headers}


@pytest.fixture(scope="session")
def wild(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """300 people over four days, with everything that can go wrong."""
    return tell(tmp_path_factory.mktemp("wild"), Plan(300, 4, 11, LAST_DAY, "Asia/Shanghai", "wild"))


@pytest.fixture(scope="session")
def tidy(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """2,000 people over seven days whose senders do nothing wrong."""
    return tell(tmp_path_factory.mktemp("tidy"), Plan(2_000, 7, 5, LAST_DAY, "Asia/Shanghai", "none"))
