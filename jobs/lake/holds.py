"""Holds: a day whose critical check failed blocks only itself, until something about it has changed.

Lifted by new data for the day, by a new version of the table's contract, or by `reelhouse release FAMILY --retry`.
A day that failed is owed until a release brings it, however long that takes. A failure without a day holds the family.
So does a rollback, from the moment at which readers see it: of one that was killed before, nothing is held.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, releases

CHECKS = "ops.check_results"
RUNS = "ops.runs"
RETRY = "release --retry"
ROLLED_BACK = "rolled_back"


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
    newest: dict[tuple[str, str, date | None], dict[str, Any]] = {}
    for row in found(ledger, family):
        key = (row["table"], row["check"], row["slice"])
        if key not in newest or newest[key]["recorded_at"] <= row["recorded_at"]:
            newest[key] = row
    return [as_hold(row) for row in newest.values() if not row["success"]]


def found(ledger: Ledger, family: str) -> list[dict[str, Any]]:
    """What the family's critical checks found, and what rollbacks that readers saw put beside it."""
    import pyarrow.compute as pc

    mine = (pc.field("family") == family) & (pc.field("severity") == "critical")
    rows: list[dict[str, Any]] = ledger.read(CHECKS, filter=mine).to_pylist()
    begun = {(row["run_id"], row["recorded_at"]) for row in rows if row["check"] == ROLLED_BACK and not row["success"]}
    if not begun:
        return rows
    seen = [(release.facts.run_id, release.facts.known_from) for release in releases(ledger, family)]
    killed = {(run, at) for run, at in begun if not any(run == by and at <= since for by, since in seen)}
    return [row for row in rows if (row["run_id"], row["recorded_at"]) not in killed]


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


def hold(ledger: Ledger, run_id: str, firsts: Mapping[str, Hold]) -> None:
    """Hold whole families by an operator's word (a rollback) until something changes; family → its hold.

    They are held once a release of that run, of that time or later, is published.
    """
    facts = {"run_id": run_id, "severity": "critical", "success": False, "observed": "rolled back by an operator"}
    rows = [
        {"family": family, **_as_row(one), **facts, "recorded_at": one.recorded_at} for family, one in firsts.items()
    ]
    ledger.append(CHECKS, rows)


def rolled_back(ledger: Ledger, release: Release) -> bool:
    """Whether a release put an older one back: its run held the family by an operator's word."""
    import pyarrow.compute as pc

    by_hand = (pc.field("family") == release.family) & (pc.field("check") == ROLLED_BACK) & ~pc.field("success")
    mine = by_hand & (pc.field("run_id") == release.facts.run_id)
    held_at = ledger.read(CHECKS, ["recorded_at"], mine)["recorded_at"].to_pylist()
    return any(at <= release.facts.known_from for at in held_at)


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
