"""What a backfill would do: slices, rows, seconds by the record of earlier ones, and who is affected; without Spark."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from jobs.lake.backfills.journal import TABLE
from jobs.lake.backfills.request import Request
from jobs.lake.backfills.slices import DaysSlice, Slice, UsersSlice
from jobs.lake.contracts import all_tables, contract
from jobs.lake.ingest.progress import TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families, inputs_of, releases


@dataclass(frozen=True)
class Cost:
    """What one earlier piece of work took: `seconds` for `rows` facts; `name` says which it was."""

    seconds: float
    rows: int
    name: str


@dataclass(frozen=True)
class Facts:
    """How many facts a family reads, by day and in all, as ops.touched has them: about, for some are booked twice."""

    by_day: Mapping[date, int]

    @property
    def all(self) -> int:
        """Of all days."""
        return sum(self.by_day.values())

    def of(self, one: Slice) -> int:
        """Of one slice."""
        match one:
            case DaysSlice(days):
                return sum(self.by_day.get(day, 0) for day in days)
            case UsersSlice(_, of):
                return -(-self.all // of)
        return self.all


def facts_of(ledger: Ledger, family: str) -> Facts:
    """Read from ops.touched."""
    import pyarrow.compute as pc

    mine = pc.field("table").isin(inputs_of(family, ledger.settings.schemas_dir))
    sums = ledger.read(TOUCHED, ["day", "rows"], mine).group_by("day").aggregate([("rows", "sum")])
    return Facts({row["day"]: row["rows_sum"] for row in sums.to_pylist()})


def estimated(costs: Sequence[Cost], rows: int) -> tuple[float | None, str]:
    """Seconds for so many facts, and from what they are guessed: the largest record in proportion.

    Never less than the shortest record took, for starting costs seconds too; for no facts, what the longest such slice
    took. None without a record.
    """
    known = [cost for cost in costs if bool(cost.rows) == bool(rows)]
    if not known:
        return None, f"no {'build and no backfill of the family' if rows else 'slice without facts'} is on record"
    largest = max(known, key=lambda cost: (cost.rows, cost.seconds))
    share = rows / largest.rows if rows else 1
    seconds = max(largest.seconds * share, min(cost.seconds for cost in known))
    return round(seconds, 1), f"{largest.name}: {largest.seconds:.1f} s for {largest.rows} facts"


def costs_of(ledger: Ledger, request: Request) -> list[Cost]:
    """Slices of earlier backfills cut in the same way; without one, builds of the family that were released."""
    family = contract(request.table, ledger.settings.schemas_dir).family or ""
    names = {one.name for one in request.slices.slices()}
    rows = [row for row in ledger.read(TABLE).to_pylist() if row["event"] == "built" and row["table"] == request.table]
    slices = [
        Cost(row["seconds"], row["input_rows"], f"{row['slice_name']} of {row['backfill_id']}")
        for row in rows
        if row["slice_name"] in names or row["request"] == request.name
    ]
    return slices or _builds(ledger, family)


def _builds(ledger: Ledger, family: str) -> list[Cost]:
    """What each released build took, for the facts that had come in since the release before."""
    import pyarrow.compute as pc

    is_build = (pc.field("command") == "build") & (pc.field("table_or_family") == family)
    runs = {
        row["run_id"]: row
        for row in ledger.read("ops.runs", filter=is_build & (pc.field("outcome") == "done")).to_pylist()
    }
    mine = pc.field("table").isin(inputs_of(family, ledger.settings.schemas_dir))
    touched = ledger.read(TOUCHED, ["ingest_seq", "rows"], mine).to_pylist()
    found, seq = [], -1
    for release in releases(ledger, family):
        run, reached = runs.get(release.facts.run_id), release.facts.ingest_seq
        rows = sum(row["rows"] for row in touched if seq < row["ingest_seq"] <= reached)
        if rows and run and run["finished_at"]:  # without news it made everything anew
            seconds = (run["finished_at"] - run["started_at"]).total_seconds()
            found.append(Cost(seconds, rows, f"build {run['run_id']}"))
        seq = reached
    return found


def affected(ledger: Ledger, request: Request) -> list[str]:
    """Tables that change with it: its family's, and all that are made from those, as the contracts declare."""
    schemas_dir = ledger.settings.schemas_dir
    found = [*families(schemas_dir)[contract(request.table, schemas_dir).family or ""]]
    for table in found:
        readers = [name for name in all_tables(schemas_dir) if table in contract(name, schemas_dir).inputs]
        found += [name for name in readers if name not in found]
    return found


def planned(ledger: Ledger, request: Request) -> list[dict[str, Any]]:
    """A row per slice: its name, facts, seconds, and what that is guessed from."""
    family = contract(request.table, ledger.settings.schemas_dir).family or ""
    facts, costs = facts_of(ledger, family), costs_of(ledger, request)
    tables = affected(ledger, request)
    rows = []
    for one in request.slices.slices():
        seconds, basis = estimated(costs, facts.of(one))
        row = {"slice": one.name, "input_rows": facts.of(one), "seconds": seconds, "estimated_from": basis}
        rows.append(row | {"affects": tables})
    return rows
