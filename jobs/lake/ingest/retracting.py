"""What a statement of the batch takes back: the arrivals of a replay, and whatever was judged against them.

An arrival taken back is refused (`retracted`), whatever had become of it, and its row of silver goes. Arrivals that
repeated such a row are judged anew with the batch, as if the row had never been: so an event that came by itself,
before or after the replay, is what it would have been without it. So are those that repeated a row of which an earlier
arrival takes the place. All is found in the tables as they were before the
batch, so a batch done again finds the same.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import or_
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions.balanced import joined
from jobs.definitions.event_ids import id_date
from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import header, read
from jobs.definitions.events.rows import event_hour
from jobs.definitions.firsts import PLACE
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import counted, subject
from jobs.lake.ingest.control import Retraction
from jobs.lake.ingest.counting import Hour, version_before
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.progress import APP, BRONZE, QUARANTINE
from jobs.lake.ingest.refusals import IN_BRONZE
from jobs.lake.scanning import AnyOf, rows_near
from jobs.lake.topics import REPLAY_HEADER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ACCEPTED, DUPLICATE, CONFLICT, NEW = "accepted", "duplicate", "conflict", "new"
Fates = Counter[tuple[str, int, Hour]]  # (what was booked, partition, event hour)


@dataclass(frozen=True)
class Loss:
    """A row of silver that goes: whose it was, and the local day; of an entity the time for which it held instead."""

    subject: str | None
    day: date | None
    valid_from: datetime | None
    valid_to: datetime | None


@dataclass(frozen=True)
class Retracted:
    """What is taken back of one topic.

    `arrivals` (PLACE, kafka_time, event_id, event_hour, was) are refused; `rows` of silver go; `readmitted`, records as
    they lie in bronze with what `was` booked and their `event_hour`, are judged anew. `was` is accepted, duplicate,
    conflict, or new: booked in no batch.
    `id_dates` are the least and greatest in the arrivals' ids, null when there is none.
    """

    arrivals: "DataFrame"
    rows: "DataFrame"
    readmitted: "DataFrame"
    losses: tuple[Loss, ...]
    id_dates: tuple[date, date] | None
    arrival_fates: Fates
    readmitted_fates: Fates

    @property
    def size(self) -> int:
        """Arrivals that are refused now, or judged anew."""
        return self.arrival_fates.total() + self.readmitted_fates.total()

    def in_place_of(self, records: "DataFrame", ingest_seq: int) -> "DataFrame":
        """Records of the batch less those taken back, and those that are judged anew as if they had come with it."""
        gone = self.arrivals.where(F.col("was") == NEW).select(*_in_bronze())
        again = self.readmitted.drop("was", "event_hour").withColumn("ingest_seq", F.lit(ingest_seq).cast("bigint"))
        return records.join(gone, on=list(IN_BRONZE), how="left_anti").unionByName(again)

    def readmitted_places(self) -> set[tuple[str, int, int]]:
        """Where the arrivals lie that are judged anew."""
        return {(line[0], line[1], line[2]) for line in self.readmitted.select(*IN_BRONZE).collect()}

    def conflicts(self) -> "DataFrame":
        """Where the arrivals lie that stand in quarantine as conflicts and shall do so no more, or by another word."""
        again = self.readmitted.where(F.col("was") == CONFLICT).select(*_from_bronze())
        return self.arrivals.where(F.col("was") == CONFLICT).select(*PLACE).unionAll(again)


def retracted(batch: Batch, said: Sequence[Retraction]) -> dict[str, Retracted]:
    """By topic what these statements take back."""
    topics = sorted({each.topic for each in said})
    return {topic: _of_topic(batch, topic, [each for each in said if each.topic == topic]) for topic in topics}


def _of_topic(batch: Batch, topic: str, said: Sequence[Retraction]) -> Retracted:
    how, since = batch.form(topic), min(each.since for each in said)
    records = _records(batch, topic, since.date())
    refusals = _refusals(batch, topic)
    places = _places(records.where(_is_named(said, batch.plan.topic_ids[topic])), how)
    named = batch.keep(places.transform(unrefused, refusals))
    id_dates = _id_dates(named)
    rows = batch.keep(_silver(batch, how, id_dates).join(named.select(*PLACE), on=list(PLACE), how="left_semi"))
    arrivals = batch.keep(named.transform(_with_fate, rows, batch.seq))
    again = batch.keep(_repeats(records.where(F.col("ingest_seq") < batch.seq), rows, arrivals))
    readmitted = batch.keep(_judged_anew(again, how, refusals)) if again.count() else _none(again)
    return Retracted(
        arrivals,
        rows,
        readmitted,
        tuple(Loss(**line) for line in rows.select(*_whose(how)).toArrow().to_pylist()),
        id_dates,
        counted(arrivals, "was", "kafka_partition", "event_hour"),
        counted(readmitted, "was", "partition", "event_hour"),
    )


def usurped(batch: Batch, topic: str, displaced: "DataFrame") -> Retracted | None:
    """What is taken back of a topic, and the older arrivals of events whose rows, `displaced`, an earlier one takes.

    They were judged against those rows, and are judged anew; None where there are none.
    """
    lost = batch.lake.keep(displaced.select(*PLACE, "kafka_time", "event_id", "event_hour"))
    since = lost.agg(F.min(F.to_date("kafka_time"))).first()
    back, places = batch.retracted.get(topic), lost.select(*PLACE)
    others = places if back is None else places.unionAll(back.arrivals.select(*PLACE))
    older = _records(batch, topic, since[0] if since else date.min).where(F.col("ingest_seq") < batch.seq)
    again = batch.lake.keep(_repeats(older, lost, others))
    if not again.count():
        return None
    found = batch.lake.keep(_judged_anew(again, batch.form(topic), _refusals(batch, topic)))
    fates = counted(found, "was", "partition", "event_hour")
    if back is None:
        nothing = lost.where("FALSE").withColumn("was", F.lit(NEW))
        return Retracted(nothing, batch.lake.nothing(silver_table(topic)), found, (), None, Counter(), fates)
    readmitted = back.readmitted.unionByName(found)
    return replace(back, readmitted=readmitted, readmitted_fates=back.readmitted_fates + fates)


def _records(batch: Batch, topic: str, since: date) -> "DataFrame":
    """Records of a topic up to this batch, as they lie in bronze; an engine for few is told how many it will read."""
    expect_near(batch, BRONZE, [[("received_date", ">=", since)]])
    wanted = (F.col("topic") == topic) & (F.col("ingest_seq") <= batch.seq)
    return batch.lake.read(BRONZE).where(wanted & (F.col("received_date") >= F.lit(since)))


def expect_near(batch: Batch, table: str, near: AnyOf) -> None:
    """Tell an engine for few how many rows of a table it is to look through."""
    if not batch.lake.merges:
        batch.lake.expect(rows_near(batch.ledger.open(table), near))


def _is_named(said: Sequence[Retraction], topic_id: str) -> Column:
    """Whether a record of bronze is one that the statements take back.

    Their offsets are of the topic that is read now; one that it was made anew of had all its records before.
    """
    is_older = F.col("topic_id") != topic_id
    each = [(header(REPLAY_HEADER) == one.replay_id) & (is_older | _is_below(one.offsets)) for one in said]
    return joined(or_, [*each, F.lit(False)])


def _is_below(offsets: Sequence[tuple[int, int]]) -> Column:
    """Whether a record lies before these offsets (partition, next)."""
    each = [(F.col("partition") == number) & (F.col("offset") < end) for number, end in offsets]
    return joined(or_, [*each, F.lit(False)])


def _places(records: "DataFrame", how: Form) -> "DataFrame":
    """PLACE, time, id, event hour and batch of records of bronze."""
    hour = event_hour(how).alias("event_hour")
    return read(records, how).select(*PLACE, "kafka_time", F.col("ce_id").alias("event_id"), hour, "ingest_seq")


def _refusals(batch: Batch, topic: str) -> "DataFrame":
    """(PLACE, is_conflict) of the topic's refused records before the batch."""
    before = version_before(batch.ledger, QUARANTINE, APP, batch.seq)
    found = batch.lake.read(QUARANTINE, before if before >= 0 else None).where(F.col("topic") == topic)
    return found.select(*PLACE, F.array_contains("reasons", CONFLICT).alias("is_conflict"))


def _id_dates(named: "DataFrame") -> tuple[date, date] | None:
    """The least and greatest date in the ids."""
    day = id_date(F.col("event_id"))
    found = named.agg(F.min(day), F.max(day)).first()
    return (found[0], found[1]) if found and found[0] else None


def _silver(batch: Batch, how: Form, id_dates: tuple[date, date] | None) -> "DataFrame":
    """The topic's table before the batch; of facts, those with such ids."""
    before = version_before(batch.ledger, silver_table(how.topic), APP, batch.seq)
    rows = batch.lake.read(silver_table(how.topic), before if before >= 0 else None)
    if how.role != "fact" or id_dates is None:
        return rows
    expect_near(batch, silver_table(how.topic), [[("id_date", ">=", id_dates[0]), ("id_date", "<=", id_dates[1])]])
    return rows.where(F.col("id_date").between(F.lit(id_dates[0]), F.lit(id_dates[1])))


def unrefused(places: "DataFrame", refusals: "DataFrame") -> "DataFrame":
    """Places whose record was taken, or refused as a conflict only; adds `is_conflict`."""
    told = places.join(refusals, on=list(PLACE), how="left")
    return told.where("is_conflict IS NOT FALSE").withColumn("is_conflict", F.col("is_conflict").isNotNull())


def _with_fate(named: "DataFrame", rows: "DataFrame", ingest_seq: int) -> "DataFrame":
    """Say of each arrival what it was booked as."""
    there = rows.select(*PLACE, F.lit(True).alias("is_row"))
    was = (
        F.when(F.col("ingest_seq") == ingest_seq, NEW)
        .when(F.col("is_row"), ACCEPTED)
        .when(F.col("is_conflict"), CONFLICT)
        .otherwise(DUPLICATE)
    )
    told = named.join(there, on=list(PLACE), how="left")
    return told.select(*PLACE, "kafka_time", "event_id", "event_hour", was.alias("was"))


def _repeats(older: "DataFrame", rows: "DataFrame", arrivals: "DataFrame") -> "DataFrame":
    """Older records, not `arrivals` themselves, of the events whose row goes."""
    ids = rows.select(F.col("event_id").alias("ce_id")).distinct()
    told = older.withColumn("ce_id", header("ce_id")).join(ids, on=["ce_id"], how="left_semi").drop("ce_id")
    return told.join(arrivals.select(*_in_bronze()), on=list(IN_BRONZE), how="left_anti")


def _judged_anew(again: "DataFrame", how: Form, refusals: "DataFrame") -> "DataFrame":
    """Those of the records that are good, and were refused for nothing but a conflict; with what `was` booked."""
    taken = read(again, how).where("taken").select(*PLACE, event_hour(how).alias("event_hour"))
    was = F.when(F.col("is_conflict"), CONFLICT).otherwise(DUPLICATE)
    good = taken.transform(unrefused, refusals).select(*_in_bronze(), was.alias("was"), "event_hour")
    return again.join(good, on=list(IN_BRONZE), how="inner")


def _none(again: "DataFrame") -> "DataFrame":
    """No record is judged anew."""
    return again.withColumns({"was": F.lit(DUPLICATE), "event_hour": F.lit(None).cast("timestamp")})


def _in_bronze() -> list[Column]:
    """PLACE by the names that bronze has for it."""
    return [F.col(here).alias(there) for here, there in zip(PLACE, IN_BRONZE, strict=True)]


def _from_bronze() -> list[Column]:
    """PLACE, of what has it by the names of bronze."""
    return [F.col(there).alias(here) for here, there in zip(PLACE, IN_BRONZE, strict=True)]


def _whose(how: Form) -> list[Column]:
    """The columns of `Loss`."""
    is_fact = how.role == "fact"
    day = F.col("event_date") if is_fact else F.lit(None).cast("date")
    held = [F.lit(None).cast("timestamp") if is_fact else F.col(name) for name in ("valid_from", "valid_to")]
    return [subject(how), day.alias("day"), held[0].alias("valid_from"), held[1].alias("valid_to")]
