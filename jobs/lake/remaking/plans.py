"""What each batch had read, and when and by which run it was booked: all that a batch done again cannot tell itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from jobs.lake.costs import TABLE as COSTS
from jobs.lake.erasures import TABLE as ERASURES
from jobs.lake.errors import DamageError
from jobs.lake.hours import LOST, WITH_TOPIC
from jobs.lake.ingest.control import WATERMARKS
from jobs.lake.ingest.landings import TABLE as LANDINGS
from jobs.lake.ingest.landings import in_log, plans_of
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BOOKS, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.wounds import standing
from jobs.lake.tables import Lake
from jobs.ops.costs import BATCH

TOLD = ("ingest_seq", "recorded_at")
ENDED = (*TOLD, "run_id")
Line = Mapping[str, Any]
PART = ("ingest_seq", "topic", "partition")
Part = tuple[int, str, int]  # the same of one part of one batch


@dataclass(frozen=True)
class Memory:
    """By batch: its plan, what it received of each part, how much of that is erased, who booked it and when."""

    plans: dict[int, Plan]
    received: dict[Part, int]
    erased: dict[Part, int]
    runs: dict[int, str]
    times: dict[int, datetime]

    @property
    def topic_ids(self) -> dict[str, str]:
        """By what ids the newest batch knows the topics."""
        return self.plans[max(self.plans)].topic_ids if self.plans else {}


def remembered(lake: Lake) -> Memory:
    """All that the ledger and bronze's log know, whatever else of the ledger is hurt.

    DamageError where the log of what alone tells of something cannot be read.
    """
    books = lines_of(lake, BOOKS)
    ends = [line for line in readable_lines(lake, COSTS, "work", *ENDED) if line["work"] == BATCH]
    ends += lines_of(lake, ERASURES, *ENDED)
    told = [line for table in (TOUCHED, WATERMARKS) for line in readable_lines(lake, table, *TOLD)]
    times = {line["ingest_seq"]: line["recorded_at"] for line in (*ends, *told, *books)}
    runs = {line["ingest_seq"]: line["run_id"] for line in (*ends, *books)}
    received, erased = ({part_of(line): line.get(name) or 0 for line in books} for name in ("received", "erased"))
    plans = booked_plans(books) | plans_of(lines_of(lake, LANDINGS)) | in_log(Ledger(lake.settings))
    return Memory(plans, received, erased, runs, times)


def lines_of(lake: Lake, table: str, *columns: str) -> list[dict[str, Any]]:
    """The rows that stand of a small table."""
    rows = standing(lake, table)
    found = (rows.select(*columns).distinct() if columns else rows).toArrow()
    return list(found.to_pylist(maps_as_pydicts="strict"))


def readable_lines(lake: Lake, table: str, *columns: str) -> list[dict[str, Any]]:
    """The same of one that only says again what the books do: none where its log cannot be read, for it waits for us.

    It is mended when bronze is whole.
    """
    try:
        return lines_of(lake, table, *columns)
    except DamageError:
        return []


def booked_plans(lines: Iterable[Line]) -> dict[int, Plan]:
    """The plans that the lines of the books tell."""
    by_batch = groupby(sorted(lines, key=batch_of), key=batch_of)
    return {number: _plan(number, list(batch)) for number, batch in by_batch}


def part_of(line: Line) -> Part:
    """The part of a batch that a line of the books is of."""
    return line["ingest_seq"], line["topic"], line["partition"]


def batch_of(line: Line) -> int:
    """The batch a line is of."""
    return int(line["ingest_seq"])


def _plan(number: int, lines: list[Line]) -> Plan:
    """The plan of one batch, of all its lines."""
    ranges: dict[str, dict[int, tuple[int, int]]] = {}
    lost, over = {}, set()
    for line in lines:
        ranges.setdefault(line["topic"], {})[line["partition"]] = (line["offset_from"], line["offset_to"])
        for reason in (LOST, WITH_TOPIC):
            if reason in (reasons := line["reason_counts"] or {}):
                lost[line["topic"], line["partition"]] = reasons[reason]
                over |= {line["topic"]} if reason == WITH_TOPIC else set()
    ids = {line["topic"]: line["topic_id"] for line in lines}
    return Plan(number, ranges, ids, lost, contracts=None, over=tuple(sorted(over)))
