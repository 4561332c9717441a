"""Proof that nothing is lost or doubled: the books, each event counted in silver, and a clean run to compare with."""

from collections.abc import Iterable
from typing import Any

from jobs.drills.report import Report
from jobs.drills.stage import Ended, Stage
from jobs.lake.digest import PER_RUN
from jobs.lake.ingest.progress import QUARANTINE
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.book_hours import book_hours
from jobs.serve.books import Asked, book_ranges, totals
from jobs.serve.tables import arrow_of

BOOKED = ("topic", "received", "accepted", "duplicate", "quarantined", "conflict", "lost", "balanced")


def account(stage: Stage, report: Report, *, compared: Iterable[str] = (), **fates: int) -> None:
    """Expect the books to add up to these fates, each event once in silver, and tables equal to a clean run's."""
    report.books = books(stage.settings)
    sums = {fate: sum(line[fate] for line in report.books) for fate in fates}
    report.equal("the books add up", dict(fates), sums)
    report.equal("lines of the books that do not balance", [], off_balance(stage.settings))
    report.equal("events of silver.views that are there twice", 0, doubled(stage.settings, "views"))
    if compared:
        clean = stage.clean()
        report.did("the same topics taken in by one undisturbed run into a second lake")
        differ = [table for table in compared if rows(stage.settings, table) != rows(clean, table)]
        report.equal(f"tables that differ from the undisturbed run's, of {', '.join(compared)}", [], differ)


def books(settings: Settings) -> list[dict[str, Any]]:
    """The sums of each topic (BOOKED), of topics that received or lost anything."""
    found = totals(book_ranges(settings, Asked()))
    return [{name: line[name] for name in BOOKED} for line in found if line["received"] or line["lost"]]


def off_balance(settings: Settings) -> list[str]:
    """What is wrong with the books, line by line, and with what they say by event hour."""
    lines = book_ranges(settings, Asked())
    off = [f"{line['topic']}/{line['partition']}: {line['problem']}" for line in lines if not line["balanced"]]
    return [*off, *book_hours(settings, Asked()).off]


def doubled(settings: Settings, topic: str) -> int:
    """Events of a silver table that are there more than once."""
    ids = Ledger(settings).read(f"silver.{topic}", ["event_id"])["event_id"]
    return len(ids) - len(ids.unique())


def rows(settings: Settings, table: str, version: int | None = None) -> list[str]:
    """The rows of a table, or of a version, without what differs between runs that agree, in a stable order."""
    found = (Ledger(settings).read(table) if version is None else arrow_of(settings, table, version)).to_pylist()
    kept = ({name: value for name, value in row.items() if name not in PER_RUN} for row in found)
    return sorted(repr(row) for row in kept)


def refused(settings: Settings) -> dict[tuple[str, int, int], tuple[str, ...]]:
    """The reasons of each refused record, by topic, partition and offset."""
    found = Ledger(settings).read(QUARANTINE).to_pylist()
    return {(row["topic"], row["kafka_partition"], row["kafka_offset"]): tuple(sorted(row["reasons"])) for row in found}


def ended_well(report: Report, ended: Ended) -> None:
    """Expect a run to have ended with exit code 0; what it said is told if not."""
    report.equal("exit code of ingest", 0, ended.code)
    if ended.code:
        report.says("ingest", "batches", ended.said)
