"""Bronze, silver and gold of the newest releases, number against number, as they were booked with each release."""

from typing import Any

from jobs.lake.contracts import LAYERS
from jobs.lake.ledger import Ledger
from jobs.lake.publications import number_of, releases
from jobs.lake.reconciliations import TABLE
from jobs.lake.settings import Settings

ROW = ("release_id", "table", "equation", "day", "rows_in", "left_out", "rows_used", "rows_out", "adds_up",
       "not_compared")  # fmt: skip


def newest_reconciliations(settings: Settings) -> list[dict[str, Any]]:
    """ROWs of each family's newest release that has any, in the order data flow.

    Of a release that wrote no slices, or was made before there were such lines, that is an older one.
    """
    ledger = Ledger(settings)
    published = {line.release_id for release in releases(ledger) for line in release.tables.values()}
    newest: dict[str, list[dict[str, Any]]] = {}
    for row in ledger.read(TABLE).to_pylist(maps_as_pydicts="strict"):
        if row["release_id"] not in published:  # killed before it was
            continue
        known = newest.get(row["family"])
        if known is None or number_of(known[0]["release_id"]) < number_of(row["release_id"]):
            newest[row["family"]] = [row]
        elif known[0]["release_id"] == row["release_id"]:
            known.append(row)
    found = [row | {"adds_up": _adds_up(row)} for rows in newest.values() for row in rows]
    return [{name: row[name] for name in ROW} for row in sorted(found, key=_order)]


def lines_not_compared(ledger: Ledger) -> dict[str, int]:
    """Table → how many lines of its releases could not be compared, since the lake began."""
    found = ledger.read(TABLE, ["table", "not_compared"])
    counts = found.group_by("table").aggregate([("not_compared", "count")]).to_pylist()
    return {row["table"]: row["not_compared_count"] for row in sorted(counts, key=lambda row: str(row["table"]))}


def _adds_up(row: dict[str, Any]) -> bool | None:
    """Whether both sides are equal; None of such as were not compared."""
    return None if row["not_compared"] else row["rows_used"] == row["rows_out"]


def _order(row: dict[str, Any]) -> tuple[Any, ...]:
    layer = LAYERS.index(row["table"].partition(".")[0])
    return row["release_id"], layer, row["table"], row["equation"], str(row["day"] or "")
