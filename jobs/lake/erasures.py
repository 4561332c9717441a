"""Erasures: who is not to be found here any more, as the lake may know it, which is by marks (`ops.erasures`).

A mark is a keyed hash of a pseudonym. With the key and an id one finds the erasure of a person again; from an erasure
nobody finds the person. docs/erasure.md says what is erased and what is not.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.topics import ERASED_HEADER

if TYPE_CHECKING:
    import pyarrow as pa

TABLE = "ops.erasures"
PERSONAL = ("views", "likes", "orders", "users")  # topics whose records are of a person, by their key
FOR_EVER = datetime.max.replace(tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Erasure:
    """One erasure as it was asked for, and what it found; it travels in the commit that empties the records."""

    marks: tuple[str, ...]
    erased_at: datetime
    is_later_refused: bool
    asked_by: str
    why: str
    records: Mapping[str, int]
    rows: Mapping[str, int]

    def note(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self) | {"marks": list(self.marks), "erased_at": self.erased_at.isoformat()}

    @classmethod
    def from_note(cls, note: Mapping[str, Any]) -> Self:
        """The erasure that `note` was made of."""
        at = datetime.fromisoformat(note["erased_at"])
        return cls(**{**note, "marks": tuple(note["marks"]), "erased_at": at})


def erasures(ledger: Ledger) -> dict[int, Erasure]:
    """Batch → the erasure that it was; one that is not at its end may be missing."""
    rows = ledger.read(TABLE).to_pylist(maps_as_pydicts="strict")
    return {row["ingest_seq"]: _erasure(row) for row in rows}


def horizons(ledger: Ledger) -> dict[str, datetime]:
    """Mark → until when records that happened are erased; FOR_EVER where later ones are as well."""
    return told_until(erasures(ledger).values())


def told_until(every: Iterable[Erasure]) -> dict[str, datetime]:
    """The same of these erasures."""
    found: dict[str, datetime] = {}
    for each in every:
        until = FOR_EVER if each.is_later_refused else each.erased_at
        found |= {mark: max(until, found.get(mark, until)) for mark in each.marks}
    return found


def marks_beside(ledger: Ledger, marks: Iterable[str]) -> set[str]:
    """The other marks of erasures that have one of these: of a person's devices, which nothing else tells any more."""
    wanted, told = set(marks), ledger.read(TABLE, ["marks"])["marks"].to_pylist()
    return {mark for each in told if wanted & set(each) for mark in each} - wanted


def batches(ledger: Ledger) -> list[int]:
    """The batches that were erasures and took rows; one that found none has changed nothing that was published."""
    lines = ledger.read(TABLE, ["ingest_seq", "row_counts"]).to_pylist()
    return [line["ingest_seq"] for line in lines if line["row_counts"]]


def is_any_between(ledger: Ledger, since: int, until: int) -> bool:
    """Whether one of them is newer than `since` and no newer than `until`."""
    return any(since < seq <= until for seq in batches(ledger))


def newest_seq(ledger: Ledger) -> int:
    """The newest of them, -1 for none."""
    return max(batches(ledger), default=-1)


def mark_in(headers: Iterable[Mapping[str, Any]] | None) -> tuple[str, int] | None:
    """The mark in the headers of an erased record, and the batch that erased it; None for other headers."""
    told = list(headers or ())
    if len(told) != 1 or told[0]["key"] != ERASED_HEADER:
        return None
    mark, _, batch = bytes(told[0]["value"] or b"").decode(errors="replace").rpartition(":")
    return (mark, int(batch)) if batch.isascii() and batch.isdigit() else None


def erased_records(ledger: Ledger, marks: Iterable[str], ingest_seq: int | None = None) -> list[dict[str, Any]]:
    """The records of bronze that bear one of the marks, of one batch or of all; `erased_by` is the batch that did it.

    Records that only look like it, because somebody sent them so, bear no mark of ours.
    """
    import pyarrow.compute as pc

    wanted = set(marks)
    if not wanted:
        return []
    empty = pc.field("key").is_null() & pc.field("value").is_null()
    chosen = empty if ingest_seq is None else empty & (pc.field("ingest_seq") == ingest_seq)
    columns = ["topic", "topic_id", "partition", "offset", "ingest_seq", "headers"]
    told = ((row, mark_in(row.pop("headers"))) for row in ledger.read(BRONZE, columns, chosen).to_pylist())
    return [row | {"erased_by": mark[1]} for row, mark in told if mark and mark[0] in wanted]


def is_erased(keys: Any, texts: "pa.Array", happened: "pa.Array", arrived: "pa.Array", until: Mapping[str, int]) -> Any:
    """Arrow: of each raw id the mark by which its record is erased, or null; times and `until` (by mark) in µs.

    A record is erased that arrived, or happened, by the time of the erasure.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    told = pc.dictionary_encode(texts)
    marks = [_known(keys, raw_id, until) for raw_id in told.dictionary.to_pylist()]
    mark = pa.array(marks, pa.string()).take(told.indices)
    limit = pa.array([until.get(each or "") for each in marks], pa.int64()).take(told.indices)
    is_old = pc.or_kleene(pc.less_equal(arrived, limit), pc.less_equal(happened, limit))
    return pc.if_else(pc.fill_null(is_old, False), mark, pa.scalar(None, pa.string()))


def _known(keys: Any, raw_id: str | None, until: Mapping[str, int]) -> str | None:
    """The mark of an id that is among those erased."""
    if raw_id is None:
        return None
    marks = (keys.mark(pseudonym) for pseudonym in keys.pseudonyms(raw_id))
    return next((mark for mark in marks if mark in until), None)


def _erasure(row: Mapping[str, Any]) -> Erasure:
    """An erasure as the table has it."""
    asked = {name: row[name] for name in ("erased_at", "is_later_refused", "asked_by", "why")}
    return Erasure(tuple(row["marks"]), **asked, records=row["record_counts"], rows=row["row_counts"])


def micros(at: datetime) -> int:
    """µs since 1970."""
    return (at - EPOCH) // timedelta(microseconds=1)
