"""Holds: a day whose critical check failed blocks only itself, until something about it has changed.

Lifted by new data for the day, by a new version of the table's contract, or by `reelhouse release FAMILY --retry`.
A day that failed is owed until a release brings it, however long that takes. A failure without a day holds the family.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jobs.lake.ledger import Ledger

CHECKS = "ops.check_results"
RUNS = "ops.runs"
RETRY = "release --retry"


@dataclass(frozen=True)
class Hold:
    """One failed critical check that no release has made good; `day` is None when the whole table failed."""

    table: str
    check: str
    day: date | None
    ingest_seq: int
    contract_version: str
    recorded_at: datetime


def owed(ledger: Ledger, family: str) -> list[Hold]:
    """What failed and was not released since, by table, check and day."""
    import pyarrow.compute as pc

    mine = (pc.field("family") == family) & (pc.field("severity") == "critical")
    newest: dict[tuple[str, str, date | None], dict[str, Any]] = {}
    for row in ledger.read(CHECKS, filter=mine).to_pylist():
        key = (row["table"], row["check"], row["slice"])
        if key not in newest or newest[key]["recorded_at"] <= row["recorded_at"]:
            newest[key] = row
    return [as_hold(row) for row in newest.values() if not row["success"]]


def as_hold(row: Mapping[str, Any]) -> Hold:
    """A failed row of `ops.check_results` as a hold."""
    return Hold(
        row["table"], row["check"], row["slice"], row["ingest_seq"], row["contract_version"], row["recorded_at"]
    )


def binding(
    holds: Sequence[Hold],
    newest_seq: Mapping[date | None, int],
    versions: Mapping[str, str],
    retried_at: datetime | None,
) -> list[Hold]:
    """The holds that still bind: no newer batch touched the day (None: any day), same contract, not retried since."""
    return [
        hold
        for hold in holds
        if newest_seq.get(hold.day, -1) <= hold.ingest_seq
        and versions.get(hold.table) == hold.contract_version
        and (retried_at is None or retried_at <= hold.recorded_at)
    ]


def retried_at(ledger: Ledger, family: str) -> datetime | None:
    """When an operator last lifted the family's holds."""
    import pyarrow.compute as pc

    mine = (pc.field("table_or_family") == family) & (pc.field("command") == RETRY)
    moments = ledger.read(RUNS, ["started_at"], mine)["started_at"].to_pylist()
    return max(moments, default=None)


def lift(ledger: Ledger, family: str, run_id: str, at: datetime) -> None:
    """Let the next build try again whatever is held."""
    row = {"run_id": run_id, "command": RETRY, "table_or_family": family, "started_at": at, "finished_at": at}
    ledger.append(RUNS, [{**row, "outcome": "done", "detail": "holds lifted by an operator"}])


def hold(ledger: Ledger, family: str, run_id: str, table: str, version: str, ingest_seq: int, at: datetime) -> None:
    """Hold a whole family by an operator's word (a rollback) until something changes; `version` is the contract's."""
    row = {"run_id": run_id, "family": family, "table": table, "check": "rolled_back", "severity": "critical"}
    facts = {"success": False, "observed": "rolled back by an operator", "ingest_seq": ingest_seq}
    ledger.append(CHECKS, [{**row, **facts, "contract_version": version, "recorded_at": at}])


def make_good(ledger: Ledger, family: str, run_id: str, days: Mapping[str, Sequence[date]], at: datetime) -> None:
    """Book that a release brought these days of these tables: what they owed, and the family as a whole, is paid."""
    paid = [one for one in owed(ledger, family) if one.day is None or one.day in days.get(one.table, ())]
    if not paid:
        return
    facts = {"run_id": run_id, "family": family, "severity": "critical", "success": True, "recorded_at": at}
    ledger.append(CHECKS, [{**facts, **_as_row(one)} for one in paid])


def _as_row(hold: Hold) -> dict[str, Any]:
    return {
        "table": hold.table,
        "check": hold.check,
        "slice": hold.day,
        "observed": "passed and released",
        "unexpected_rows": 0,
        "ingest_seq": hold.ingest_seq,
        "contract_version": hold.contract_version,
    }
