"""What every family reads alike: its inputs as the run was planned on them, and the days it must do again."""

from collections.abc import Iterable
from datetime import date

from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FEW = 500_000  # so many names fit into every worker's memory (about 50 MB); more are shuffled


def pinned(lake: Lake, work: Work, tables: Iterable[str]) -> list[DataFrame]:
    """The tables at the versions the run was planned on; one not made yet is read as it is: empty."""
    versions = ((table, work.silver_versions.get(table, -1)) for table in tables)
    return [lake.read(table, version if version >= 0 else None) for table, version in versions]


def only_day(one: DataFrame) -> date | None:
    """The only value of a frame of one row and one column of days; None for null."""
    row = one.first()
    return row[0] if row else None


def days_again(lake: Lake, work: Work) -> list[date]:
    """Days of the run asked for by hand (a run that books no progress), or held back before and tried again."""
    by_hand = work.ingest_seq_to == work.ingest_seq_from
    held = {hold.day for hold in owed(Ledger(lake.settings), work.family) if hold.day}
    return [day for day in work.days if by_hand or day in held]


def handed_round(names: DataFrame, count: int) -> DataFrame:
    """The same `count` rows; where they are few, what they are joined with stays where it lies."""
    return F.broadcast(names) if count <= FEW else names
