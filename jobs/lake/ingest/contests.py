"""Which events of a batch are contested (their id occurs again, in the batch or in silver), and who was first.

Ids are compared by the header `ce_id`, which must equal the body's id, so that nothing is parsed to find the few that
are worth it. In silver only rows inside the literal ranges of the batch's ids are looked at: an id carries its date.
"""

from collections import Counter
from dataclasses import dataclass, field
from functools import reduce
from operator import and_, eq, ge, le, or_
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from jobs.definitions.balanced import joined
from jobs.definitions.clock import utc_hour
from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import header, read
from jobs.definitions.events.rows import changes, taken, time_kept
from jobs.definitions.firsts import ARRIVAL, judged, without
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import Hour, table_before
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.ids import Ids, records_with, within
from jobs.lake.ingest.known import near_rows
from jobs.lake.ingest.progress import APP
from jobs.lake.scanning import AnyOf

COMPARED = {"=": eq, ">=": ge, "<=": le}


@dataclass(frozen=True)
class Contest:
    """Who was first among contested events; `tally` counts arrivals by (fate, is_new, partition, event hour).

    `verdicts` is null when nothing was contested.
    """

    verdicts: DataFrame | None = None
    tally: Counter[tuple[str, bool, int, Hour]] = field(default_factory=Counter)

    def count(self, fate: str, *, is_new: bool, partition: int | None = None) -> int:
        """Arrivals of a fate, of this batch (`is_new`) or of older ones that this batch displaced."""
        return sum(
            n
            for (name, new, number, _), n in self.tally.items()
            if (name, new) == (fate, is_new) and partition in (None, number)
        )

    @property
    def displaced(self) -> int:
        """Rows of silver that an earlier arrival takes the place of."""
        return self.count("duplicate", is_new=False) + self.count("conflict", is_new=False)

    @property
    def conflicts(self) -> int:
        """Arrivals, of this batch or displaced by it, that say something else than the first."""
        return self.count("conflict", is_new=True) + self.count("conflict", is_new=False)

    def places(self, *, is_new: bool) -> DataFrame | None:
        """Where the arrivals lie that were not first."""
        late = self.count("duplicate", is_new=is_new) + self.count("conflict", is_new=is_new)
        if self.verdicts is None or not late:
            return None
        return self.verdicts.where((F.col("is_new") == F.lit(is_new)) & (F.col("fate") != "first"))


def contest(batch: Batch, form: Form, ids: Ids) -> Contest:
    """Judge the contested events of one topic; `ids` are the batch's."""
    known = known_claims(batch, form, ids)
    if known is None and not ids.has_repeats(form.topic):
        return Contest()
    claims = new_claims(contested_readings(batch, form, ids, known), form)
    verdicts = batch.keep(judged(claims if known is None else claims.unionByName(known.claims)))
    return Contest(verdicts, counted(verdicts, "fate", "is_new", "kafka_partition", "event_hour"))


def counted(rows: DataFrame, *by: str) -> Counter[Any]:
    """How many rows there are of each value of these columns; instants are UTC."""
    lines = rows.groupBy(*by).count().toArrow()
    values = zip(*(lines[name].to_pylist() for name in by), strict=True)
    return Counter(dict(zip(values, lines["count"].to_pylist(), strict=True)))


class Known(NamedTuple):
    """The rows of silver that have an id of the batch, as claims; their ids, where this process looked for them."""

    claims: DataFrame
    ids: pa.ChunkedArray | None


def known_claims(batch: Batch, form: Form, ids: Ids) -> Known | None:
    """What silver has of the batch's events; None for nothing."""
    table = silver_table(form.topic)
    before = table_before(batch.ledger, table, APP, batch.seq)
    dated = form.role == "fact"
    # of facts, other ids are refused in any case
    ranges = [each for each in ids.ranges[form.topic] if each.day is not None or not dated]
    if before is None or before.version() < 1 or not ranges:  # version 0 is the empty table
        return None
    near = within(ranges, dated=dated)
    if form.topic in ids.at_hand and (rows := near_rows(before, near)) is not None:
        found = rows.rows_with(ids.at_hand[form.topic], columns_of(form))
        if found is None:
            return None
        return Known(batch.lake.spark.createDataFrame(found).select(*claim(form)), found["event_id"])
    known = batch.lake.read(table, before.version()).where(in_spark(near)).select(*claim(form))
    if form.topic in batch.retracted:  # what is taken back has no claim
        known = without(known, batch.retracted[form.topic].arrivals)
    kept = batch.keep(known.join(ids.frame(form.topic), on=["event_id"], how="left_semi"))
    return Known(kept, None) if kept.count() else None


def in_spark(near: AnyOf) -> Column:
    """The condition as Spark's, of literals only."""
    every = [
        joined(and_, [COMPARED[sign](F.col(name), F.lit(value)) for name, sign, value in all_of]) for all_of in near
    ]
    return joined(or_, every)


def claim(form: Form) -> list[Column]:
    """A row of silver in the columns of CLAIM."""
    return [*map(F.col, ARRIVAL), hour_kept(form), *whose_day(form), F.lit(False).alias("is_new")]


def hour_kept(form: Form) -> Column:
    """`event_hour` of a row of silver."""
    return utc_hour(F.col(time_kept(form))).alias("event_hour")


def columns_of(form: Form) -> list[str]:
    """The columns of silver that `claim` reads."""
    return [
        *ARRIVAL,
        time_kept(form),
        *(["event_date"] if form.role == "fact" else []),
        *(["user_id"] if is_about_user(form) else []),
    ]


def whose_day(form: Form) -> list[Column]:
    """`day` and `subject` (the user's pseudonym; null for things) of a row of silver: whom taking it away touches."""
    day = F.col("event_date") if form.role == "fact" else F.to_date("valid_from")
    return [day.alias("day"), subject(form)]


def subject(form: Form) -> Column:
    """`subject` of a row of silver: the user's pseudonym; null for things."""
    return (F.col("user_id") if is_about_user(form) else F.lit(None).cast("string")).alias("subject")


def is_about_user(form: Form) -> bool:
    """Whether a row of the topic's table has a user."""
    return form.role == "fact" or form.key_field == "user_id"


def contested_readings(batch: Batch, form: Form, ids: Ids, known: Known | None) -> DataFrame:
    """The batch's own records with a contested id; only they are read, and where they can be told, only they parsed."""
    if form.topic in ids.at_hand and (known is None or known.ids is not None):
        repeated = ids.at_hand[form.topic].filter(pc.field("n") > 1)["event_id"]
        wanted = pa.chunked_array([*(known.ids.chunks if known and known.ids else ()), *repeated.chunks], pa.string())
        if (found := records_with(batch, form.topic, wanted.combine_chunks())) is not None:
            return read(batch.lake.spark.createDataFrame(found), form)
    contested = [ids.repeats(form.topic).select("event_id")]
    contested += [] if known is None else [known.claims.select("event_id")]
    named = reduce(DataFrame.union, contested).distinct()
    if batch.is_small:
        return batch.readings(form).join(named.withColumnRenamed("event_id", "ce_id"), on=["ce_id"], how="left_semi")
    records = batch.records(form.topic).withColumn("event_id", header("ce_id"))
    return read(records.join(named, on=["event_id"], how="left_semi"), form)


def new_claims(readings: DataFrame, form: Form) -> DataFrame:
    """Those of the readings that are acceptable, as claims."""
    rows = (taken if form.role == "fact" else changes)(readings, form, lambda raw_id: raw_id)
    nobody = [F.lit(None).cast("date").alias("day"), F.lit(None).cast("string").alias("subject")]
    return rows.select(*ARRIVAL, hour_kept(form), *nobody, F.lit(True).alias("is_new"))
