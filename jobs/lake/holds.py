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
    holds: Sequence[Hold], newest_seq: Mapping[date | None, int], versions: Mapping[str, str], retried_at: datetime | None
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


def make_good(
    ledger: Ledger, family: str, run_id: str, days: Sequence[date], at: datetime, *, tables: Sequence[str]
) -> None:
    """Book that a release of `tables` brought these days: what they owed is owed no more."""
    paid = [hold for hold in owed(ledger, family) if hold.table in tables and (hold.day is None or hold.day in days)]
    if not paid:
        return
    facts = {"run_id": run_id, "family": family, "severity": "critical", "success": True, "recorded_at": at}
    ledger.append(CHECKS, [{**facts, **_as_row(hold)} for hold in paid])


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
