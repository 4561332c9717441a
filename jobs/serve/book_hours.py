"""The books by event hour: what became of the records of each hour, and whether the hours add up to the books."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from jobs.lake.balance import words_of as place_in_words
from jobs.lake.event_contracts import all_topics
from jobs.lake.hours import Line, differences, part_of, told_since
from jobs.lake.ingest.progress import BOOKS, HOURS
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.books import COUNTS, Asked, check_asked
from jobs.serve.masking import safe_reason, words_of

PLACE = ("topic", "topic_id", "partition", "event_hour")
HOUR = (*PLACE, *COUNTS, "reasons")
TOTAL = ("topic", *COUNTS, "reasons")


@dataclass(frozen=True)
class ByHour:
    """Lines of hours (HOUR; of no hour first), what is wrong with them, and how many batches have none."""

    hours: list[dict[str, Any]]
    off: list[str]
    untold_batches: int

    def totals(self) -> list[dict[str, Any]]:
        """The sums of each topic (TOTAL)."""
        return _summed(self.hours, TOTAL[:1])


def book_hours(settings: Settings, asked: Asked) -> ByHour:
    """The hours of the batches that are asked for, as `book_ranges` is asked.

    UsageError for a topic or partition that is none, or a bound that cannot be read.
    """
    fit, ledger = asked.fits(), Ledger(settings)
    lines, hours = (ledger.read(table).to_pylist(maps_as_pydicts="strict") for table in (BOOKS, HOURS))
    check_asked(settings, asked, lines)
    since, names = told_since(ledger), words_of(all_topics(settings.schemas_dir), settings.schemas_dir).names
    fitting = [line for line in lines if fit(line)]
    parts = {part_of(line) for line in fitting}
    wanted = [_safe(hour, names) for hour in hours if part_of(hour) in parts]
    off = [f"{place_in_words(line)}: {wrong}" for line, wrong in differences(fitting, wanted, since)]
    untold = {line["ingest_seq"] for line in fitting if since is None or line["ingest_seq"] < since}
    return ByHour(sorted(_summed(wanted, PLACE), key=_in_order), off, len(untold))


def _safe(hour: Line, names: set[str]) -> dict[str, Any]:
    """An hour with `reasons` that are safe to show."""
    reasons: Counter[str] = Counter()
    for reason, times in (hour["reason_counts"] or {}).items():
        reasons[safe_reason(reason, names)] += times
    return {**hour, "reasons": dict(reasons)}


def _summed(hours: Iterable[Line], by: tuple[str, ...]) -> list[dict[str, Any]]:
    """Sums by these columns; reasons that add up to nothing are left out."""
    found: dict[tuple[Any, ...], tuple[Counter[str], Counter[str]]] = {}
    for hour in hours:
        counts, reasons = found.setdefault(tuple(hour[name] for name in by), (Counter(), Counter()))
        counts.update({name: hour[name] or 0 for name in COUNTS})
        reasons.update(hour["reasons"])
    return [
        dict(zip(by, place, strict=True))
        | {name: counts[name] for name in COUNTS}
        | {"reasons": {reason: n for reason, n in reasons.items() if n}}
        for place, (counts, reasons) in found.items()
    ]


def _in_order(hour: Line) -> tuple[Any, ...]:
    at = hour["event_hour"]
    return hour["topic"], hour["topic_id"], hour["partition"], at is not None, at
