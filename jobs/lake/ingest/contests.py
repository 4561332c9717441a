"""Which events of a batch are contested (their id occurs again, in the batch or in silver), and who was first.

Ids are compared by the header `ce_id`, which must equal the body's id, so that nothing is parsed to find the few that
are worth it. In silver only rows inside the literal ranges of the batch's ids are looked at: an id carries its date.
"""

from collections import Counter
from dataclasses import dataclass, field
from operator import or_
from typing import TYPE_CHECKING, Any

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.definitions.balanced import joined
from jobs.definitions.event_ids import id_date
from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import header, read
from jobs.definitions.events.rows import changes, taken
from jobs.definitions.firsts import CLAIM, PLACE, judged, without
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import version_before
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.progress import APP

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

MANY = 60  # days of ids; beyond, one range stands for all


@dataclass(frozen=True)
class IdRange:
    """The ids of one topic with one date in them: least, greatest, how many records and how many different ids."""

    day: Any
    least: str
    greatest: str
    records: int
    ids: int


@dataclass(frozen=True)
class Contest:
    """Who was first among contested events; `tally` counts arrivals by (fate, is_new, partition).

    `verdicts` is null when nothing was contested.
    """

    verdicts: "DataFrame | None" = None
    tally: Counter[tuple[str, bool, int]] = field(default_factory=Counter)

    def count(self, fate: str, *, is_new: bool, partition: int | None = None) -> int:
        """Arrivals of a fate, of this batch (`is_new`) or of older ones that this batch displaced."""
        return sum(
            n
            for (name, new, number), n in self.tally.items()
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

    def places(self, *, is_new: bool) -> "DataFrame | None":
        """Where the arrivals lie that were not first."""
        late = self.count("duplicate", is_new=is_new) + self.count("conflict", is_new=is_new)
        if self.verdicts is None or not late:
            return None
        return self.verdicts.where((F.col("is_new") == F.lit(is_new)) & (F.col("fate") != "first"))


def told_ids(batch: Batch, topics: list[str]) -> "DataFrame":
    """The batch's ids by topic and how often each occurs (`n`), worked out once for all that ask."""
    ids = batch.records(*topics).select("topic", header("ce_id").alias("event_id")).where("event_id IS NOT NULL")
    return batch.keep(ids.groupBy("topic", "event_id").agg(F.count("*").alias("n")))


def id_ranges(told: "DataFrame", topics: list[str]) -> dict[str, list[IdRange]]:
    """What ids the batch holds, by topic; one query for all."""
    lines = told.groupBy("topic", id_date(F.col("event_id")).alias("day")).agg(
        F.min("event_id").alias("least"),
        F.max("event_id").alias("greatest"),
        F.sum("n").alias("records"),
        F.count("*").alias("ids"),
    )
    found: dict[str, list[IdRange]] = {topic: [] for topic in topics}
    for line in lines.collect():
        found[line.topic].append(IdRange(line.day, line.least, line.greatest, line.records, line.ids))
    return found


def contest(batch: Batch, form: Form, ranges: list[IdRange], told: "DataFrame") -> Contest:
    """Judge the contested events of one topic; `told` are the batch's ids."""
    repeats = any(each.records > each.ids for each in ranges)
    ids = told.where(F.col("topic") == form.topic)
    known = known_claims(batch, form, ids, ranges)
    if known is None and not repeats:
        return Contest()
    contested = ids.where("n > 1").select("event_id")
    if known is not None:
        contested = contested.union(known.select("event_id"))
    claims = new_claims(batch, form, contested.distinct())
    verdicts = batch.keep(judged(claims if known is None else claims.unionByName(known)))
    tally = verdicts.groupBy("fate", "is_new", "kafka_partition").count().collect()
    return Contest(verdicts, Counter({(line[0], line[1], line[2]): line[3] for line in tally}))


def known_claims(batch: Batch, form: Form, ids: "DataFrame", ranges: list[IdRange]) -> "DataFrame | None":
    """The rows of silver that have an id of the batch; null when there are none."""
    table = silver_table(form.topic)
    before = version_before(batch.ledger, table, APP, batch.seq)
    if before < 1 or not ranges:  # version 0 is the empty table
        return None
    near = within(ranges, dated=form.role == "fact")
    silver = batch.lake.read(table, before).where(near) if near is not None else None
    if silver is None:
        return None
    known = silver.select(
        "event_id", "content_hash", *PLACE, "kafka_time", *whose_day(form), F.lit(False).alias("is_new")
    )
    if form.topic in batch.retracted:  # what is taken back has no claim
        known = without(known, batch.retracted[form.topic].arrivals)
    found = batch.keep(known.join(ids, on=["event_id"], how="left_semi"))
    return found.select(*CLAIM) if found.count() else None


def whose_day(form: Form) -> list[Column]:
    """`day` and `subject` (the user's pseudonym; null for things) of a row of silver: whom taking it away touches."""
    day = F.col("event_date") if form.role == "fact" else F.to_date("valid_from")
    return [day.alias("day"), subject(form)]


def subject(form: Form) -> Column:
    """`subject` of a row of silver: the user's pseudonym; null for things."""
    about_user = form.role == "fact" or form.key_field == "user_id"
    return (F.col("user_id") if about_user else F.lit(None).cast("string")).alias("subject")


def within(ranges: list[IdRange], *, dated: bool) -> Column | None:
    """A condition, of literals only, that is true of every row of silver with an id of these ranges."""
    if dated:
        ranges = [each for each in ranges if each.day is not None]  # other ids are refused in any case
    if not ranges:
        return None
    whole = F.col("event_id").between(
        F.lit(min(each.least for each in ranges)), F.lit(max(each.greatest for each in ranges))
    )
    if not dated:
        return whole
    days = sorted({each.day for each in ranges})
    if len(days) > MANY:
        return whole & F.col("id_date").between(F.lit(days[0]), F.lit(days[-1]))
    each_day = [
        (F.col("id_date") == F.lit(each.day)) & F.col("event_id").between(F.lit(each.least), F.lit(each.greatest))
        for each in ranges
    ]
    return joined(or_, each_day)


def new_claims(batch: Batch, form: Form, contested: "DataFrame") -> "DataFrame":
    """The batch's own acceptable records with a contested id; of a large batch only they are parsed here."""
    if batch.is_small:
        ids = contested.withColumnRenamed("event_id", "ce_id")
        readings = batch.readings(form).join(ids, on=["ce_id"], how="left_semi")
    else:
        records = batch.records(form.topic).withColumn("event_id", header("ce_id"))
        readings = read(records.join(contested, on=["event_id"], how="left_semi"), form)
    rows = (taken if form.role == "fact" else changes)(readings, form, lambda raw_id: raw_id)
    nobody = [F.lit(None).cast("date").alias("day"), F.lit(None).cast("string").alias("subject")]
    return rows.select("event_id", "content_hash", *PLACE, "kafka_time", *nobody, F.lit(True).alias("is_new"))
