"""Whether the books balance: each line added up anew, by hour too, each range beginning where the one before ended.

Nothing is taken on trust: `balanced`, as it was booked, is only one more thing that may be wrong.
"""

from collections.abc import Iterable, Iterator, Mapping
from time import sleep
from typing import Any

from jobs.lake.errors import BooksError
from jobs.lake.hours import ADDED, FATES, REMEDY, UNREAD, differences, told_since
from jobs.lake.ingest.progress import BOOKS, HOURS, progress
from jobs.lake.ledger import Ledger

SHOWN = 5
WAITS = (0.2, 1.0)  # seconds
PAGE = "docs/runbooks/books.md"
Line = dict[str, Any]
Place = tuple[str, str, int]  # topic, topic id, partition


def judged(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines by place and batch, each with its loss told apart (`lost`) and what is wrong with it (`problem`)."""
    ends: dict[Place, int] = {}
    for line in sorted(lines, key=lambda line: (*place_of(line), line["ingest_seq"])):
        reasons = dict(line["reason_counts"] or {})
        lost = sum(reasons.pop(name, 0) for name in UNREAD)
        made = line | {"lost": lost, "reasons": reasons} | {name: line.get(name) or 0 for name in ADDED}
        wrong = problems(made, ends.get(place_of(line)))
        ends[place_of(line)] = line["offset_to"]
        yield made | {"balanced": not wrong, "problem": "; ".join(wrong) or None}


def problems(line: Mapping[str, Any], before: int | None) -> list[str]:
    """What is wrong with one line of the books; `before` is where the partition's last range ended."""
    wrong = []
    received, fates = line["received"], sum(line[fate] for fate in FATES)
    if received != fates:
        wrong.append(f"received {received}, but {' + '.join(FATES)} is {fates}")
    elif not line["balanced"]:
        wrong.append("was booked as not balanced")
    # What is erased leaves the line by what it was when it went, and may have been another thing when it was booked.
    if line["conflict"] > line["quarantined"] and not line["erased"]:
        wrong.append(f"{line['conflict']} conflicts, but only {line['quarantined']} quarantined")
    if received > line["offset_to"] - line["offset_from"]:
        wrong.append(f"received {received} of {line['offset_to'] - line['offset_from']} offsets")
    lost = line["lost"] if before is not None else 0
    if before is not None and before + lost != line["offset_from"]:
        booked = f" and {lost} were lost" if lost else ""
        wrong.append(f"begins at {line['offset_from']}, but the range before ended at {before}{booked}")
    return wrong


def refuse_difference(ledger: Ledger, since: int) -> None:
    """BooksError that names every line that is off, or that its hours do not add up to, from batch `since` on.

    A release passes the newest batch of the release before it: that batch has a line for every partition, so the first
    new line has one to follow on, and what lies before it was judged then. An erasure writes hours and lines of older
    batches one after the other, so a difference of the two is looked at again before it is believed.
    """
    lines, hours = read_since(ledger, since)
    off = [f"{words_of(line)}: {line['problem']}" for line in judged(lines) if not line["balanced"]]
    if off:
        raise BooksError(f"{BOOKS}: {first_of(off)}. Nothing was released; see {PAGE}")
    for seconds in WAITS:
        if not list(differences(lines, hours, told_since(ledger))):
            return
        sleep(seconds)
        lines, hours = read_since(ledger, since)
    off = [f"{words_of(line)}: {wrong}" for line, wrong in differences(lines, hours, told_since(ledger))]
    if not off:
        return
    remedy = "run `reelhouse ingest`, which ends the batch that is begun" if progress(ledger).is_unfinished else REMEDY
    raise BooksError(f"{HOURS}: {first_of(off)}. Nothing was released; {remedy}; see {PAGE}")


def read_since(ledger: Ledger, since: int) -> tuple[list[Line], list[Line]]:
    """The lines of the books and their hours, of batches from `since` on."""
    lines, hours = (
        ledger.read(table, filter=[[("ingest_seq", ">=", since)]]).to_pylist(maps_as_pydicts="strict")
        for table in (BOOKS, HOURS)
    )
    return lines, hours


def first_of(off: list[str]) -> str:
    """The first lines that are off, and how many more there are."""
    more = f" | and {len(off) - SHOWN} more" if len(off) > SHOWN else ""
    return f"{' | '.join(off[:SHOWN])}{more}"


def words_of(line: Mapping[str, Any]) -> str:
    """A line's place in words: views/0 offsets 10–20 (batch 1)."""
    place, offsets = f"{line['topic']}/{line['partition']}", f"{line['offset_from']}–{line['offset_to']}"
    return f"{place} offsets {offsets} (batch {line['ingest_seq']})"


def place_of(line: Mapping[str, Any]) -> Place:
    """Where a line's offsets mean something."""
    return line["topic"], line["topic_id"], line["partition"]
