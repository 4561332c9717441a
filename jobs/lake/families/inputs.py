"""What every family reads alike: its inputs as the run was planned on them, and what it must do again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
from jobs.lake.publications import inputs_of
from jobs.lake.staging import Manifest
from jobs.lake.tables import Lake
from jobs.lake.work import ERASED, Staged, Work, displaced_rows
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

FEW = 500_000  # so many names fit into every worker's memory (about 50 MB); more are shuffled
FEW_ROWS = 10_000  # so many fit into a query's plan, and come along with it


def pinned(lake: Lake, work: Work | Manifest, tables: Iterable[str]) -> list[DataFrame]:
    """The tables at the versions the run was planned on; one not made then is empty, one not named is as it is."""
    versions = ((table, work.silver_versions.get(table)) for table in tables)
    return [
        lake.nothing(table) if version is not None and version < 0 else lake.read(table, version)
        for table, version in versions
    ]


def only_day(one: DataFrame) -> date | None:
    """The only value of a frame of one row and one column of days; None for null."""
    row = one.first()
    return row[0] if row else None


def days_again(lake: Lake, work: Work) -> list[date]:
    """Days of the run asked for by hand (a run that books no progress), or held back before and tried again."""
    by_hand = work.ingest_seq_to == work.ingest_seq_from
    held = {hold.day for hold in owed(Ledger(lake.settings), work.family) if hold.day}
    return [day for day in work.days if by_hand or day in held]


@dataclass(frozen=True)
class Displaced:
    """What the run's batches took away again: rows whose event an earlier arrival has (same id, other content).

    `users` (user_id, day) lost a row of theirs on the day, null when nobody did. Such a row is nowhere to be found, so
    everything of the user is read again. Whom a lost word about a thing touched cannot be told: `of_things`. Of who
    was `erased`, all rows are gone.
    """

    users: DataFrame | None
    of_things: bool
    erased: tuple[str, ...] = ()

    def is_erased(self) -> Column:
        """A row of a table is of somebody erased."""
        return F.col("user_id").isin(*self.erased)


def displaced(lake: Lake, work: Work) -> Displaced:
    """What batches since the last release displaced in the family's inputs, from the ledger."""
    inputs = inputs_of(work.family, lake.settings.schemas_dir)
    rows = displaced_rows(Ledger(lake.settings), inputs, work.ingest_seq_from, work.ingest_seq_to)
    whose = sorted({(row["subject"], row["day"]) for row in rows if row["subject"]})
    users = lake.spark.createDataFrame(whose, "user_id string, day date") if whose else None
    erased = sorted({row["subject"] for row in rows if row["subject"] and row["cause"] == ERASED})
    return Displaced(users, any(row["subject"] is None for row in rows), tuple(erased))


def emptied(lake: Lake, tables: Iterable[str]) -> Iterator[Staged]:
    """The tables that have rows, without any: for a run that finds nothing to make them of."""
    for table in tables:
        if not lake.read(table).isEmpty():
            yield Staged(table, lake.nothing(table), "replace_all")


def handed_round(names: DataFrame, count: int) -> DataFrame:
    """The same `count` rows; where they are few, what they are joined with stays where it lies."""
    return F.broadcast(names) if count <= FEW else names


def names_at_hand(lake: Lake, names: DataFrame) -> DataFrame:
    """The same rows, worked out once, for much to be joined with them.

    Where they are few they are part of every plan: to have the workers send them is a job each time, and such jobs are
    most of what a small run costs.
    """
    kept = lake.keep(names)
    few = kept.limit(FEW_ROWS).toArrow()
    if few.num_rows < FEW_ROWS:
        return F.broadcast(lake.spark.createDataFrame(few, kept.schema))
    return handed_round(kept, kept.count())
