"""The journal of backfills (`ops.backfills`): what was begun, built, paused, cancelled and released."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from jobs.lake.backfills.request import Request
from jobs.lake.contracts import contract
from jobs.lake.errors import BackfillError
from jobs.lake.ledger import Ledger

TABLE = "ops.backfills"
Event = Literal["begun", "built", "paused", "resumed", "cancelled", "released"]
STATES: Mapping[Event, str] = {
    "begun": "open", "resumed": "open", "paused": "paused", "cancelled": "cancelled", "released": "released",
}  # fmt: skip


@dataclass(frozen=True)
class Standing:
    """How one backfill stands: `state` is open, paused, cancelled or released; `built` has the newest row per slice."""

    backfill_id: str
    request: str
    table: str
    state: str
    fingerprint: str
    since: datetime
    built: Mapping[str, Mapping[str, Any]]

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state in ("cancelled", "released")

    def has_built(self, slice_name: str, basis: str) -> bool:
        """Whether the slice is done, by the contracts and definitions of today."""
        return slice_name in self.built and self.built[slice_name]["basis"] == basis


@dataclass(frozen=True)
class Journal:
    """The journal, as one run writes it."""

    ledger: Ledger
    run_id: str

    def standings(self) -> list[Standing]:
        """Every backfill, in the order in which they were begun."""
        rows = sorted(self.ledger.read(TABLE).to_pylist(), key=lambda row: row["recorded_at"])
        found: dict[str, Standing] = {}
        for row in rows:
            found[row["backfill_id"]] = _after(found.get(row["backfill_id"]), row)
        return list(found.values())

    def newest(self, request: str) -> Standing | None:
        """How the newest backfill of that name stands; None before the first."""
        mine = [one for one in self.standings() if one.request == request]
        return mine[-1] if mine else None

    def open(self, request: Request, where: str, at: datetime) -> Standing:
        """The backfill of this request that is not over, or a new one; BackfillError where its file changed since."""
        last = self.newest(request.name)
        if last is None or last.is_over:
            number = 1 if last is None else int(last.backfill_id.rsplit("-", 1)[1]) + 1
            self.write(request, f"{request.name}-{number:06d}", "begun", at, basis=request.fingerprint)
            last = self.newest(request.name)
        if last is None or last.fingerprint != request.fingerprint:
            raise BackfillError(
                f"{where}: was changed since {last.backfill_id if last else 'it'} began; put it back, or "
                f"`reelhouse backfill cancel {where}` first"
            )
        return last

    def write(self, request: Request, backfill_id: str, event: Event, at: datetime, **facts: Any) -> None:
        """Add a row."""
        family = contract(request.table, self.ledger.settings.schemas_dir).family
        row = {"backfill_id": backfill_id, "request": request.name, "family": family, "table": request.table}
        words = {"event": event, "reason": request.reason, "owner": request.owner, "run_id": self.run_id}
        self.ledger.append(TABLE, [{**row, **words, "basis": "", "recorded_at": at, **facts}])


def _after(before: Standing | None, row: Mapping[str, Any]) -> Standing:
    """The standing after one more row."""
    event: Event = row["event"]
    if before is None:
        names = (row["backfill_id"], row["request"], row["table"])
        before = Standing(*names, "open", row["basis"], row["recorded_at"], {})
    if event == "built":
        return replace(before, built={**before.built, row["slice_name"]: row})
    return replace(before, state=STATES[event], since=row["recorded_at"])
