"""Holds: a day whose critical check failed blocks only itself, until something about it has changed.

Lifted by new data for the day, by a new version of the table's contract, or by `reelhouse release FAMILY --retry`.
A day that failed is owed until a release brings it, however long that takes. A failure without a day holds the family.
So does a rollback, from the moment at which readers see it: of one that was killed before, nothing is held. Days that
the release it goes back to is without, for they had failed then, are held again with it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, number_of, releases

if TYPE_CHECKING:
    import pyarrow as pa

CHECKS = "ops.check_results"
RUNS = "ops.runs"
RETRY = "release --retry"
ROLLED_BACK = "rolled_back"
Key = tuple[str, str, date | None]  # table, check and day


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
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    rows = found(ledger, family)
    rows = rows.take(pc.sort_indices(rows, [("recorded_at", "ascending")]))  # stable: of one time the last line is it
    placed = rows.append_column("place", pa.array(np.arange(len(rows))))
    places = placed.group_by(["table", "check", "slice"]).aggregate([("place", "max")])["place_max"]
    newest = rows.take(places.sort())
    return [as_hold(row) for row in newest.filter(pc.invert(newest["success"])).to_pylist()]


def found(ledger: Ledger, family: str) -> "pa.Table":
    """What the family's critical checks found, and what rollbacks that readers saw put beside it.

    As Arrow: it is all that was ever checked.
    """
    import pyarrow.compute as pc

    rows = ledger.read(CHECKS, filter=(pc.field("family") == family) & (pc.field("severity") == "critical"))
    holds = rows.filter(pc.and_(pc.equal(rows["check"], ROLLED_BACK), pc.invert(rows["success"])))
    begun = {(row["run_id"], row["recorded_at"]) for row in holds.select(["run_id", "recorded_at"]).to_pylist()}
    if not begun:
        return rows
    seen = [(release.facts.run_id, release.facts.known_from) for release in releases(ledger, family)]
    for run, at in begun:
        if not any(run == by and at <= since for by, since in seen):  # it was killed
            rows = rows.filter(pc.or_(pc.not_equal(rows["run_id"], run), pc.not_equal(rows["recorded_at"], at)))
    return rows


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


def hold(ledger: Ledger, run_id: str, holds: Mapping[str, Sequence[Hold]]) -> None:
    """Hold families by an operator's word (a rollback) until something changes; family → what is to be held of it.

    They are held once a release of that run, of that time or later, is published.
    """
    facts = {"run_id": run_id, "severity": "critical", "success": False, "unexpected_rows": None}
    rows = [
        {"family": family, **_as_row(one), **facts, "observed": _why(one), "recorded_at": one.recorded_at}
        for family, own in holds.items()
        for one in own
    ]
    ledger.append(CHECKS, rows)


def lacked(ledger: Ledger, old: Release) -> list[Hold]:
    """The days that a release is without, for they had failed a check, and that a younger one has brought since."""
    every = releases(ledger, old.family)
    by_run = {release.facts.run_id: release.number for release in reversed(every)}
    rows = [row for row in found(ledger, old.family).to_pylist() if row["slice"]]
    lacking: dict[Key, Hold] = {}
    for row in sorted(rows, key=lambda each: each["recorded_at"]):
        if row["success"]:
            if _paid_by(row, every) <= old.number:
                lacking.pop(_key(row), None)
        elif row["ingest_seq"] <= old.facts.ingest_seq and by_run.get(row["run_id"], 0) <= old.number:
            lacking[_key(row)] = as_hold(row)
    still = {(one.table, one.check, one.day) for one in owed(ledger, old.family)}
    return [one for key, one in lacking.items() if key not in still]


def rolled_back(ledger: Ledger, release: Release) -> bool:
    """Whether a release put an older one back: its run held the family by an operator's word."""
    import pyarrow.compute as pc

    by_hand = (pc.field("family") == release.family) & (pc.field("check") == ROLLED_BACK) & ~pc.field("success")
    mine = by_hand & (pc.field("run_id") == release.facts.run_id)
    held_at = ledger.read(CHECKS, ["recorded_at"], mine)["recorded_at"].to_pylist()
    return any(at <= release.facts.known_from for at in held_at)


def make_good(
    ledger: Ledger, family: str, run_id: str, days: Mapping[str, Sequence[date]], at: datetime,
    release_id: str | None = None,
) -> None:  # fmt: skip
    """Book that a release brought these days of these tables: what they owed, and the family as a whole, is paid."""
    paid = [one for one in owed(ledger, family) if one.day is None or one.day in days.get(one.table, ())]
    if not paid:
        return
    facts = {
        "run_id": run_id,
        "family": family,
        "severity": "critical",
        "success": True,
        "recorded_at": at,
        "release_id": release_id,
    }
    ledger.append(CHECKS, [{**facts, **_as_row(one)} for one in paid])


def _paid_by(row: Mapping[str, Any], every: Sequence[Release]) -> int:
    """The number of the release that made a failure good; of lines from before it was booked the newest it may be."""
    if row["release_id"]:
        return number_of(row["release_id"])
    begun = [release for release in every if release.facts.known_from <= row["recorded_at"]]
    same = [release.number for release in begun if release.facts.run_id == begun[-1].facts.run_id]  # of upkeep, too
    return min(same, default=0)


def _why(hold: Hold) -> str:
    return "rolled back by an operator" if hold.check == ROLLED_BACK else "failed before the release that is back"


def _key(row: Mapping[str, Any]) -> Key:
    return row["table"], row["check"], row["slice"]


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
