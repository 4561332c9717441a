"""All steps of one batch in their order; each is idempotent, so a batch killed anywhere is simply done again.

Bronze comes first and fixes what the batch is; the books come last and say that it is whole.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from jobs.definitions.events.form import Form
from jobs.lake.ingest.accounts import Accounts, add_quarantined, bring_home, taken_in, write_touched
from jobs.lake.ingest.batch import Batch
from jobs.lake.ingest.booking import write_books
from jobs.lake.ingest.contests import Contest, contest
from jobs.lake.ingest.control import Statement, retractions, statements, words, write_watermarks
from jobs.lake.ingest.forms import OUTPUTS
from jobs.lake.ingest.ids import Ids, ids_of
from jobs.lake.ingest.refusals import write_quarantine
from jobs.lake.ingest.retracting import retracted, usurped
from jobs.lake.ingest.sequences import write_sequences
from jobs.lake.ingest.writing import write_entities, write_facts
from jobs.lake.kill_points import reach
from jobs.lake.topics import CONTROL, ENTITIES, FACTS

KILL_POINTS = (
    "ingest.before_bronze",
    "ingest.after_bronze",
    *(f"ingest.after_{topic}" for topic in (*FACTS, *ENTITIES)),
    "ingest.after_quarantine",
    "ingest.after_touched",
    "ingest.after_watermarks",
    "ingest.before_books",
    "ingest.after_book_hours",
    "ingest.after_books",
)


@dataclass(frozen=True)
class Done:
    """What a batch did: its books and the (table, day)s it touched."""

    ingest_seq: int
    books: list[dict[str, Any]]
    touched: list[tuple[str, date]]


def run_batch(batch: Batch, now: Callable[[], datetime], still_ours: Callable[[], None]) -> Done:
    """Take a landed batch to its end; `still_ours` raises when the lease was lost."""
    try:
        said = words(batch) if CONTROL in batch.topics else []
        taken_back = [each for each in retractions(said) if each.topic in batch.only]
        batch.take_back(retracted(batch, taken_back))
        if taken_back:
            batch.expect_few()
        contests = write_silver(batch)
        accounts = taken_in(batch, contests, Counter(line.kafka_partition for line in said))
        write_quarantine(batch, contests, missing(batch, accounts))
        reach("ingest.after_quarantine")
        return close(batch, accounts, statements(said), now(), still_ours)
    finally:
        batch.let_go()


def write_silver(batch: Batch) -> dict[str, Contest]:
    """Judge what is contested and write each topic's table."""
    outputs = [topic for topic in OUTPUTS if topic in batch.topics]
    contests: dict[str, Contest] = {}
    if not outputs:
        return contests
    ids = ids_of(batch, outputs)
    for topic in outputs:
        how = batch.form(topic)
        contests[topic] = judged(batch, how, ids)
        if how.role == "fact":
            write_facts(batch, how, contests[topic], ids.ranges[topic])
        else:
            write_entities(batch, how, contests[topic])
        reach(f"ingest.after_{topic}")
    return contests


def judged(batch: Batch, how: Form, ids: Ids) -> Contest:
    """Who was first of what is contested in a topic; where rows lose their place, what repeated them is judged anew."""
    found = contest(batch, how, ids)
    displaced = found.places(is_new=False) if found.displaced else None
    if displaced is None:
        return found
    batch.expect_few()
    again = usurped(batch, how.topic, displaced)
    if again is None:
        return found
    batch.take_back(batch.retracted | {how.topic: again})
    return contest(batch, how, ids_of(batch, [how.topic]))


def missing(batch: Batch, accounts: Accounts) -> dict[str, int]:
    """By topic, the records that neither made a row nor repeat one: they were refused."""
    found = {}
    for topic in batch.topics:
        accepted = accounts.of_topic(accounts.accepted, topic)
        repeated = accounts.of_topic(accounts.duplicate, topic) + accounts.of_topic(accounts.conflict, topic)
        found[topic] = batch.count(topic) - accepted - repeated
    return found


def close(
    batch: Batch, accounts: Accounts, said: list[Statement], at: datetime, still_ours: Callable[[], None]
) -> Done:
    """Write the ledger: touched days, watermarks, producers' numbers, and last the books."""
    add_quarantined(batch, accounts)
    bring_home(accounts, batch.plan.ranges)
    touched = write_touched(batch, accounts, at)
    reach("ingest.after_touched")
    write_watermarks(batch, said, at)
    reach("ingest.after_watermarks")
    write_sequences(batch, at, is_any_refused=accounts.is_any_refused)
    still_ours()
    reach("ingest.before_books")
    books = write_books(batch, accounts, at)
    reach("ingest.after_books")
    return Done(batch.seq, books, touched)
