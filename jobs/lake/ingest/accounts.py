"""The counts of a batch: what became of every record of it, counted from the tables themselves."""

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from jobs.lake.hours import BECAME
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.counting import Hour, hour_of, rows_of
from jobs.lake.ingest.forms import OUTPUTS, role_of, silver_table
from jobs.lake.ingest.planning import Range
from jobs.lake.ingest.progress import APP, QUARANTINE, TOUCHED
from jobs.lake.ingest.retracting import ACCEPTED, CONFLICT, DUPLICATE, Retracted
from jobs.lake.topics import CONTROL
from jobs.lake.work import DISPLACED, RETRACTED

Slot = tuple[str, int, Hour]  # topic, partition, event hour
FACTS_CAUSE, ENTITY_CAUSE = "new_facts", "correction"


@dataclass
class Accounts:
    """Counts of one batch by topic, partition and event hour, the days it touched by table, and what lost rows in it.

    `lost` counts by (table, day, subject, cause) the rows that an earlier arrival took the place of, or that were
    taken back.
    """

    accepted: Counter[Slot] = field(default_factory=Counter)
    duplicate: Counter[Slot] = field(default_factory=Counter)
    conflict: Counter[Slot] = field(default_factory=Counter)
    quarantined: Counter[Slot] = field(default_factory=Counter)
    erased: Counter[Slot] = field(default_factory=Counter)
    canary: Counter[Slot] = field(default_factory=Counter)
    reasons: dict[Slot, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    days: dict[str, Counter[date]] = field(default_factory=lambda: defaultdict(Counter))
    lost: Counter[tuple[str, date, str | None, str]] = field(default_factory=Counter)

    def of_topic(self, counts: Counter[Slot], topic: str) -> int:
        """A count summed over the partitions of a topic."""
        return sum(n for (name, *_), n in counts.items() if name == topic)

    @property
    def is_any_refused(self) -> bool:
        """Whether any record is refused; by reasons, for as many as are refused may be so no more."""
        return any(n > 0 for reasons in self.reasons.values() for n in reasons.values())

    @property
    def slots(self) -> set[Slot]:
        """Wherever anything is counted."""
        return {slot for counts in self.fates for slot in counts} | self.reasons.keys()

    @property
    def fates(self) -> tuple[Counter[Slot], ...]:
        """The counts of records."""
        return tuple(getattr(self, name) for name in BECAME)


def bring_home(accounts: Accounts, ranges: Mapping[str, Mapping[int, Range]]) -> None:
    """Count under a topic's least partition what is of one that it has no more, being made anew with fewer.

    So are rows of before that are taken back, displaced or judged anew; the batch has lines of its own ranges only.
    """
    for slot in accounts.slots:
        topic, number, hour = slot
        if topic not in ranges or number in ranges[topic]:
            continue
        home = (topic, min(ranges[topic]), hour)
        for counts in accounts.fates:
            counts[home] += counts.pop(slot, 0)
        accounts.reasons[home].update(accounts.reasons.pop(slot, {}))


def taken_in(batch: Batch, contests: dict[str, Contest], statements: Counter[int]) -> Accounts:
    """What silver holds of the batch, and what repeated; quarantine is not counted yet.

    A row that this batch displaced was accepted once: it counts as one accepted less, and as what it is now. So does
    every arrival that is taken back, or judged anew for it, as one less of what it was.
    """
    accounts = Accounts()
    accounts.erased.update((topic, partition, None) for topic, _, partition, _ in batch.erased)
    accounts.canary.update({(topic, partition, None): n for (topic, partition), n in batch.canaries.items()})
    accounts.accepted.update({(CONTROL, partition, None): n for partition, n in statements.items()})
    for topic in (each for each in batch.topics if each in OUTPUTS):
        count = facts if role_of(topic) == "fact" else entities
        count(batch, topic, accounts)
    for topic, contest in contests.items():
        for (fate, is_new, partition, hour), n in contest.tally.items():
            if fate == "first":
                continue
            accounts.accepted[topic, partition, hour] -= 0 if is_new else n
            (accounts.duplicate if fate == "duplicate" else accounts.conflict)[topic, partition, hour] += n
        for day, subject in displaced(contest):
            accounts.lost[silver_table(topic), day, subject, DISPLACED] += 1
    for topic, back in batch.retracted.items():
        take_back(batch, topic, back, accounts)
    return accounts


def displaced(contest: Contest) -> list[tuple[date, str | None]]:
    """(day, subject) of each row that an earlier arrival took the place of."""
    places = contest.places(is_new=False) if contest.displaced else None
    return [(line.day, line.subject) for line in places.collect()] if places is not None else []


def take_back(batch: Batch, topic: str, back: Retracted, accounts: Accounts) -> None:
    """Count one less of what each of these arrivals was, and the days of rows that go; what they are now is counted."""
    for (was, partition, hour), n in (back.arrival_fates + back.readmitted_fates).items():
        slot = (topic, partition, hour)
        if was == CONFLICT:
            accounts.quarantined[slot] -= n
            accounts.reasons[slot][CONFLICT] -= n
        less = {ACCEPTED: accounts.accepted, DUPLICATE: accounts.duplicate, CONFLICT: accounts.conflict}.get(was)
        if less is not None:  # a new one was never booked
            less[slot] -= n
    days, zone = fact_days(batch, accounts), ZoneInfo(batch.lake.settings.business_zone)
    for loss in back.losses:
        held = covered(loss.valid_from, loss.valid_to, days, zone) if loss.valid_from else [loss.day]
        for day in filter(None, held):
            accounts.lost[silver_table(topic), day, loss.subject, RETRACTED] += 1


def facts(batch: Batch, topic: str, accounts: Accounts) -> None:
    """Count the batch's rows of one fact table, by partition and hour, and by day."""
    group, hour = "kafka_partition, event_date", hour_of("event_time")
    columns, table = f"{group}, {hour} AS hour, COUNT(*) AS n", silver_table(topic)
    for line in rows_of(batch.ledger, table, columns, batch.seq, f"{group}, hour"):
        accounts.accepted[topic, line["kafka_partition"], line["hour"]] += line["n"]
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
            hour = line["valid_from"].replace(minute=0, second=0, microsecond=0)
            accounts.accepted[topic, line["kafka_partition"], hour] += 1
        for day in covered(line["valid_from"], line["valid_to"], days, zone):
            accounts.days[silver_table(topic)][day] += 1


def covered(start: datetime, end: datetime | None, days: list[date], zone: ZoneInfo) -> list[date]:
    """Of sorted days those for which a change matters: with facts that it covers; its first one when there are none."""
    first = start.astimezone(zone).date()
    last = end.astimezone(zone).date() if end else date.max
    found = days[bisect_left(days, first) : bisect_right(days, last)]
    return found if found or days else [first]


def fact_days(batch: Batch, accounts: Accounts) -> list[date]:
    """All days that have facts, this batch's included."""
    import pyarrow.compute as pc

    known = batch.ledger.read(TOUCHED, ["day"], pc.field("cause") == FACTS_CAUSE)["day"].unique().to_pylist()
    new = {day for table, days in accounts.days.items() if role_of(table.partition(".")[2]) == "fact" for day in days}
    return sorted(new.union(known))


def add_quarantined(batch: Batch, accounts: Accounts) -> None:
    """Count the batch's rows of quarantine, and each reason."""
    group = "topic, kafka_partition, event_hour, reasons"
    for line in rows_of(batch.ledger, QUARANTINE, f"{group}, COUNT(*) AS n", batch.seq, group):
        slot = line["topic"], line["kafka_partition"], line["event_hour"]
        accounts.quarantined[slot] += line["n"]
        accounts.reasons[slot].update(dict.fromkeys(line["reasons"], line["n"]))


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
