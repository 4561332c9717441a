"""What the tables that ingest writes owe: by the books, which batches changed each of them, and how many rows it has.

Read once for all tables. Only what is sure is owed: a batch may have changed a table though its books do not say so.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc

from jobs.lake.ailments import BY_BATCH
from jobs.lake.erasures import Erasure, erasures
from jobs.lake.errors import DamageError
from jobs.lake.hours import UNREAD
from jobs.lake.ingest.counting import OvertakenError, as_booked
from jobs.lake.ingest.progress import BOOKS, BRONZE, NOTHING, QUARANTINE, TOUCHED, committed, of_batch
from jobs.lake.ledger import Ledger
from jobs.lake.topics import CONTROL, FACTS

if TYPE_CHECKING:
    import pyarrow as pa

WATERMARKS = "ops.watermarks"
COMPLETE = "complete"  # the kind of what is said on `control` that makes a watermark
COLUMNS = ("ingest_seq", "topic", "accepted", "quarantined", "reason_counts")


def is_of_bronze(table: str) -> bool:
    """Whether batches make the table of bronze alone; the books tell themselves how far they are."""
    return table in BY_BATCH and table != BOOKS


@dataclass(frozen=True)
class Owed:
    """What the books, the touched days and the erasures say of a lake; `books` are read first of all.

    So whatever they say was there before; what is younger, of a batch at work, is not looked at.
    """

    ledger: Ledger
    books: "pa.Table"
    only: int | None = None  # of this batch alone

    @cached_property
    def complete(self) -> int:
        """The newest batch that ingest has put in the books."""
        newest = pc.max(self.books["ingest_seq"]).as_py() if self.books.num_rows else NOTHING
        return min(int(newest), committed(self.ledger, BOOKS))  # there may be younger ones by now

    @cached_property
    def touched(self) -> "pa.Table":
        """The lines of `ops.touched` that tell of rows."""
        if self.only is None:
            return self.ledger.read(TOUCHED, ["ingest_seq", "table"], pc.field("rows") > 0)
        told = self.ledger.read(TOUCHED, ["ingest_seq", "table", "rows"], of_batch(self.only))
        return told.filter(pc.field("rows") > 0)

    @cached_property
    def erased(self) -> dict[int, Erasure]:
        """The erasures, by batch."""
        return erasures(self.ledger)

    def batches(self, table: str, since: int) -> set[int]:
        """The booked batches after `since` that have changed the table for sure."""
        found = took_rows(self, table) | {line["ingest_seq"] for line in self._changing(table, since)}
        return {number for number in found if since < number <= self.complete and self.only in (None, number)}

    def missing(self, table: str) -> set[int]:
        """Those of which the table has no commit, nor of a later one."""
        return set() if table == BOOKS else self.batches(table, committed(self.ledger, table))

    def rows(self, table: str) -> int | None:
        """How many rows the table has by the books; None where they do not say."""
        topic, fate = BY_BATCH.get(table, ("", ""))[::-1]
        if not table.startswith("silver.") or not fate:
            return None
        lines = self.books if not topic else self.books.filter(pc.field("topic") == topic)
        return pc.sum(lines[fate]).as_py() or 0

    def lacking(self, table: str) -> int:
        """How many rows less than that it has; more do not count, nor what is not known while ingest goes on."""
        said = self.rows(table) if self.complete > NOTHING else None
        if not said:
            return 0
        try:
            delta = as_booked(self.ledger, table, self.complete)
        except OvertakenError:
            return 0
        return max(0, said - (delta.count() if delta else 0))

    def _changing(self, table: str, since: int) -> Iterator[dict[str, Any]]:
        """The lines of the books that tell of a change."""
        lines = self.books.filter(pc.field("ingest_seq") > since)
        if table == QUARANTINE:
            yield from (line for line in lines.to_pylist(maps_as_pydicts="strict") if is_refusing(line))
        elif table == TOUCHED:  # a change of a user or thing touches no day where no fact is of its time
            yield from lines.filter(pc.field("topic").isin([*FACTS]) & (pc.field("accepted") != 0)).to_pylist()
        elif table == WATERMARKS:
            told = lines.filter((pc.field("topic") == CONTROL) & (pc.field("accepted") > 0)).to_pylist()
            spoken = speaking(self.ledger, {line["ingest_seq"] for line in told})
            yield from (line for line in told if line["ingest_seq"] in spoken)
        else:
            topic = BY_BATCH[table][1]
            yield from lines.filter((pc.field("topic") == topic) & (pc.field("accepted") != 0)).to_pylist()


def owed(ledger: Ledger, only: int | None = None) -> Owed:
    """What is owed, by the books as they are now; of one batch `only`, whatever became of the lines of others."""
    lines = ledger.read(BOOKS, list(COLUMNS), None if only is None else of_batch(only))
    return Owed(ledger, lines, only)


def refuse_gone(ledger: Ledger) -> None:
    """DamageError for tables that had rows and are not there, or that lack the newest batch of the books.

    What comes would be judged without those, and once another batch is there nobody would find them missing. Costs a
    look at each log; all of the books are read only where a table has no commit of ingest.
    """
    bare = [table for table in BY_BATCH if table.startswith("silver.") and committed(ledger, table) == NOTHING]
    told = _all_owed(ledger) if bare else None
    gone = [table for table in bare if told and told.missing(table)]
    if gone:
        raise DamageError(
            f"{', '.join(gone)}: is not there any more, and what comes would be judged without its rows; nothing was "
            f"taken in. Run `reelhouse repair {' '.join(gone)}` (docs/runbooks/lake.md)"
        )
    newest = owed(ledger, committed(ledger, BOOKS))
    lacking = [table for table in BY_BATCH if newest.missing(table)]
    if lacking:
        raise DamageError(
            f"{', '.join(lacking)}: lacks batch {newest.complete}, of which the books tell; nothing was taken in, or "
            f"it would be buried. Run `reelhouse repair {' '.join(lacking)}` (docs/runbooks/lake.md)"
        )


def _all_owed(ledger: Ledger) -> Owed | None:
    """What is owed of all batches; None where lines of old ones are hurt: doctor names those, ingest needs none."""
    import pyarrow as pa

    try:
        return owed(ledger)
    except (pa.ArrowException, OSError):
        return None


def is_refusing(line: dict[str, Any]) -> bool:
    """Whether a line of the books tells that quarantine was changed, be it that one reason took another's place."""
    reasons = line["reason_counts"] or {}
    return bool(line["quarantined"]) or any(n for reason, n in reasons.items() if reason not in UNREAD)


def took_rows(owed: Owed, table: str) -> set[int]:
    """The batches that changed a table though they may have brought it no row: displaced, taken back, or erased."""
    changed = set(owed.touched.filter(pc.field("table") == table)["ingest_seq"].to_pylist())
    for number, erasure in owed.erased.items():
        hit = set(erasure.rows)
        if table in hit or (table == TOUCHED and hit - {QUARANTINE}):
            changed.add(number)
    return changed


def speaking(ledger: Ledger, batches: Collection[int]) -> set[int]:
    """Those of the batches in which somebody says on `control` how far a topic is complete.

    A statement that takes a replay back counts as accepted, too, and makes no watermark.
    """
    if not batches:
        return set()
    wanted = [[("ingest_seq", "in", sorted(batches)), ("topic", "=", CONTROL)]]
    place = ["kafka_topic_id", "kafka_partition", "kafka_offset"]
    refused = set(_places(ledger.read(QUARANTINE, place, wanted), place))
    in_bronze = ["topic_id", "partition", "offset"]
    said = ledger.read(BRONZE, ["ingest_seq", *in_bronze, "value"], wanted)
    told = zip(said["ingest_seq"].to_pylist(), _places(said, in_bronze), said["value"].to_pylist(), strict=True)
    return {batch for batch, where, body in told if where not in refused and kind_of(body) == COMPLETE}


def kind_of(body: bytes | None) -> object:
    """What kind of statement a record of `control` is; None for what is none."""
    try:
        said = json.loads(body or b"")
    except ValueError:
        return None
    return said.get("kind") if isinstance(said, dict) else None


def _places(rows: "pa.Table", names: Iterable[str]) -> list[tuple[Any, ...]]:
    return list(zip(*(rows[name].to_pylist() for name in names), strict=True))
