"""The truth about the records of a match, and what a contender made of them."""

import json
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.definitions.clock import SKEW_TOLERATED
from jobs.drills.beside.contender import READ, Found, Says
from jobs.drills.corpus import Case
from jobs.drills.records import Record, micros

TAKEN, REPEAT, CONFLICT, REFUSED = "taken", "repeat", "conflict", "refused"


@dataclass(frozen=True)
class Truth:
    """One record: when the broker took it in (microseconds), what should become of it, and what it says if it is good.

    No two records of a match have the same time, so it names the record wherever it went.
    """

    at: int
    fate: str
    hazard: str
    says: Says = ()


@dataclass(frozen=True)
class Counts:
    """What became of the records, beside what should have.

    `lost`: events that keep the contract and have no row. `doubled`: rows of an event beyond its first. `wrong`: rows
    of records that break the contract, or that say something else than the record. `unaccounted`: records of which no
    row, no place apart and no count of repeats tells. `waiting`: records not read by who stopped and says why.
    """

    sent: int
    lost: int
    doubled: int
    wrong: int
    unaccounted: int
    waiting: int


def truth_of(case: Case, at: datetime, *, is_again: bool = False) -> Truth:
    """The truth about a case of the corpus that the broker takes in at `at`; `is_again` for one sent before."""
    fates = {"taken": REPEAT if is_again else TAKEN, "duplicate": REPEAT, "conflict": CONFLICT}
    fate = REFUSED if case.reasons and case.fate != "conflict" else fates[case.fate]
    return Truth(micros(at), fate, case.hazard, said(case.record, at) if fate in (TAKEN, REPEAT) else ())


def said(record: Record, at: datetime) -> Says:
    """The values of READ in a good record, its time by the broker's clock where the sender's is off."""
    body: dict[str, Any] = json.loads(record.value or b"")
    behind = micros(at) - body["sent_time"]
    is_live = not dict(record.headers or ()).get("ce_source", b"").startswith(b"replay:")
    off = behind if is_live and abs(behind) > SKEW_TOLERATED else 0
    return tuple((body | {"event_time": body["event_time"] + off})[name] for name in READ)


def judge(truth: Collection[Truth], found: Found, *, has_stopped: bool = False, hazard: str = "") -> Counts:
    """Compare what was found with the truth about all records of a match, or count those of one hazard only."""
    known = {each.at: each for each in truth if hazard in ("", each.hazard)}
    rows = [(known[at], says) for at, says in found.rows if at in known]
    refused = [says for each, says in rows if each.fate == REFUSED]
    off = [says for each, says in rows if each.fate in (TAKEN, REPEAT) and says != each.says]
    events = Counter(says[0] for each, says in rows if each.fate != REFUSED)
    good = {each.says[0] for each in known.values() if each.fate == TAKEN}
    lost, untold = len(good - events.keys()), len(unaccounted(truth, found) & known.keys())
    return Counts(
        sent=len(known),
        lost=0 if has_stopped else lost,
        doubled=events.total() - len(events),
        wrong=len(refused) + len(off),
        unaccounted=0 if has_stopped else untold,
        waiting=untold if has_stopped else 0,
    )


def unaccounted(truth: Collection[Truth], found: Found) -> set[int]:
    """The records of which nothing tells; repeats are told of if the count that is booked is theirs."""
    there = {at for at, _ in found.rows} | found.aside
    nowhere = {each.at: each.fate for each in truth if each.at not in there}
    repeats = {at for at, fate in nowhere.items() if fate == REPEAT}
    return nowhere.keys() - (repeats if len(repeats) == found.repeated else set())
