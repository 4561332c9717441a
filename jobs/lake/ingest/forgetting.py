"""The end of an erasure: silver loses the person's rows, gold is told of whom, the books say that records are erased.

What goes is found in the tables as they were before the batch.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pyspark.sql import functions as F

from jobs.definitions.events.reading import read
from jobs.definitions.events.rows import event_hour
from jobs.definitions.firsts import PLACE
from jobs.lake.erasures import TABLE, Erasure, erased_records, horizons
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import Hour, version_before
from jobs.lake.ingest.finding import NAMED, TABLES, names_behind, rows_of
from jobs.lake.ingest.forms import form
from jobs.lake.ingest.progress import APP, BRONZE, QUARANTINE, TOUCHED
from jobs.lake.ingest.rebooking import QUARANTINED, move_and_close, place_in_bronze
from jobs.lake.ingest.refusals import IN_BRONZE
from jobs.lake.ingest.retracting import ACCEPTED, DUPLICATE
from jobs.lake.ingest.steps import Done
from jobs.lake.kill_points import reach
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.small_commits import InBronze, SmallCommit, commit_few, made_of
from jobs.lake.work import ERASED

ERASE_POINTS = (
    "erase.before_bronze",
    "erase.after_bronze",
    *(f"erase.after_{table}" for table in (*TABLES, QUARANTINE)),
    "erase.after_touched",
    "erase.before_books",
    "erase.after_book_hours",
    "erase.after_books",
)
USERS = "silver.users"
TIMES = {USERS: ["valid_from"]}  # what says the time and day of a row, where it is not these two
OF_FACTS = ["event_time", "event_date"]
IN_BRONZE_TYPED = "topic_id string, partition int, offset bigint"
Row = dict[str, Any]


@dataclass(frozen=True)
class Gone:
    """What an erasure takes: names, and their rows by table of silver; by place what was refused, hours of repeats."""

    names: tuple[str, ...]
    rows: dict[str, list[Row]]
    refused: dict[InBronze, Row]
    repeats: dict[InBronze, Hour]

    def fates(self, records: Iterable[Row]) -> list[Row]:
        """Records of bronze, each with the `fate` and `event_hour` that it was booked under, and its `reasons`."""
        accepted = {place_in_silver(row): hour_of(row) for rows in self.rows.values() for row in rows}

        def booked(place: InBronze) -> Row:
            if place in accepted:
                return {"fate": ACCEPTED, "event_hour": accepted[place], "reasons": []}
            if place in self.refused:
                return {"fate": QUARANTINED, **self.refused[place]}
            return {"fate": DUPLICATE, "event_hour": self.repeats.get(place), "reasons": []}

        return [row | booked(place_in_bronze(row)) for row in records]


def place_in_silver(row: Row) -> InBronze:
    """Where the record lies that a row of silver or quarantine was made of."""
    return row["kafka_topic_id"], row["kafka_partition"], row["kafka_offset"]


def hour_of(row: Row) -> Hour:
    """The UTC hour of a row of silver."""
    at: datetime = row["event_time"] if "event_time" in row else row["valid_from"]
    return at.replace(minute=0, second=0, microsecond=0)


def carry_out(batch: Batch, erasure: Erasure, now: Callable[[], datetime], still_ours: Callable[[], None]) -> Done:
    """Take an erasure that lies in bronze to its end; each step is idempotent."""
    every, at = erased_records(batch.ledger, {*horizons(batch.ledger), *erasure.marks}), now()
    mine = [row for row in every if row["erased_by"] == batch.seq]
    gone = what_goes(batch, erasure, mine)
    for table, rows in gone.rows.items():
        if rows:
            _delete(batch, table, map(place_in_silver, rows))
        reach(f"erase.after_{table}")
    if gone.refused:
        _delete(batch, QUARANTINE, gone.refused)
    reach(f"erase.after_{QUARANTINE}")
    touched = _write_touched(batch, gone, erasure.erased_at, at)
    reach("erase.after_touched")
    _write_erasure(batch, erasure, at)
    still_ours()
    reach("erase.before_books")
    books = move_and_close(batch, every, gone.fates(mine), at)
    reach("erase.after_books")
    return Done(batch.seq, books, touched)


def what_goes(batch: Batch, erasure: Erasure, mine: Iterable[Row]) -> Gone:
    """The rows of the tables as they were before the batch, so that a batch done again finds the same."""
    before = {table: version_before(batch.ledger, table, APP, batch.seq) for table in (*NAMED, QUARANTINE)}
    names = tuple(sorted(set(names_behind(batch.lake.settings, batch.ledger, erasure.marks, before))))
    rows = {
        table: rows_of(batch.ledger, table, names, [*PLACE, *TIMES.get(table, OF_FACTS)], version=before[table])
        for table in TABLES
    }
    refused = _refusals(batch.ledger, {place_in_bronze(row) for row in mine}, before[QUARANTINE])
    told = refused.keys() | {place_in_silver(row) for found in rows.values() for row in found}
    return Gone(names, rows, refused, _repeats(batch, [row for row in mine if place_in_bronze(row) not in told]))


def _repeats(batch: Batch, records: Sequence[Row]) -> dict[InBronze, Hour]:
    """Place → hour of those of the records that repeated others: only their bytes tell it, in bronze as it was."""
    found: dict[InBronze, Hour] = {}
    for topic in sorted({row["topic"] for row in records}):
        mine = [row for row in records if row["topic"] == topic]
        version = version_before(batch.ledger, BRONZE, APP, batch.seq)
        is_of_these = F.col("ingest_seq").isin(*{row["ingest_seq"] for row in mine}) & (F.col("topic") == topic)
        places = batch.lake.spark.createDataFrame([place_in_bronze(row) for row in mine], IN_BRONZE_TYPED)
        bytes_of = batch.lake.read(BRONZE, version).where(is_of_these).join(places, on=list(IN_BRONZE), how="left_semi")
        how = form(topic, batch.lake.settings)
        told = read(bytes_of, how).select(*PLACE, event_hour(how).alias("event_hour")).toArrow().to_pylist()
        found |= {place_in_silver(row): row["event_hour"] for row in told}
    return found


def _refusals(ledger: Ledger, places: set[InBronze], version: int) -> dict[InBronze, Row]:
    """Place → reasons and hour of those of the records that were refused."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    if not places or version < 0:
        return {}
    delta = DeltaTable(ledger.path(QUARANTINE), version=version)
    near = pc.field("kafka_offset").isin(sorted({offset for *_, offset in places}))
    rows = dataset_of(delta)
    there = [name for name in ("reasons", "event_hour") if name in rows.schema.names]  # old ones told no hour
    told = rows.to_table(columns=[*PLACE, *there], filter=near).to_pylist()
    found = ((place_in_silver(row), {"event_hour": None} | {name: row[name] for name in there}) for row in told)
    return {place: row for place, row in found if place in places}


def _delete(batch: Batch, table: str, places: Iterable[InBronze]) -> None:
    """The rows of these records, in one commit that carries the batch's number; the log quotes no name of anybody."""
    nothing, condition = batch.ledger.schema(table).empty_table(), made_of(places)

    def write(commit: SmallCommit) -> None:
        commit.replace_where(nothing, condition)

    commit_few(table, batch.ledger.path(table), APP, batch.seq, batch.note, write)


def _write_touched(batch: Batch, gone: Gone, erased_at: datetime, at: datetime) -> list[tuple[str, date]]:
    """Name the person and their days, so that gold reads everything of them again, and finds nothing.

    Who is in gold alone is named on the day of the erasure.
    """
    zone = ZoneInfo(batch.lake.settings.business_zone)
    lost = Counter(
        (table, row["event_date"] if "event_date" in row else row["valid_from"].astimezone(zone).date(), row["user_id"])
        for table, found in gone.rows.items()
        for row in found
    )
    without_rows = set(gone.names).difference(name for _, _, name in lost)
    lost.update({(USERS, erased_at.astimezone(zone).date(), name): 0 for name in without_rows})
    lines = [
        {"ingest_seq": batch.seq, "table": table, "day": day, "subject": name, "cause": ERASED, "rows": n,
         "recorded_at": at}
        for (table, day, name), n in sorted(lost.items())
    ]  # fmt: skip
    if lines:
        batch.ledger.append(TOUCHED, lines, app=APP, version=batch.seq)
    return sorted({(table, day) for table, day, _ in lost})


def _write_erasure(batch: Batch, erasure: Erasure, at: datetime) -> None:
    """The line that stays, by which records that come later are told."""
    row = {
        "ingest_seq": batch.seq,
        "marks": erasure.marks,
        "erased_at": erasure.erased_at,
        "is_later_refused": erasure.is_later_refused,
        "asked_by": erasure.asked_by,
        "why": erasure.why,
        "record_counts": erasure.records,
        "row_counts": erasure.rows,
        "run_id": batch.run_id,
        "recorded_at": at,
    }
    batch.ledger.append(TABLE, [row], app=APP, version=batch.seq)
