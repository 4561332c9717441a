"""Whether bronze and silver still hold what the books say: rows counted anew, by topic, before anything is released.

Of silver, sums over all batches are what holds: a row that an earlier arrival displaced, or that was taken back, is one
accepted less in a later line. By batch and partition the files of the batches since the last release are counted too,
where no row was displaced or taken back since.

What ingest overtakes is told as not counted, once: the next release counts all batches of it again, or is refused.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from time import sleep
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from jobs.lake.balance import first_of
from jobs.lake.errors import BooksError
from jobs.lake.ingest.counting import LOOK_BACK, OvertakenError, as_booked
from jobs.lake.ingest.progress import BOOKS, BRONZE, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import number_of
from jobs.lake.reconciliations import TABLE as RECONCILIATIONS
from jobs.lake.small_commits import note_of
from jobs.lake.staging import Line
from jobs.lake.topics import ENTITIES, FACTS
from jobs.lake.work import DISPLACED, RETRACTED

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

ROWS = "rows_of_batches"  # the equation's name
SHOWN = 5
WAITS = (1.0, 4.0)  # seconds between one look and the next: a batch that is begun may have ended by then
OVERTAKEN = "overtaken by batches"
log = logging.getLogger(__name__)
Place = tuple[int, str, int]  # batch, topic, partition
REMEDY = (
    "Nothing was released: rows came or went behind ingest's back. `reelhouse repair {0}` puts back what is missing; "
    "see docs/runbooks/books.md"
)
END_IT = (
    "Nothing was released: `reelhouse ingest` ends the batch that is begun, whose rows may be among those of others; "
    "see docs/runbooks/books.md"
)


def recounted(ledger: Ledger, inputs: Sequence[str], since: int, family: str = "") -> list[Line]:
    """Of bronze and each of the `inputs` that ingest writes, what the books say beside what is there.

    BooksError that names table, batch and both numbers for a difference, and for a table that was not counted for the
    last release of the `family` either; `since` is that one's newest batch.
    """
    topics = [table.partition(".")[2] for table in inputs if table.startswith("silver.")]
    topics = [topic for topic in topics if topic in (*FACTS, *ENTITIES)]
    if not topics:
        return []
    for wait in WAITS:
        try:
            return [count() for count in _counts(ledger, topics, since).values()]
        except OvertakenError as overtaken:
            log.warning("%s: ingest went on while it was counted against the books; once more", overtaken)
            sleep(wait)
    lines = [_told(table, count) for table, count in _counts(ledger, topics, since).items()]
    _refuse_again(ledger, lines, family)
    return lines


def _counts(ledger: Ledger, topics: Sequence[str], since: int) -> Mapping[str, Callable[[], Line]]:
    """Table → what counts it, by the books as they are now."""
    books = ledger.read(BOOKS, ["ingest_seq", "topic", "partition", "received", "accepted"])
    if not books.num_rows:
        return {}
    complete = pc.max(books["ingest_seq"]).as_py()
    new = books.filter(pc.field("ingest_seq") > since).to_pylist()
    lost = _losers(ledger, since) if new else set()
    counts = {BRONZE: partial(_bronze, ledger, new, topics, since, complete)}
    for topic in topics:
        mine = books.filter(pc.field("topic") == topic)
        is_by_batch = topic in FACTS and f"silver.{topic}" not in lost
        counts[f"silver.{topic}"] = partial(_silver, ledger, topic, mine, since, complete, is_by_batch=is_by_batch)
    return counts


def _told(table: str, count: Callable[[], Line]) -> Line:
    """What is counted, or that it is not, for ingest was quicker again."""
    try:
        return count()
    except OvertakenError:
        log.warning("%s: not counted against the books, %s", table, OVERTAKEN)
        return _line(table, 0, 0).model_copy(update={"not_compared": OVERTAKEN})


def _refuse_again(ledger: Ledger, lines: Sequence[Line], family: str) -> None:
    """BooksError where a table that is not counted was not for the last release of the family either."""
    uncounted = {line.table for line in lines if line.not_compared}
    mine = (pc.field("family") == family) & (pc.field("equation") == ROWS)
    told = ledger.read(RECONCILIATIONS, filter=mine).to_pylist() if uncounted else []
    last = max((row["release_id"] for row in told), key=number_of, default="")
    again = {row["table"] for row in told if row["release_id"] == last and row["not_compared"]} & uncounted
    if again:
        raise BooksError(
            f"{', '.join(sorted(again))}: {OVERTAKEN} whenever it was counted, as for {last}; no two releases in a row "
            f"go out uncounted. {END_IT}"
        )


def _silver(ledger: Ledger, topic: str, mine: "pa.Table", since: int, complete: int, *, is_by_batch: bool) -> Line:
    """Rows of a table of silver, by `mine` of the books: of new batches by partition, if asked; and of all."""
    table, delta = f"silver.{topic}", as_booked(ledger, f"silver.{topic}", complete)
    if is_by_batch:
        new = mine.filter(pc.field("ingest_seq") > since).to_pylist()
        _refuse(table, _differences(_said(new, [topic], "accepted"), _counted(delta, topic, since)))
    said, there = pc.sum(mine["accepted"]).as_py() or 0, delta.count() if delta else 0
    if said != there:
        booked = _said(mine.to_pylist(), [topic], "accepted")
        _refuse_total(table, said, there, _differences(booked, _counted(delta, topic, -1)))
    return _line(table, said, there)


def _bronze(ledger: Ledger, new: Sequence[dict[str, Any]], topics: Sequence[str], since: int, complete: int) -> Line:
    """The records of the new batches: received, and there; of topics that the family is made from.

    Only of batches whose landing the log still tells, so that it would tell of a repair, too: one proves itself, and
    may have had to accept a loss.
    """
    delta = as_booked(ledger, BRONZE, complete) if new else None
    commits = delta.history(LOOK_BACK) if delta else []
    landed = {note_of(commit).get("ingest_seq") for commit in commits}
    said = _said([line for line in new if line["ingest_seq"] in landed], topics, "received")
    there = Counter[Place]()
    for row in _asked(delta, 'ingest_seq, topic, "partition" AS part, COUNT(*) AS n', since):
        if row["topic"] in topics and row["ingest_seq"] in landed:
            there[row["ingest_seq"], row["topic"], row["part"]] = row["n"]
    wrong = list(_differences(said, there))
    if wrong and not _is_repaired(commits):
        _refuse(BRONZE, wrong)
    return _line(BRONZE, said.total(), there.total())


def _said(books: Sequence[dict[str, Any]], topics: Sequence[str], fate: str) -> Counter[Place]:
    """What the books say, by batch, topic and partition."""
    said: Counter[Place] = Counter()
    for line in books:
        if line["topic"] in topics:
            said[line["ingest_seq"], line["topic"], line["partition"]] += line[fate]
    return said


def _counted(delta: "DeltaTable | None", topic: str, since: int) -> Counter[Place]:
    """The rows of a table of silver, by batch and partition."""
    found: Counter[Place] = Counter()
    for row in _asked(delta, "ingest_seq, kafka_partition AS part, COUNT(*) AS n", since):
        found[row["ingest_seq"], topic, row["part"]] += row["n"]
    return found


def _asked(delta: "DeltaTable | None", columns: str, since: int) -> list[dict[str, Any]]:
    """Counts of the rows of batches after `since`, from the files that the log says may have some."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    if delta is None:
        return []
    names = ", ".join(name.split(" AS ")[0] for name in columns.split(", ")[:-1])
    query = f"SELECT {columns} FROM t WHERE ingest_seq > {int(since)} GROUP BY {names}"  # noqa: S608
    return list(pa.table(QueryBuilder().register("t", delta).execute(query).read_all()).to_pylist())


def _losers(ledger: Ledger, since: int) -> set[str]:
    """The tables of which a batch since then took rows away again, of whatever batch they were."""
    told = (pc.field("ingest_seq") > since) & pc.field("cause").isin([DISPLACED, RETRACTED])
    return {*ledger.read(TOUCHED, ["table"], told)["table"].to_pylist()}


def _is_repaired(commits: Sequence[dict[str, Any]]) -> bool:
    """Whether rows were put back, or given up, in any of these."""
    from jobs.lake.remaking.wounds import is_of_repair

    return any(is_of_repair(commit) for commit in commits)


def _differences(said: Counter[Place], there: Counter[Place]) -> Iterator[str]:
    """Where two counts differ, in words, by batch."""
    for place in sorted({*said, *there}):
        if said[place] != there[place]:
            batch, topic, partition = place
            yield f"batch {batch}, {topic}/{partition}: the books say {said[place]}, there are {there[place]}"


def _refuse(table: str, differences: "Iterator[str] | Sequence[str]") -> None:
    """BooksError for the first of them, if there are any."""
    wrong = list(differences)
    if wrong:
        raise BooksError(f"{table}: {first_of(wrong)}. {REMEDY.format(table)}")


def _refuse_total(table: str, said: int, there: int, differences: Iterator[str]) -> None:
    """BooksError for the sum, with the batches it may come from: a displaced row counts in another than its own."""
    wrong = list(differences)
    places = f" (perhaps {' | '.join(wrong[:SHOWN])})" if wrong else ""
    raise BooksError(
        f"{table}: the books say {said} rows of all batches, there are {there}{places}. {REMEDY.format(table)}"
    )


def _line(table: str, said: int, there: int) -> Line:
    return Line(table=table, equation=ROWS, part="", slice=None, input_rows=said, left_out={}, output_rows=there)
