"""What made no silver row goes to quarantine: the records of the batch that silver lacks and that repeat nothing.

So a record cannot be lost between two rules that disagree; one that has no reason stops the run.
"""

from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import functions as F

from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import read
from jobs.definitions.firsts import PLACE, without
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.forms import silver_table
from jobs.lake.ingest.progress import APP, BRONZE, QUARANTINE
from jobs.silver import quarantine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

IN_BRONZE = ("topic_id", "partition", "offset")  # PLACE, as bronze calls it
PLACES = pa.schema([("topic_id", pa.string()), ("partition", pa.int32()), ("offset", pa.int64())])


def write_quarantine(batch: Batch, contests: dict[str, Contest], missing: dict[str, int]) -> None:
    """Append every record of the batch that was refused; `missing` counts by topic those that silver does not have.

    So are arrivals that are taken back; conflicts that they, or what repeated them, had been are so no more.
    """
    batch.ledger.widen(QUARANTINE)  # one from before it told hours and producers
    parts = []
    for topic in batch.topics:
        how, judged = batch.form(topic), contests.get(topic, Contest())
        left = left_over(batch, how, judged) if missing.get(topic, 0) > 0 else None
        if left is not None:
            parts.append(batch.lake.planned_apart(quarantine.build(left, form=how)))
        if judged.verdicts is not None and judged.conflicts:
            parts.append(quarantine.conflicts(judged.verdicts, topic=topic, ingest_seq=batch.seq))
        if topic in batch.retracted:
            parts.append(quarantine.retracted(batch.retracted[topic].arrivals, topic=topic, ingest_seq=batch.seq))
    if not parts:
        return
    rows = reduce(lambda one, other: one.unionByName(other), parts).where(F.size("reasons") > 0)
    if batch.retracted:
        replace(batch, rows)
        return
    refused = sum(missing.values()) + sum(judged.conflicts for judged in contests.values())
    batch.append(QUARANTINE, rows, at_most=refused)


def replace(batch: Batch, rows: "DataFrame") -> None:
    """Put refusals in the place of those of the same records, and take away conflicts that are none any more."""
    parts = [each.conflicts() for each in batch.retracted.values()]
    gone = without(reduce(lambda one, other: one.unionAll(other), parts), rows)
    merge = batch.lake.merge_few if batch.is_of_few else batch.lake.merge
    merge(QUARANTINE, rows, PLACE, app=APP, version=batch.seq, metadata=batch.note, removed=gone)


def left_over(batch: Batch, how: Form, contest: Contest) -> "DataFrame | None":
    """Readings of the topic's records that neither silver has nor the contest explains; None where there are none.

    Of a small batch they are read already; of a large one the others are left out before anything is parsed again.
    """
    if how.role == "control" or batch.is_small:
        return batch.readings(how)
    if (found := batch.rowless) is not None and how.role == "fact":
        records = unexplained_records(batch, how, contest, found.records)
        return read(batch.lake.spark.createDataFrame(records), how) if records.num_rows else None
    places = unexplained_places(batch, how, contest)
    if not places.num_rows:  # what is missed was taken back
        return None
    unexplained = F.broadcast(batch.lake.spark.createDataFrame(places))
    return read(batch.records(how.topic).join(unexplained, on=list(IN_BRONZE), how="left_semi"), how)


def unexplained_records(batch: Batch, how: Form, contest: Contest, records: "pa.Table") -> "pa.Table":
    """Those of the topic's records without a row that no earlier arrival explains."""
    mine, late = records.filter(pc.field("topic") == how.topic), contest.places(is_new=True)
    if late is not None:
        repeats = late.select(*PLACE).toArrow().rename_columns(list(IN_BRONZE)).cast(PLACES)
        place = mine.select(list(IN_BRONZE)).cast(PLACES).append_column("row", pa.array(range(mine.num_rows)))
        mine = mine.take(place.join(repeats, keys=list(IN_BRONZE), join_type="left anti")["row"])
    return mine


def unexplained_places(batch: Batch, how: Form, contest: Contest) -> "pa.Table":
    """Where those records lie, in bronze's words; worked out in Arrow: the places of one batch fit into memory."""
    this_batch, this_topic = ("ingest_seq", "=", batch.seq), ("topic", "=", how.topic)
    received = batch.ledger.read(BRONZE, list(IN_BRONZE), [[this_batch, this_topic]])
    parts = [batch.ledger.read(silver_table(how.topic), list(PLACE), [[this_batch]])]
    late = contest.places(is_new=True)
    if late is not None:
        parts.append(late.select(*PLACE).toArrow())
    erased = [dict(zip(IN_BRONZE, place, strict=True)) for topic, *place in batch.erased if topic == how.topic]
    parts.append(pa.Table.from_pylist(erased, schema=PLACES))
    explained = pa.concat_tables([part.rename_columns(list(IN_BRONZE)).cast(PLACES) for part in parts])
    return received.cast(PLACES).join(explained, keys=list(IN_BRONZE), join_type="left anti")
