"""How a run of ingest ended: tables, fates, offsets, touched days; one line for people, the rest for programs."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from jobs.lake.hours import COUNTS
from jobs.lake.ingest.forms import OUTPUTS, silver_table
from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ingest.steps import Done
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families
from jobs.lake.settings import Settings
from jobs.lake.work import pending


def outcome(done: list[Done], ledger: Ledger, settings: Settings, notes: Sequence[str] = ()) -> dict[str, Any]:
    """The result of a run; `unreleased` says whether any family of gold has something left to do.

    The `notes` come behind its message.
    """
    fates = by_topic(done)
    sums = {fate: sum(counts[fate] for counts in fates.values()) for fate in COUNTS}
    message = (
        f"{len(done)} batches: {sums['received']} received, {sums['accepted']} accepted, "
        f"{sums['duplicate']} duplicate, {sums['quarantined']} quarantined"
    )
    if min(sums.values()) < 0:
        message += "; below none: of what came before more was taken back or judged anew"
    return {
        "outcome": "done" if done else "nothing_to_do",
        "message": "; ".join([message if done else "nothing new on the topics", *notes]),
        "unreleased": any(pending(ledger, settings, family).is_waiting for family in families(settings.schemas_dir)),
        "tables": tables(fates, ledger) if done else [],
        "topics": {topic: dict(counts) for topic, counts in fates.items()},
        "offsets": offsets(done),
        "touched": sorted({(table, day.isoformat()) for batch in done for table, day in batch.touched}),
        "batches": [batch.ingest_seq for batch in done],
    }


def by_topic(done: list[Done]) -> dict[str, Counter[str]]:
    """Records by topic and fate."""
    found: dict[str, Counter[str]] = {}
    for line in (line for batch in done for line in batch.books):
        if any(line[fate] for fate in COUNTS):  # what is taken back changes lines of partitions that received nothing
            found.setdefault(line["topic"], Counter()).update({fate: line[fate] for fate in COUNTS})
    return found


def tables(fates: dict[str, Counter[str]], ledger: Ledger) -> list[dict[str, Any]]:
    """The tables that were written: version, rows in and out."""
    received = sum(counts["received"] for counts in fates.values())
    refused = sum(counts["quarantined"] for counts in fates.values())
    written = [(BRONZE, received, received)] + [(QUARANTINE, received, refused)] * bool(refused)
    written += [
        (silver_table(topic), fates[topic]["received"], fates[topic]["accepted"]) for topic in OUTPUTS if topic in fates
    ]
    return [
        {"table": table, "version": ledger.version(table), "rows_in": rows_in, "rows_out": rows_out, "slices": []}
        for table, rows_in, rows_out in written
    ]


def offsets(done: list[Done]) -> dict[str, dict[str, int]]:
    """How far each partition was read."""
    found: dict[str, dict[str, int]] = {}
    for line in (line for batch in done for line in batch.books):
        found.setdefault(line["topic"], {})[str(line["partition"])] = line["offset_to"]
    return found
