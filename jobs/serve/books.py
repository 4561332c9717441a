"""The books of ingest, read again: what became of every record, by topic, partition and range of offsets.

Nothing is taken on trust: each line is added up anew, and each range must begin where the one before it ended.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from jobs.lake.balance import Line, judged, place_of
from jobs.lake.errors import UsageError
from jobs.lake.event_contracts import all_topics
from jobs.lake.ingest.progress import BOOKS
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.watermark import TABLE as WATERMARKS
from jobs.lake.watermark import highest
from jobs.produce.again import REPLAYS, RETRACTIONS
from jobs.serve.asked import check_topic
from jobs.serve.masking import safe_reason, words_of

COUNTS = ("received", "accepted", "duplicate", "quarantined", "conflict", "erased", "canary")
REFUSED = "refused"  # of the quarantined those that are no conflict, so that every record has one term
# Of the quarantined: those sent again since, and of these those whose every replay was undone. They are no fate of a
# record, and balance nothing: what was sent again is another record, with a fate of its own.
SENT_AGAIN = ("replayed", "undone")
SUMMED = (*COUNTS, REFUSED, *SENT_AGAIN, "lost")
RANGE = ("topic", "topic_id", "partition", "offset_from", "offset_to", *SUMMED, "reasons", "batches", "balanced",
         "problem")  # fmt: skip
TOTAL = ("topic", *SUMMED, "reasons", "balanced")
STREAM = ("topic", "source", "complete_until", "is_final", "waiting_until", "topic_complete_until")


@dataclass(frozen=True)
class Asked:
    """Which lines to show: all of a topic and partition, from and to an offset (exclusive) or a UTC day of booking."""

    topic: str = ""
    partition: int | None = None
    first: str = ""
    last: str = ""

    @property
    def is_of_all(self) -> bool:
        """Whether nothing is left out."""
        return self == Asked()

    def fits(self) -> Callable[[Line], bool]:
        """Whether a line is asked for; UsageError for bounds that cannot be read, or run backwards."""
        bounds = [_bound("--from", self.first, self.topic), _bound("--to", self.last, self.topic)]
        _refuse_backwards(*bounds)

        def fit(line: Line) -> bool:
            booked, (low, high) = line["recorded_at"].date(), bounds
            return (
                self.topic in ("", line["topic"])
                and self.partition in (None, line["partition"])
                and not (isinstance(low, int) and max(line["offset_to"] - 1, line["offset_from"]) < low)
                and not (isinstance(high, int) and line["offset_from"] >= high)
                and not (isinstance(low, date) and booked < low)
                and not (isinstance(high, date) and booked > high)
            )

        return fit


def book_ranges(settings: Settings, asked: Asked) -> list[Line]:
    """Ranges of offsets (RANGE): batches that follow on each other are one, a line that is off stands alone.

    UsageError for a topic or partition that is none, or a bound that cannot be read.
    """
    fit, ledger = asked.fits(), Ledger(settings)
    lines = ledger.read(BOOKS).to_pylist(maps_as_pydicts="strict")
    check_asked(settings, asked, lines)
    names = words_of(all_topics(settings.schemas_dir), settings.schemas_dir).names
    ranges: list[Line] = []
    again = sent_again(ledger)
    for line in _told(lines, names):
        if fit(line):
            _add(ranges, line | again.of(line))
    return [{name: each[name] for name in RANGE} for each in ranges]


@dataclass(frozen=True)
class SentAgain:
    """Refused records that were sent again, and those undone: their offsets in order, by topic's id and partition."""

    replayed: Mapping[tuple[str, int], Sequence[int]]
    undone: Mapping[tuple[str, int], Sequence[int]]

    def of(self, line: Line) -> dict[str, int]:
        """How many of each a line of the books has among its records."""
        place, bounds = (line["topic_id"], line["partition"]), (line["offset_from"], line["offset_to"])
        found = {name: getattr(self, name).get(place, ()) for name in SENT_AGAIN}
        edges = {name: [bisect_left(offsets, bound) for bound in bounds] for name, offsets in found.items()}
        return {name: end - start for name, (start, end) in edges.items()}


def sent_again(ledger: Ledger) -> SentAgain:
    """What the replays of refused records sent, and which of that was taken back and not sent anew."""
    undone = set(ledger.read(RETRACTIONS, ["replay_id"])["replay_id"].to_pylist())
    stands: dict[tuple[str, int, int], bool] = {}
    for row in ledger.read(REPLAYS).to_pylist():
        place = (row["kafka_topic_id"], row["kafka_partition"], row["kafka_offset"])
        stands[place] = stands.get(place, False) or row["run_id"] not in undone
    return SentAgain(_in_order(stands), _in_order(place for place, does_stand in stands.items() if not does_stand))


def _in_order(places: Iterable[tuple[str, int, int]]) -> dict[tuple[str, int], list[int]]:
    found: dict[tuple[str, int], list[int]] = {}
    for topic_id, partition, offset in sorted(places):
        found.setdefault((topic_id, partition), []).append(offset)
    return found


def totals(ranges: Iterable[Line]) -> list[Line]:
    """The sums of each topic (TOTAL)."""
    found: dict[str, Line] = {}
    for each in ranges:
        empty = dict.fromkeys(SUMMED, 0) | {"reasons": {}, "balanced": True}
        _sum(found.setdefault(each["topic"], {"topic": each["topic"]} | empty), each)
    return list(found.values())


def streams(settings: Settings, topic: str = "") -> list[Line]:
    """How far each source says a topic is complete (STREAM), and how far the topic is by all of them; UTC.

    `complete_until` is its newest word of which ingest has read all, `waiting_until` a newer one that still waits.
    """
    rows = [row for row in Ledger(settings).read(WATERMARKS).to_pylist() if topic in ("", row["topic"])]
    rows.sort(key=lambda row: (row["ingest_seq"], not row["offsets_reached"]))
    reached = [row for row in rows if row["offsets_reached"]]
    levels = {each: highest(reached, [each]) for each in {row["topic"] for row in rows}}
    found: dict[tuple[str, str], Line] = {}
    for row in rows:
        pair = (row["topic"], row["source"])
        line = found.setdefault(pair, dict.fromkeys(STREAM) | {"topic": row["topic"], "source": row["source"]})
        line["topic_complete_until"] = levels[row["topic"]]
        if row["offsets_reached"]:
            line |= {"complete_until": row["complete_until"], "is_final": row["is_final"], "waiting_until": None}
        else:
            line["waiting_until"] = row["complete_until"]
    return [found[pair] for pair in sorted(found)]


def _told(lines: Iterable[Line], names: set[str]) -> Iterable[Line]:
    """Each line as it is judged, with reasons that are safe to show and the batch it is of."""
    for line in judged(lines):
        reasons: Counter[str] = Counter()
        for reason, times in line["reasons"].items():
            reasons[safe_reason(reason, names)] += times
        batch = line["ingest_seq"]
        refused = line["quarantined"] - line["conflict"]
        yield line | {"reasons": dict(reasons), "batches": [batch, batch], REFUSED: refused}


def _add(ranges: list[Line], line: Line) -> None:
    """Join a line to the range before it if it follows on; one that is off or has a loss begins a new one."""
    before = ranges[-1] if ranges else None
    is_next = before is not None and place_of(before) == place_of(line) and before["offset_to"] == line["offset_from"]
    if before is None or not (is_next and before["balanced"] and line["balanced"] and not line["lost"]):
        ranges.append(line)
        return
    _sum(before, line)
    before["offset_to"], before["batches"] = line["offset_to"], [before["batches"][0], line["batches"][1]]


def _sum(into: Line, line: Line) -> None:
    """Add the counts of a line, reason by reason."""
    for name in SUMMED:
        into[name] += line[name]
    reasons: Counter[str] = Counter(into["reasons"])
    reasons.update(line["reasons"])  # a sum of Counters would forget what is below zero until something makes up for it
    into["reasons"] = {reason: n for reason, n in reasons.items() if n}
    into["balanced"] = into["balanced"] and line["balanced"]


def _bound(option: str, text: str, topic: str) -> int | date | None:
    """An offset or a day; None for the empty text."""
    if not text:
        return None
    if text.isascii() and text.isdigit():
        if not topic:
            raise UsageError(f"{option} {text} is an offset, and those are a topic's own; add --topic, or give a day")
        return int(text)
    try:
        return date.fromisoformat(text)
    except ValueError as wrong:
        raise UsageError(f"{option} {text!r} is neither an offset nor a day; write 1200 or 2026-11-27") from wrong


def _refuse_backwards(first: int | date | None, last: int | date | None) -> None:
    """UsageError for bounds of one kind between which nothing can lie."""
    is_backwards = isinstance(first, int) and isinstance(last, int) and first >= last
    if is_backwards or (isinstance(first, date) and isinstance(last, date) and first > last):
        raise UsageError(f"--from {first} is not before --to {last}; exchange them")


def check_asked(settings: Settings, asked: Asked, lines: list[Line]) -> None:
    """UsageError, with what there is, for a topic without a contract or a partition that was never read."""
    check_topic(settings, asked.topic)
    parts = {line["partition"] for line in lines if asked.topic in ("", line["topic"])}
    if asked.partition is not None and asked.partition not in parts:
        there = ", ".join(map(str, sorted(parts))) or "none"
        of = f" of {asked.topic}" if asked.topic else ""
        raise UsageError(f"the books have no partition {asked.partition}{of}; there are {there}")
