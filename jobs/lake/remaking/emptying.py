"""Records that are read again from a topic: what is of people who were erased is emptied, as it was."""

from collections import defaultdict
from typing import TYPE_CHECKING

from pyspark.sql import Column
from pyspark.sql import functions as F

from jobs.lake.erasures import Erasure, erasures, told_until
from jobs.lake.errors import WriteError
from jobs.lake.identity import read_keys
from jobs.lake.ingest.erased import emptied, mark_of_record
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.plans import PART, Memory
from jobs.lake.tables import Lake
from jobs.lake.topics import ERASED_HEADER

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def emptied_again(lake: Lake, rows: "DataFrame", memory: Memory) -> "DataFrame":
    """Rows of bronze; of whom was erased nothing but the place and the sign of it, also where that is not ended yet.

    KeyFileError without the keys: nobody would be known again.
    """
    every = known_erasures(lake, memory)
    if not every:
        return rows
    read_keys(lake.settings.keys_path)
    told = lake.spark.createDataFrame(list(batches_by_mark(every).items()), "_mark string, _batches array<bigint>")
    marked = rows.withColumn("_mark", mark_of_record(lake, told_until(every.values())))
    joined = marked.join(F.broadcast(told), on=["_mark"], how="left")
    later = F.array_min(F.filter("_batches", lambda batch: batch > F.col("ingest_seq")))
    return joined.transform(emptied, F.coalesce(later, "ingest_seq")).drop("_mark", "_batches")


def known_erasures(lake: Lake, memory: Memory) -> dict[int, Erasure]:
    """By batch, those that the ledger knows and those that bronze's log does."""
    noted = {number: plan.erasure for number, plan in memory.plans.items() if plan.erasure}
    return noted | erasures(Ledger(lake.settings))


def batches_by_mark(every: dict[int, Erasure]) -> dict[str, list[int]]:
    """The erasures of each mark."""
    found = defaultdict(list)
    for batch, erasure in sorted(every.items()):
        for mark in erasure.marks:
            found[mark].append(batch)
    return found


def refuse_unemptied(every: "DataFrame", memory: Memory) -> None:
    """WriteError when of bronze as it would be (`every`) less is emptied than the books say was erased.

    That is a record so broken that only its bytes named the person; who was to be erased knew the id, we do not.
    """
    booked = {part: n for part, n in memory.erased.items() if n}
    if not booked:
        return
    counts = every.groupBy(*PART).agg(F.count("*"), F.count_if(is_emptied())).collect()
    there = {tuple(line[:3]): (line[3], line[4]) for line in counts}
    for part, erased in sorted(booked.items()):
        held, empty = there.get(part, (0, 0))
        if empty + (memory.received[part] - held) < erased:
            batch, topic, number = part
            raise WriteError(
                f"{BRONZE}: {topic}/{number} has records of batch {batch} that were erased, and only their bytes say "
                "which; nothing was changed. Put the files back from a copy"
            )


def is_emptied() -> Column:
    """Whether a row of bronze has nothing but the sign of an erasure."""
    sign = F.try_element_at("headers", F.lit(1))["key"] == ERASED_HEADER
    return F.col("key").isNull() & F.col("value").isNull() & F.coalesce(sign, F.lit(False))
