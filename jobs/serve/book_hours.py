"""The books by event hour: what became of the records of each hour, and whether the hours add up to the books."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from jobs.lake.balance import words_of as place_in_words
from jobs.lake.errors import UsageError
from jobs.lake.event_contracts import all_topics
from jobs.lake.hours import Line, differences, part_of, told_since
from jobs.lake.ingest.progress import BOOKS, HOURS
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.books import COUNTS, REFUSED, Asked, check_asked
from jobs.serve.masking import safe_reason, words_of

PLACE = ("topic", "topic_id", "partition", "event_hour")
HOUR = (*PLACE, *COUNTS, REFUSED, "reasons")
TOTAL = ("topic", *COUNTS, REFUSED, "reasons")
LAST_HOUR = timedelta(hours=23)  # of a day


@dataclass(frozen=True)
class Happened:
    """Which hours to show: from and to a UTC day or hour, both inclusive; with a bound, none without an hour."""

    first: str = ""
    last: str = ""

    def fits(self) -> Callable[[dict[str, Any]], bool]:
        """Whether an hour is asked for; UsageError for bounds that cannot be read, or run backwards."""
        low, high = _hour("--event-from", self.first), _hour("--event-to", self.last, LAST_HOUR)
        if low and high and low > high:
            raise UsageError(f"--event-from {self.first} is after --event-to {self.last}; exchange them")

        def fit(hour: dict[str, Any]) -> bool:
            at = hour["event_hour"]
            return not (low or high) or (at is not None and (low or at) <= at <= (high or at))

        return fit


@dataclass(frozen=True)
class ByHour:
    """Lines of hours (HOUR; of no hour first), what is wrong with them, and how many batches have none."""

    hours: list[dict[str, Any]]
    off: list[str]
    untold_batches: int

    def totals(self) -> list[dict[str, Any]]:
        """The sums of each topic (TOTAL)."""
        return _summed(self.hours, TOTAL[:1])


def book_hours(settings: Settings, asked: Asked, happened: Happened | None = None) -> ByHour:
    """The hours of the batches that are asked for, as `book_ranges` is asked; of them those in which it `happened`.

    Whether hours add up is judged of all hours of these batches. UsageError for a topic or partition that is none, or a
    bound that cannot be read.
    """
    fit, is_shown, ledger = asked.fits(), (happened or Happened()).fits(), Ledger(settings)
    lines, hours = (ledger.read(table).to_pylist(maps_as_pydicts="strict") for table in (BOOKS, HOURS))
    check_asked(settings, asked, lines)
    since, names = told_since(ledger), words_of(all_topics(settings.schemas_dir), settings.schemas_dir).names
    fitting = [line for line in lines if fit(line)]
    parts = {part_of(line) for line in fitting}
    wanted = [_safe(hour, names) for hour in hours if part_of(hour) in parts]
    off = [f"{place_in_words(line)}: {wrong}" for line, wrong in differences(fitting, wanted, since)]
    untold = {line["ingest_seq"] for line in fitting if since is None or line["ingest_seq"] < since}
    return ByHour(sorted(filter(is_shown, _summed(wanted, PLACE)), key=_in_order), off, len(untold))


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
        | {REFUSED: counts["quarantined"] - counts["conflict"]}
        | {"reasons": {reason: n for reason, n in reasons.items() if n}}
        for place, (counts, reasons) in found.items()
    ]


def _hour(option: str, text: str, of_day: timedelta = timedelta(0)) -> datetime | None:
    """An hour, or that hour of a day, UTC; None for the empty text."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return _moment(option, text)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + of_day


def _moment(option: str, text: str) -> datetime:
    """A full hour; without a zone it is UTC."""
    refusal = UsageError(f"{option} {text!r} is neither a day nor a full hour; write 2026-11-27 or 2026-11-27T13")
    try:
        said = datetime.fromisoformat(text)
    except ValueError as wrong:
        raise refusal from wrong
    at = said.replace(tzinfo=UTC) if said.tzinfo is None else said.astimezone(UTC)
    if at != at.replace(minute=0, second=0, microsecond=0):
        raise refusal
    return at


def _in_order(hour: Line) -> tuple[Any, ...]:
    at = hour["event_hour"]
    return hour["topic"], hour["topic_id"], hour["partition"], at is not None, at
