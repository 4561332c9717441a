"""What a run must do to the edges between users and devices, and whose acts that changes: as pure as `profile_refresh`.

An edge is the same however its sightings are cut into parts, so new facts are only added to what is published, for the
devices they name. Where a fact of silver may be gone again (an earlier arrival displaced it), all edges are made anew.
"""

from collections.abc import Callable
from dataclasses import dataclass

from jobs.definitions.identity import ties
from jobs.definitions.local_time import local_date
from jobs.lake.work import Staged
from jobs.silver import identity_edges
from jobs.silver.identity_edges import GRAIN, SEEN
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

TABLE = "silver.identity_edges"
Facts = tuple[DataFrame, DataFrame, DataFrame]  # views, likes, orders
Keep = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Edges:
    """All edges `now`; of the devices looked at again (all edges of each), how they were (`old`) and are (`fresh`)."""

    now: DataFrame
    old: DataFrame
    fresh: DataFrame

    def staged(self) -> Staged:
        """The edges looked at, as they are."""
        gone = self.old.select(*GRAIN).join(self.fresh.select(*GRAIN), on=GRAIN, how="left_anti")
        return Staged(TABLE, self.fresh, "merge", removed=gone)

    def retied(self) -> DataFrame:
        """Ties that hold no more, and ties that are new; a tie whose reach has changed is both."""
        before, after = ties(self.old), ties(self.fresh)
        return before.subtract(after).unionAll(after.subtract(before))


def made_anew(facts: Facts, known: DataFrame, keep: Keep) -> Edges:
    """All edges from all facts."""
    fresh = keep(identity_edges.build(*facts))
    return Edges(fresh, known, fresh)


def added_to(known: DataFrame, new: Facts, keep: Keep) -> Edges:
    """What new facts add to the known edges; facts that are in them already change nothing."""
    seen = keep(identity_edges.sightings(*new))
    old = known.join(seen, on=["device_id"], how="left_semi")
    parts = old.select(*GRAIN, *SEEN).unionByName(seen)
    fresh = keep(parts.transform(identity_edges.summed).transform(identity_edges.with_company))
    return Edges(known.join(seen, on=["device_id"], how="left_anti").unionByName(fresh), old, fresh)


def days_of(tied: DataFrame, zone: str) -> DataFrame:
    """One row, two columns: the first and the last local day that ties reach; nulls for no tie."""
    return tied.agg(F.min(local_date(F.col("from_at"), zone)), F.max(local_date(F.col("until_at"), zone)))
