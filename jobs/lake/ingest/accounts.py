"""The books of a batch: every record received has exactly one fate, counted from the tables themselves."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jobs.lake.balance import LOST, WITH_TOPIC
from jobs.lake.errors import BooksError
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.counting import rows_of
from jobs.lake.ingest.forms import OUTPUTS, role_of, silver_table
from jobs.lake.ingest.progress import APP, BOOKS, QUARANTINE, TOUCHED
from jobs.lake.ingest.retracting import ACCEPTED, CONFLICT, DUPLICATE, Retracted
from jobs.lake.topics import CONTROL
from jobs.lake.work import DISPLACED, RETRACTED

Place = tuple[str, int]  # topic, partition
FACTS_CAUSE, ENTITY_CAUSE = "new_facts", "correction"


@dataclass
class Accounts:
    """Counts of one batch by topic and partition, the days it touched by table, and what lost rows in it.

    `lost` counts by (table, day, subject, cause) the rows that an earlier arrival took the place of, or that were
    taken back.
    """

    accepted: Counter[Place] = field(default_factory=Counter)
    duplicate: Counter[Place] = field(default_factory=Counter)
    conflict: Counter[Place] = field(default_factory=Counter)
    quarantined: Counter[Place] = field(default_factory=Counter)
    reasons: dict[Place, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    days: dict[str, Counter[date]] = field(default_factory=lambda: defaultdict(Counter))
    lost: Counter[tuple[str, date, str | None, str]] = field(default_factory=Counter)

    def of_topic(self, counts: Counter[Place], topic: str) -> int:
        """A count summed over the partitions of a topic."""
        return sum(n for (name, _), n in counts.items() if name == topic)


def taken_in(batch: Batch, contests: dict[str, Contest], statements: Counter[int]) -> Accounts:
    """What silver holds of the batch, and what repeated; quarantine is not counted yet.

    A row that this batch displaced was accepted once: it counts as one accepted less, and as what it is now. So does
    every arrival that is taken back, or judged anew for it, as one less of what it was.
    """
    accounts = Accounts()
    for topic in (each for each in batch.topics if each in OUTPUTS):
        count = facts if role_of(topic) == "fact" else entities
        count(batch, topic, accounts)
    for topic, contest in contests.items():
        for (fate, is_new, partition), n in contest.tally.items():
            if fate == "first":
                continue
            accounts.accepted[topic, partition] -= 0 if is_new else n
            (accounts.duplicate if fate == "duplicate" else accounts.conflict)[topic, partition] += n
        for day, subject in displaced(contest):
            accounts.lost[silver_table(topic), day, subject, DISPLACED] += 1
    for topic, back in batch.retracted.items():
        take_back(batch, topic, back, accounts)
    for partition, n in statements.items():
        accounts.accepted[CONTROL, partition] += n
    return accounts


def displaced(contest: Contest) -> list[tuple[date, str | None]]:
    """(day, subject) of each row that an earlier arrival took the place of."""
    places = contest.places(is_new=False) if contest.displaced else None
    return [(line.day, line.subject) for line in places.collect()] if places is not None else []


def take_back(batch: Batch, topic: str, back: Retracted, accounts: Accounts) -> None:
    """Count one less of what each of these arrivals was, and the days of rows that go; what they are now is counted."""
    for (was, partition), n in (back.arrival_fates + back.readmitted_fates).items():
        place = (topic, partition)
        if was == CONFLICT:
            accounts.quarantined[place] -= n
            accounts.reasons[place][CONFLICT] -= n
        less = {ACCEPTED: accounts.accepted, DUPLICATE: accounts.duplicate, CONFLICT: accounts.conflict}.get(was)
        if less is not None:  # a new one was never booked
            less[place] -= n
    days, zone = fact_days(batch, accounts), ZoneInfo(batch.lake.settings.business_zone)
    for loss in back.losses:
        held = covered(loss.valid_from, loss.valid_to, days, zone) if loss.valid_from else [loss.day]
        for day in filter(None, held):
            accounts.lost[silver_table(topic), day, loss.subject, RETRACTED] += 1


def facts(batch: Batch, topic: str, accounts: Accounts) -> None:
    """Count the batch's rows of one fact table, by partition and by day."""
    group = "kafka_partition, event_date"
    for line in rows_of(batch.ledger, silver_table(topic), f"{group}, COUNT(*) AS n", batch.seq, group):
        accounts.accepted[topic, line["kafka_partition"]] += line["n"]
        accounts.days[silver_table(topic)][line["event_date"]] += line["n"]


def entities(batch: Batch, topic: str, accounts: Accounts) -> None:
    """Count the batch's changes of one entity table, and the days of facts for which something else now holds."""
    columns = "kafka_topic_id, kafka_partition, kafka_offset, valid_from, valid_to"
    days = fact_days(batch, accounts)
    again = batch.retracted[topic].readmitted_places() if topic in batch.retracted else set()
    zone = ZoneInfo(batch.lake.settings.business_zone)
    for line in rows_of(batch.ledger, silver_table(topic), columns, batch.seq):
        start, end = batch.plan.ranges[topic].get(line["kafka_partition"], (0, 0))
        same_topic = line["kafka_topic_id"] == batch.plan.topic_ids[topic]
        is_again = (line["kafka_topic_id"], line["kafka_partition"], line["kafka_offset"]) in again
        if is_again or (same_topic and start <= line["kafka_offset"] < end):
            accounts.accepted[topic, line["kafka_partition"]] += 1
        for day in covered(line["valid_from"], line["valid_to"], days, zone):
            accounts.days[silver_table(topic)][day] += 1


def covered(start: datetime, end: datetime | None, days: list[date], zone: ZoneInfo) -> list[date]:
    """The days for which a change matters: those with facts that it covers; its own first day when there are none."""
    first = start.astimezone(zone).date()
    last = end.astimezone(zone).date() if end else date.max
    found = [day for day in days if first <= day <= last]
    return found if found or days else [first]


def fact_days(batch: Batch, accounts: Accounts) -> list[date]:
    """All days that have facts, this batch's included."""
    import pyarrow.compute as pc

    known = batch.ledger.read(TOUCHED, ["day"], pc.field("cause") == FACTS_CAUSE)["day"].unique().to_pylist()
    new = {day for table, days in accounts.days.items() if role_of(table.partition(".")[2]) == "fact" for day in days}
    return sorted(new.union(known))


def add_quarantined(batch: Batch, accounts: Accounts) -> None:
    """Count the batch's rows of quarantine, and each reason."""
    group = "topic, kafka_partition"
    for line in rows_of(batch.ledger, QUARANTINE, f"{group}, COUNT(*) AS n", batch.seq, group):
        accounts.quarantined[line["topic"], line["kafka_partition"]] += line["n"]
    for line in rows_of(batch.ledger, QUARANTINE, f"{group}, reasons, COUNT(*) AS n", batch.seq, f"{group}, reasons"):
        for reason in line["reasons"]:
            accounts.reasons[line["topic"], line["kafka_partition"]][reason] += line["n"]


def write_touched(batch: Batch, accounts: Accounts, recorded_at: datetime) -> list[tuple[str, date]]:
    """Book which days of which tables the batch changed, and whom it took rows from; return the days."""
    touched: list[tuple[str, date, str | None, str, int]] = [
        (table, day, None, FACTS_CAUSE if role_of(table.partition(".")[2]) == "fact" else ENTITY_CAUSE, n)
        for table, days in sorted(accounts.days.items())
        for day, n in sorted(days.items())
    ]
    touched += [(*whose, n) for whose, n in accounts.lost.items()]
    rows = [
        {"ingest_seq": batch.seq, "table": table, "day": day, "subject": subject, "cause": cause, "rows": n,
         "recorded_at": recorded_at}
        for table, day, subject, cause, n in touched
    ]  # fmt: skip
    if rows:
        batch.ledger.append(TOUCHED, rows, app=APP, version=batch.seq)
    return sorted({(table, day) for table, day, *_ in touched})


def write_books(batch: Batch, accounts: Accounts, recorded_at: datetime) -> list[dict[str, Any]]:
    """Close the batch: one line for each partition of each topic; BooksError, and no line, if one does not balance."""
    lines = [
        line_of(batch, accounts, topic, number, recorded_at)
        for topic, parts in sorted(batch.plan.ranges.items())
        for number in sorted(parts)
    ]
    off = [line for line in lines if not line["balanced"]]
    if off:
        words = "; ".join(unbalanced(line) for line in off)
        raise BooksError(f"batch {batch.seq}: {words}; see docs/runbooks/books.md")
    batch.ledger.append(BOOKS, lines, app=APP, version=batch.seq)
    return lines


def line_of(batch: Batch, accounts: Accounts, topic: str, number: int, recorded_at: datetime) -> dict[str, Any]:
    """The books of one partition."""
    place = (topic, number)
    start, end = batch.plan.ranges[topic][number]
    received, accepted = batch.received.get(place, 0), accounts.accepted[place]
    duplicate, quarantined = accounts.duplicate[place], accounts.quarantined[place]
    erased = batch.count_erased(*place)
    reasons = dict(accounts.reasons[place]) if place in accounts.reasons else {}
    lost = {WITH_TOPIC if batch.plan.over else LOST: batch.plan.lost[place]} if place in batch.plan.lost else {}
    return {
        "ingest_seq": batch.seq,
        "run_id": batch.run_id,
        "topic": topic,
        "topic_id": batch.plan.topic_ids[topic],
        "partition": number,
        "offset_from": start,
        "offset_to": end,
        "received": received,
        "accepted": accepted,
        "duplicate": duplicate,
        "conflict": accounts.conflict[place],
        "quarantined": quarantined,
        "erased": erased,
        "reason_counts": reasons | lost,
        "balanced": received == accepted + duplicate + quarantined + erased,
        "recorded_at": recorded_at,
    }


def unbalanced(line: dict[str, Any]) -> str:
    """What is wrong with a line, in words."""
    return (
        f"{line['topic']}/{line['partition']} received {line['received']}, but accepted {line['accepted']} + duplicate "
        f"{line['duplicate']} + quarantined {line['quarantined']} + erased {line['erased']}"
    )
