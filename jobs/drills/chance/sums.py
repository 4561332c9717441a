"""The sums over many results: how schedules ended, what became of records, which faults happened and which did not."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

Row = dict[str, Any]
COUNTED = ("sent", "lost", "doubled", "unaccounted")
SUMS = ("runs", "passed", "failed", "not_judged", "codes", *COUNTED, "drawn", "happened", "seconds")


def added_up(rows: Sequence[Row]) -> Row:
    """The sums over all runs; records are counted where there was a verdict on them."""
    judged = [row for row in rows if row["is_judged"]]
    passed = sum(row["is_passed"] for row in rows)
    return {
        "runs": len(rows),
        "passed": passed,
        "failed": len(judged) - passed,
        "not_judged": len(rows) - len(judged),
        "codes": len({row["code"] for row in rows}),
        **{name: sum(row[name] for row in judged) for name in COUNTED},
        **{name: sum(map(sum, (row[name].values() for row in rows))) for name in ("drawn", "happened")},
        "seconds": round(sum(row["seconds"] for row in rows)),
    }


def faults(rows: Iterable[Row]) -> list[Row]:
    """How often each fault was drawn, and how often it came to pass."""
    drawn, happened = (summed(rows, name) for name in ("drawn", "happened"))
    by_kind: dict[str, Row] = {}
    for fault, times in sorted(drawn.items()):
        line = by_kind.setdefault(kind := fault.partition("@")[0], {"fault": kind, "drawn": 0, "happened": 0})
        line["drawn"] += times
        line["happened"] += happened[fault]
    return list(by_kind.values())


def missed(rows: Iterable[Row]) -> list[Row]:
    """The faults that came to nothing, such as a point that no run passed; those that never happened come first."""
    missed, happened = (summed(rows, name) for name in ("missed", "happened"))
    lines = [{"fault": fault, "missed": times, "happened": happened[fault]} for fault, times in missed.items()]
    return sorted(lines, key=lambda line: (line["happened"] > 0, line["fault"]))


def summed(rows: Iterable[Row], name: str) -> Counter[str]:
    """The sum of one of the counts by fault."""
    total: Counter[str] = Counter()
    for row in rows:
        total.update(row[name])
    return total
