"""Whether bronze and silver still hold what the books say: rows counted anew, by topic, before anything is released.

Of silver, sums over all batches are what holds: a row that an earlier arrival displaced, or that was taken back, is one
accepted less in a later line. By batch and partition the files of the batches since the last release are counted too,
where no row was displaced or taken back since.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jobs.lake.errors import BooksError
from jobs.lake.ingest.counting import LOOK_BACK, table_before
from jobs.lake.ingest.progress import APP, BOOKS, BRONZE, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.staging import Line
from jobs.lake.topics import ENTITIES, FACTS
from jobs.lake.work import DISPLACED, RETRACTED

if TYPE_CHECKING:
    from deltalake import DeltaTable

ROWS = "rows_of_batches"  # the equation's name
SHOWN = 5
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
    books = ledger.read(BOOKS, ["ingest_seq", "topic", "partition", "received", "accepted"]).to_pylist()
    if not topics or not books:
        return []
    complete = max(line["ingest_seq"] for line in books)
    new = [line for line in books if line["ingest_seq"] > since]
    lines = [_bronze(ledger, new, topics, since, complete)]
    lost = _losers(ledger, since) if new else set()
    for topic in topics:
        table, mine = f"silver.{topic}", [line for line in books if line["topic"] == topic]
        delta = table_before(ledger, table, APP, complete + 1)  # what a batch has begun is in no books yet
        if topic in FACTS and table not in lost:
            _refuse(table, _differences(_said(new, [topic], "accepted"), _counted(delta, topic, since)))
        said, there = sum(line["accepted"] for line in mine), delta.count() if delta else 0
        if said != there:
            _refuse_total(
                table, said, there, _differences(_said(mine, [topic], "accepted"), _counted(delta, topic, -1))
            )
        lines.append(_line(table, said, there))
    return lines


def missing_rows(ledger: Ledger, table: str) -> int:
    """How many rows a table of silver lacks by the books; 0 for one that lacks none, or is no topic's."""
    topic = table.removeprefix("silver.")
    if topic not in (*FACTS, *ENTITIES) or not ledger.exists(table):
        return 0
    books = ledger.read(BOOKS, ["ingest_seq", "topic", "accepted"]).to_pylist()
    complete = max((line["ingest_seq"] for line in books), default=-1)
    delta = table_before(ledger, table, APP, complete + 1)
    said: int = sum(line["accepted"] for line in books if line["topic"] == topic)
    return max(0, said - (delta.count() if delta else 0))


def _bronze(ledger: Ledger, new: Sequence[dict[str, Any]], topics: Sequence[str], since: int, complete: int) -> Line:
    """The records of the new batches: received, and there; of topics that the family is made from."""
    said, there = _said(new, topics, "received"), Counter[Place]()
    delta = table_before(ledger, BRONZE, APP, complete + 1) if new else None
    for row in _asked(delta, 'ingest_seq, topic, "partition" AS part, COUNT(*) AS n', since):
        if row["topic"] in topics:
            there[row["ingest_seq"], row["topic"], row["part"]] = row["n"]
    wrong = list(_differences(said, there))
    if wrong and not _was_repaired(delta):  # a repair proves itself, and may have had to accept a loss
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
    import pyarrow.compute as pc

    told = (pc.field("ingest_seq") > since) & pc.field("cause").isin([DISPLACED, RETRACTED])
    return {*ledger.read(TOUCHED, ["table"], told)["table"].to_pylist()}


def _was_repaired(delta: "DeltaTable | None") -> bool:
    """Whether rows of the table were put back, or given up, of late."""
    from jobs.lake.remaking.wounds import is_of_repair

    return delta is not None and any(is_of_repair(commit) for commit in delta.history(LOOK_BACK))


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
        more = f" | and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise BooksError(f"{table}: {' | '.join(wrong[:SHOWN])}{more}. {REMEDY.format(table)}")


def _refuse_total(table: str, said: int, there: int, differences: Iterator[str]) -> None:
    """BooksError for the sum, with the batches it may come from: a displaced row counts in another than its own."""
    wrong = list(differences)
    places = f" (perhaps {' | '.join(wrong[:SHOWN])})" if wrong else ""
    raise BooksError(
        f"{table}: the books say {said} rows of all batches, there are {there}{places}. {REMEDY.format(table)}"
    )


def _line(table: str, said: int, there: int) -> Line:
    return Line(table=table, equation=ROWS, part="", slice=None, input_rows=said, left_out={}, output_rows=there)
