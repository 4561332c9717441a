"""ops.promises: what the contracts promise beside what was measured.

Grain: measured_at x table x property. A latency is kept by what is no greater, anything else by what is no less.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

LATENCY, COMPLETENESS, QUALITY, AVAILABILITY = "latency", "completeness", "quality", "availability"
SECONDS, PERCENT = "s", "percent"
Key = tuple[str, str]  # table, property


@dataclass(frozen=True)
class Promise:
    """A level that a contract promises: `level` in seconds (the most of a latency) or percent (the least of others)."""

    table: str
    property: str
    level: float
    unit: str

    def is_kept_by(self, measured: float) -> bool:
        """Whether what was measured is within the promise."""
        return measured <= self.level if self.property == LATENCY else measured >= self.level


@dataclass(frozen=True)
class Measure:
    """What was found about a promise, in its unit; `detail` says what it was worked out from."""

    value: float
    detail: str


def build(
    promises: Iterable[Promise],
    measures: Mapping[Key, Measure],
    runbooks: Mapping[Key, str],
    *,
    at: datetime,
    run_id: str,
) -> list[dict[str, Any]]:
    """One row for each promise that was measured; of the others nothing is known, and so nothing is said."""
    rows = []
    for promise in promises:
        key = (promise.table, promise.property)
        if key not in measures:
            continue
        found = measures[key]
        rows.append({
            "measured_at": at,
            "table": promise.table,
            "property": promise.property,
            "promised": promise.level,
            "measured": found.value,
            "unit": promise.unit,
            "is_kept": promise.is_kept_by(found.value),
            "detail": found.detail,
            "runbook": runbooks[key],
            "run_id": run_id,
        })  # fmt: skip
    return rows


def in_words(amount: float, unit: str) -> str:
    """An amount for people: 7200 s as 2 h, 95.5 percent as 95.5 %."""
    if unit == PERCENT:
        return f"{round(amount, 2):g} %"
    whole = int(amount)
    parts = ((whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s"))
    told = [f"{number} {word}" for number, word in parts if number]
    return " ".join(told[:2]) or "0 s"
