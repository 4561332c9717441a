"""`ops.reconciliations`: of every release, what its tables were made from beside what they hold."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

from jobs.lake.ledger import Ledger
from jobs.lake.publications import release_id
from jobs.lake.staging import Line, Manifest

TABLE = "ops.reconciliations"


def book(ledger: Ledger, manifest: Manifest, number: int, lines: Sequence[Line], at: datetime) -> None:
    """Write the lines down with their release, once; the parts of an equation as one."""
    same: dict[tuple[str, str, date | None], list[Line]] = {}
    for line in lines:
        same.setdefault((line.table, line.equation, line.slice), []).append(line)
    facts = {
        "release_id": release_id(manifest.family, number), "run_id": manifest.run_id, "family": manifest.family,
        "ingest_seq": manifest.released_seq, "recorded_at": at,
    }  # fmt: skip
    rows = [facts | _as_row(*key, parts) for key, parts in same.items()]
    if rows:
        ledger.append(TABLE, rows, app=f"reconcile:{manifest.family}", version=number)


def _as_row(table: str, equation: str, day: date | None, parts: Sequence[Line]) -> dict[str, Any]:
    left_out: dict[str, int] = {}
    for part in parts:
        for reason, rows in part.left_out.items():
            left_out[reason] = left_out.get(reason, 0) + rows
    why = sorted({part.not_compared for part in parts if part.not_compared})
    came, made = (sum(getattr(part, name) for part in parts) for name in ("input_rows", "output_rows"))
    return {
        "table": table,
        "equation": equation,
        "day": day,
        "rows_in": came,
        "left_out": left_out,
        "rows_used": came - sum(left_out.values()),
        "rows_out": made,
        "not_compared": "; ".join(why) or None,
    }
