"""The end of an erasure: silver loses the person's rows, gold is told of whom, the books say that records are erased.

What goes is found in the tables as they were before the batch.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from jobs.definitions.firsts import PLACE
from jobs.lake.erasures import TABLE, Erasure, erased_records, horizons
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.counting import version_before
from jobs.lake.ingest.finding import NAMED, TABLES, names_behind, rows_of
from jobs.lake.ingest.progress import APP, QUARANTINE, TOUCHED
from jobs.lake.ingest.rebooking import QUARANTINED, InBronze, move_and_close, place_in_bronze
from jobs.lake.ingest.retracting import ACCEPTED, DUPLICATE
from jobs.lake.ingest.steps import Done
from jobs.lake.kill_points import reach
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of
from jobs.lake.small_commits import SmallCommit, commit_few
from jobs.lake.work import ERASED

ERASE_POINTS = (
    "erase.before_bronze",
    "erase.after_bronze",
    *(f"erase.after_{table}" for table in (*TABLES, QUARANTINE)),
    "erase.after_touched",
    "erase.before_books",
    "erase.after_books",
)
USERS = "silver.users"
DAYS = {USERS: "valid_from"}  # what says the day of a row, where it is not `event_date`
Row = dict[str, Any]


@dataclass(frozen=True)
class Gone:
    """What an erasure takes: names, their rows by table of silver, place → reasons of what was refused."""

    names: tuple[str, ...]
    rows: dict[str, list[Row]]
    refused: dict[InBronze, list[str]]

    def fates(self, records: Iterable[Row]) -> list[Row]:
        """Records of bronze, each with the `fate` that it was booked under, and its `reasons`."""
        accepted = {place_in_silver(row) for rows in self.rows.values() for row in rows}

        def fate(place: InBronze) -> str:
            return ACCEPTED if place in accepted else QUARANTINED if place in self.refused else DUPLICATE

        places = ((row, place_in_bronze(row)) for row in records)
        return [row | {"fate": fate(place), "reasons": self.refused.get(place, [])} for row, place in places]


def place_in_silver(row: Row) -> InBronze:
    """Where the record lies that a row of silver or quarantine was made of."""
    return row["kafka_topic_id"], row["kafka_partition"], row["kafka_offset"]


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
        table: rows_of(batch.ledger, table, names, [*PLACE, DAYS.get(table, "event_date")], version=before[table])
        for table in TABLES
    }
    return Gone(names, rows, _refusals(batch.ledger, {place_in_bronze(row) for row in mine}, before[QUARANTINE]))


def _refusals(ledger: Ledger, places: set[InBronze], version: int) -> dict[InBronze, list[str]]:
    """Place → reasons of those of the records that were refused."""
    import pyarrow.compute as pc
    from deltalake import DeltaTable

    if not places or version < 0:
        return {}
    delta = DeltaTable(ledger.path(QUARANTINE), version=version)
    columns = [*PLACE, "reasons"]
    near = pc.field("kafka_offset").isin(sorted({offset for *_, offset in places}))
    told = dataset_of(delta).to_table(columns=columns, filter=near).to_pylist()
    return {place_in_silver(row): row["reasons"] for row in told if place_in_silver(row) in places}


def _delete(batch: Batch, table: str, places: Iterable[InBronze]) -> None:
    """The rows of these records, in one commit that carries the batch's number; the log quotes no name of anybody."""
    nothing, condition = batch.ledger.schema(table).empty_table(), _at(places)

    def write(commit: SmallCommit) -> None:
        commit.replace_where(nothing, condition)

    commit_few(table, batch.ledger.path(table), APP, batch.seq, batch.note, write)


def _at(places: Iterable[InBronze]) -> str:
    """The condition that a row of silver is of one of these records."""
    by_partition: dict[tuple[str, int], list[int]] = {}
    for topic_id, partition, offset in places:
        by_partition.setdefault((topic_id, partition), []).append(offset)
    return " OR ".join(
        f"(kafka_topic_id = '{topic_id}' AND kafka_partition = {partition} "
        f"AND kafka_offset IN ({', '.join(map(str, sorted(offsets)))}))"
        for (topic_id, partition), offsets in sorted(by_partition.items())
    )


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
