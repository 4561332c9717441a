"""Whether bronze and silver still hold what the books say: rows counted anew, by topic, before anything is released.

Of silver, sums over all batches are what holds: a row that an earlier arrival displaced, or that was taken back, is one
accepted less in a later line. By batch and partition the files of the batches since the last release are counted too,
where no row was displaced or taken back since.
"""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from jobs.lake.balance import first_of
from jobs.lake.errors import BooksError
from jobs.lake.ingest.counting import LOOK_BACK, OvertakenError, as_booked
from jobs.lake.ingest.progress import BOOKS, BRONZE, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.small_commits import note_of
from jobs.lake.staging import Line
from jobs.lake.topics import ENTITIES, FACTS
from jobs.lake.work import DISPLACED, RETRACTED

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROWS = "rows_of_batches"  # the equation's name
SHOWN = 5
TRIES = 3
log = logging.getLogger(__name__)
Place = tuple[int, str, int]  # batch, topic, partition
REMEDY = (
    "Nothing was released: rows came or went behind ingest's back. `reelhouse repair {0}` puts back what is missing; "
    "see docs/runbooks/books.md"
)


def recounted(ledger: Ledger, inputs: Sequence[str], since: int) -> list[Line]:
    """Of bronze and each of the `inputs` that ingest writes, what the books say beside what is there.

    BooksError that names table, batch and both numbers for a difference; `since` is the last release's newest batch.
    """
    topics = [table.partition(".")[2] for table in inputs if table.startswith("silver.")]
    topics = [topic for topic in topics if topic in (*FACTS, *ENTITIES)]
    for _ in range(TRIES if topics else 0):
        try:
            return _recounted(ledger, topics, since)
        except OvertakenError as overtaken:
            log.warning("%s: not counted against the books, ingest went on meanwhile", overtaken)
    return []


def _recounted(ledger: Ledger, topics: Sequence[str], since: int) -> list[Line]:
    books = ledger.read(BOOKS, ["ingest_seq", "topic", "partition", "received", "accepted"])
    if not books.num_rows:
        return []
    complete = pc.max(books["ingest_seq"]).as_py()
    new = books.filter(pc.field("ingest_seq") > since).to_pylist()
    sums = books.group_by("topic").aggregate([("accepted", "sum")]).to_pydict()
    accepted = dict(zip(sums["topic"], sums["accepted_sum"], strict=True))
    lines = [_bronze(ledger, new, topics, since, complete)]
    lost = _losers(ledger, since) if new else set()
    for topic in topics:
        table, said = f"silver.{topic}", accepted.get(topic, 0)
        delta = as_booked(ledger, table, complete)
        if topic in FACTS and table not in lost:
            _refuse(table, _differences(_said(new, [topic], "accepted"), _counted(delta, topic, since)))
        there = delta.count() if delta else 0
        if said != there:
            mine = books.filter(pc.field("topic") == topic).to_pylist()
            _refuse_total(
                table, said, there, _differences(_said(mine, [topic], "accepted"), _counted(delta, topic, -1))
            )
        lines.append(_line(table, said, there))
    return lines


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
