"""What is left to do for a family of gold tables, read from the ledger alone: no Spark, a tenth of a second.

An event only wakes a run; what there is to do is every touched day not yet released, read here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Literal

from jobs.lake.contracts import contract
from jobs.lake.holds import Hold, binding, owed, retried_at
from jobs.lake.ingest.counting import OvertakenError, as_booked
from jobs.lake.ingest.progress import BOOKS, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, families, inputs_of, latest
from jobs.lake.settings import Settings
from jobs.lake.watermark import watermark

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

FACT_TOPICS = ("views", "likes", "orders")
# An earlier arrival has the row's place; a replay was undone; a person was erased.
DISPLACED, RETRACTED, ERASED = "displaced", "retracted", "erased"
Mode = Literal["replace_slices", "merge", "replace_all", "append"]


@dataclass(frozen=True)
class Work:
    """One run's task. `full`: everything anew; else the touched `days`, and what the watermark's growth ripened.

    Rows with `ingest_seq_from` < ingest_seq <= `ingest_seq_to` are new since the last release; later ones are not for
    this run. Days in `held` failed a check before: what is staged for them is left out of the release. `is_anew`: full,
    and nothing of the family's own tables is read, as where their files are hurt. `rows` are to be looked at,
    of `all_rows` that ever came.
    """

    family: str
    run_id: str
    full: bool
    days: tuple[date, ...]
    ingest_seq_from: int
    ingest_seq_to: int
    watermark: datetime | None
    last_watermark: datetime | None
    known_from: datetime
    silver_versions: dict[str, int]
    held: tuple[date, ...] = ()
    is_anew: bool = False
    rows: int = 0
    all_rows: int = 0


@dataclass(frozen=True)
class Staged:
    """What a family wants written to one table; `slices` names the days that `replace_slices` replaces.

    `removed` (merge only) holds the keys of rows that are no more: the grain's columns, none of them in `frame`.
    """

    table: str
    frame: "DataFrame"
    mode: Mode
    slices: tuple[date, ...] = ()
    removed: "DataFrame | None" = None


@dataclass(frozen=True)
class Pending:
    """What is unreleased of one family, as of now."""

    family: str
    days: tuple[date, ...]
    held: tuple[date, ...]
    is_held: bool
    reasons: tuple[str, ...]
    rows: int
    ingest_seq_from: int
    ingest_seq_to: int
    watermark: datetime | None
    last: Release | None = field(repr=False)

    @property
    def is_waiting(self) -> bool:
        """Whether a run would find something to do."""
        return bool(self.reasons) and not self.is_held


@dataclass(frozen=True)
class Reach:
    """How far a family's inputs reach; `released_at` is that of the other families' tables it reads, if it does."""

    ingest_seq: int
    watermark: datetime | None
    released_at: datetime | None = None

    def is_renewed(self, last: Release) -> bool:
        """Whether the other families were released, or rolled back, since `last` was built on them."""
        if self.released_at is None:
            return False
        now, then = (self.ingest_seq, self.watermark), (last.facts.ingest_seq, last.facts.watermark)
        return now != then or self.released_at > last.facts.known_from


def pending(ledger: Ledger, settings: Settings, family: str) -> Pending:
    """Compare what came in with what was released; `reasons` is empty when nothing is left to do."""
    last = latest(ledger, family)
    inputs = inputs_of(family, settings.schemas_dir)
    reach = reach_of(ledger, settings, inputs)
    seq_from, seq_to = (last.facts.ingest_seq if last else -1), reach.ingest_seq
    touched, rows = touched_days(ledger, inputs, seq_from, seq_to)
    holds = owed(ledger, family)
    versions = contract_versions(family, settings)
    newest = newest_seqs(ledger, inputs, min((hold.ingest_seq for hold in holds), default=seq_to), seq_to)
    bound = binding(holds, newest, versions, retried_at(ledger, family))
    held = {hold.day for hold in bound if hold.day}
    due = {hold.day for hold in holds if hold.day} | touched
    is_held = any(hold.day is None for hold in bound)
    return Pending(
        family=family,
        days=tuple(sorted(due - held)),
        held=tuple(sorted(held)),
        is_held=is_held,
        reasons=tuple(_reasons(due - held, last, reach, versions, _owed_whole(holds, bound))),
        rows=rows,
        ingest_seq_from=seq_from,
        ingest_seq_to=seq_to,
        watermark=reach.watermark,
        last=last,
    )


def plan(
    ledger: Ledger,
    settings: Settings,
    family: str,
    full: bool,
    days: Sequence[date],
    at: datetime,
    run_id: str = "by-hand",
) -> Work | None:
    """The work of a run; None when there is none. Days given by hand are done whether touched, held or neither."""
    left = pending(ledger, settings, family)
    if not (full or days or left.is_waiting):
        return None
    _, all_rows = touched_days(ledger, inputs_of(family, settings.schemas_dir), -1, left.ingest_seq_to)
    return Work(
        family=family,
        run_id=run_id,
        full=full or "contract" in left.reasons,
        days=tuple(sorted(set(days))) or left.days,
        # Days asked for by hand are not all that waits: the release then books no progress (seq stays).
        ingest_seq_from=left.ingest_seq_from,
        ingest_seq_to=left.ingest_seq_from if days and left.last else left.ingest_seq_to,
        watermark=left.last.facts.watermark if days and left.last else left.watermark,
        last_watermark=left.last.facts.watermark if left.last else None,
        known_from=at,
        silver_versions=input_versions(ledger, settings, family),
        held=() if days else left.held,
        rows=all_rows if full or days or "contract" in left.reasons or not left.last else left.rows,
        all_rows=all_rows,
    )


def reach_of(ledger: Ledger, settings: Settings, inputs: Sequence[str]) -> Reach:
    """How far `inputs` reach: as far as ingest is complete; where other families' tables are read, as they are."""
    read = read_families(inputs, settings)
    if not read:
        topics = [name.split(".", 1)[1] for name in inputs if name.split(".", 1)[1] in FACT_TOPICS]
        return Reach(complete_seq(ledger), watermark(ledger, topics))
    lines = [release.facts for release in (latest(ledger, family) for family in read) if release]
    if len(lines) < len(read):
        return Reach(-1, None)
    levels = [line.watermark for line in lines]
    level = None if None in levels else min(filter(None, levels))
    return Reach(min(line.ingest_seq for line in lines), level, max(line.known_from for line in lines))


def read_families(inputs: Sequence[str], settings: Settings) -> tuple[str, ...]:
    """The families whose published tables are among the inputs."""
    found = {contract(table, settings.schemas_dir).family for table in inputs}
    return tuple(sorted(family for family in found if family))


def complete_seq(ledger: Ledger) -> int:
    """The newest complete ingest batch; books are written last, so a batch in them is whole. -1 before the first."""
    import pyarrow.compute as pc

    newest: int | None = pc.max(ledger.read(BOOKS, ["ingest_seq"])["ingest_seq"]).as_py()
    return -1 if newest is None else newest


def touched_days(ledger: Ledger, inputs: Sequence[str], seq_from: int, seq_to: int) -> tuple[set[date], int]:
    """Business days of `inputs` with rows of the batches in (seq_from, seq_to], and how many rows."""
    import pyarrow.compute as pc

    new = (pc.field("ingest_seq") > seq_from) & (pc.field("ingest_seq") <= seq_to) & pc.field("table").isin(inputs)
    lines = ledger.read(TOUCHED, ["day", "rows"], new)
    return set(lines["day"].unique().to_pylist()), pc.sum(lines["rows"]).as_py() or 0


def displaced_rows(ledger: Ledger, inputs: Sequence[str], seq_from: int, seq_to: int) -> list[dict[str, Any]]:
    """(day, subject, cause) of the rows of `inputs` that batches in (seq_from, seq_to] took away, perhaps repeated."""
    import pyarrow.compute as pc

    new = (pc.field("ingest_seq") > seq_from) & (pc.field("ingest_seq") <= seq_to) & pc.field("table").isin(inputs)
    found = ledger.read(
        TOUCHED, ["day", "subject", "cause"], new & pc.field("cause").isin([DISPLACED, RETRACTED, ERASED])
    )
    return list(found.to_pylist())


def newest_seqs(ledger: Ledger, inputs: Sequence[str], seq_from: int, seq_to: int) -> dict[date | None, int]:
    """Day → newest batch after `seq_from` that touched it; under None the newest of all."""
    import pyarrow.compute as pc

    new = (pc.field("ingest_seq") > seq_from) & (pc.field("ingest_seq") <= seq_to) & pc.field("table").isin(inputs)
    lines = ledger.read(TOUCHED, ["day", "ingest_seq"], new)
    by_day = lines.group_by("day").aggregate([("ingest_seq", "max")]).to_pylist()
    newest: dict[date | None, int] = {row["day"]: row["ingest_seq_max"] for row in by_day}
    return newest | {None: max(newest.values())} if newest else {}


def contract_versions(family: str, settings: Settings) -> dict[str, str]:
    """Public table → version of its contract, now."""
    tables = families(settings.schemas_dir)[family]
    return {table: contract(table, settings.schemas_dir).version for table in tables}


def input_versions(ledger: Ledger, settings: Settings, family: str) -> dict[str, int]:
    """Input table → its Delta version as the complete batches left it, -1 for none yet.

    Of another family's table it is the published one.
    """
    inputs, complete = inputs_of(family, settings.schemas_dir), complete_seq(ledger)
    released = [latest(ledger, name) for name in read_families(inputs, settings)]
    public = {table: version for release in released if release for table, version in release.versions.items()}
    return {
        table: public.get(table, -1)
        if contract(table, settings.schemas_dir).family
        else booked_version(ledger, table, complete)
        for table in inputs
    }


def booked_version(ledger: Ledger, table: str, complete: int) -> int:
    """The version of a table as the batches up to `complete` left it, -1 for none.

    What a batch that is begun has written is in no books yet. The newest, where the log does not tell.
    """
    try:
        delta = as_booked(ledger, table, complete)
    except OvertakenError:
        return ledger.version(table)
    return -1 if delta is None else delta.version()


def _owed_whole(holds: Sequence[Hold], bound: Sequence[Hold]) -> bool:
    """Whether a failure of a whole table waits to be made good and is lifted."""
    return any(hold.day is None for hold in holds) and all(hold.day is not None for hold in bound)


def _reasons(
    days: set[date], last: Release | None, reach: Reach, versions: Mapping[str, str], is_retried: bool
) -> list[str]:
    """Why there is something to do, in words of one kind each."""
    if reach.ingest_seq < 0:
        return []
    found = ["touched"] * bool(days) + ["retried"] * is_retried
    if last is None:
        return found or ["first"]
    if reach.watermark is not None and (last.facts.watermark is None or reach.watermark > last.facts.watermark):
        found.append("watermark")
    if reach.is_renewed(last):
        found.append("upstream")
    if {table: line.contract_version for table, line in last.tables.items()} != dict(versions):
        found.append("contract")
    return found
