"""What made no silver row goes to quarantine: the records of the batch that silver lacks and that repeat nothing.

So a record cannot be lost between two rules that disagree; one that has no reason stops the run.
"""

from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import read
from jobs.definitions.firsts import PLACE
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.contests import Contest
from jobs.lake.ingest.forms import form, silver_table
from jobs.lake.ingest.progress import APP
from jobs.lake.ingest.writing import noted
from jobs.silver import quarantine

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

QUARANTINE = "silver.quarantine"
AS_IN_SILVER = {"topic_id": "kafka_topic_id", "partition": "kafka_partition", "offset": "kafka_offset"}


def write_quarantine(batch: Batch, contests: dict[str, Contest], missing: dict[str, int]) -> None:
    """Append every record of the batch that was refused; `missing` counts by topic those that silver does not have."""
    parts = []
    for topic in batch.topics:
        how, judged = form(topic, batch.lake.settings), contests.get(topic, Contest())
        if missing.get(topic, 0) > 0:
            parts.append(quarantine.build(left_over(batch, how, judged)))
        if judged.verdicts is not None and judged.conflicts:
            parts.append(quarantine.conflicts(judged.verdicts, topic=topic, ingest_seq=batch.seq))
    if parts:
        rows = reduce(lambda one, other: one.unionByName(other), parts).where(F.size("reasons") > 0)
        batch.lake.append(QUARANTINE, rows, app=APP, version=batch.seq, metadata=noted(batch))


def left_over(batch: Batch, how: Form, contest: Contest) -> "DataFrame":
    """Readings of the topic's records that neither silver has nor the contest explains.

    Of a small batch they are read already; of a large one the others are left out before anything is parsed again.
    """
    if how.role == "control" or batch.is_small:
        return batch.readings(how)
    records = batch.records(how.topic)
    silver = batch.lake.read(silver_table(how.topic)).where(F.col("ingest_seq") == batch.seq).select(*PLACE)
    late = contest.places(is_new=True)
    explained = silver if late is None else silver.union(late.select(*PLACE))
    in_bronze = explained.withColumnsRenamed({there: here for here, there in AS_IN_SILVER.items()})
    return read(records.join(in_bronze, on=list(AS_IN_SILVER), how="left_anti"), how)
