"""Counts over one batch of a table, by delta-rs: tens of milliseconds where a Spark job costs half a second."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jobs.lake.errors import DamageError
from jobs.lake.ingest.landings import TABLE as LANDINGS
from jobs.lake.ingest.landings import kept
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BOOKS, BRONZE, progress
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import is_local, local_files
from jobs.lake.small_commits import note_of
from jobs.lake.topics import CANARY_KEY

if TYPE_CHECKING:
    from deltalake import DeltaTable

Counts = dict[tuple[str, int], int]  # topic, partition
Hour = datetime | None  # the UTC hour in which events happened; None where that is not told
LOOK_BACK = 200  # commits of bronze between a batch and its resumption, upkeep's among them


class OvertakenError(Exception):
    """Ingest has gone on, and a table's log no longer says how it was left by the batches that were read of."""


def rows_of(ledger: Ledger, table: str, columns: str, ingest_seq: int, group: str = "") -> list[dict[str, Any]]:
    """`SELECT columns` of the rows that a batch wrote to a table; `columns` and `group` are our own SQL."""
    import pyarrow as pa
    from deltalake import QueryBuilder

    if not ledger.exists(table):
        return []
    grouped = f" GROUP BY {group}" if group else ""
    query = f"SELECT {columns} FROM t WHERE ingest_seq = {int(ingest_seq)}{grouped}"  # noqa: S608
    found = QueryBuilder().register("t", ledger.open(table)).execute(query)
    return list(pa.table(found.read_all()).to_pylist())


def hour_of(column: str) -> str:
    """SQL for the UTC hour of an instant; delta-rs's own function for it fails at years far from ours."""
    from jobs.definitions.clock import HOUR  # loads PySpark, which who only counts does without

    at = f"arrow_cast({column}, 'Int64')"
    return f"arrow_cast({at} - (({at} % {HOUR}) + {HOUR}) % {HOUR}, 'Timestamp(Microsecond, Some(\"UTC\"))')"


def received(ledger: Ledger, ingest_seq: int) -> tuple[Counts, Counts]:
    """Records of a batch in bronze, by topic and partition; and how many of them are canaries, where there are any."""
    canary = f"CASE WHEN \"key\" = X'{CANARY_KEY.hex()}' THEN 1 ELSE 0 END"
    columns = f'topic, "partition", COUNT(*) AS n, SUM({canary}) AS canaries'
    lines = {
        (line["topic"], line["partition"]): line
        for line in rows_of(ledger, BRONZE, columns, ingest_seq, 'topic, "partition"')
    }
    canaries = {place: line["canaries"] for place, line in lines.items() if line["canaries"]}
    return {place: line["n"] for place, line in lines.items()}, canaries


def landed_plan(ledger: Ledger, ingest_seq: int) -> Plan:
    """What the batch had planned to read, as its commit to bronze says, or what was kept of it when the log was cut."""
    landing = _landing(ledger, ingest_seq)
    plan = Plan.from_note(note_of(landing)) if landing else kept(ledger, {ingest_seq}).get(ingest_seq)
    if plan is None:
        raise DamageError(
            f"{BRONZE}: neither its log nor {LANDINGS} has the plan of batch {ingest_seq}; put {LANDINGS} or {BOOKS} "
            "back from a copy (docs/runbooks/lake.md)"
        )
    return plan


def begun_at(ledger: Ledger) -> datetime | None:
    """When the batch landed that is begun and not ended, None for no such: it reads tables as they were before it."""
    reached = progress(ledger)
    if not reached.is_unfinished:
        return None
    # One that the log has no more (of books put back from a copy) is older than all that it has.
    landing = _landing(ledger, reached.complete + 1) or ledger.open(BRONZE).history()[-1]
    return datetime.fromtimestamp(landing["timestamp"] / 1000, UTC)


def _landing(ledger: Ledger, ingest_seq: int) -> dict[str, Any] | None:
    """The commit to bronze of a batch; None when the log has been cut since."""
    bronze = ledger.open(BRONZE)
    for depth in (1, LOOK_BACK, None):  # as a rule it is the newest commit; of lost books it may be any
        for commit in bronze.history(depth):
            if note_of(commit).get("ingest_seq") == ingest_seq:
                return commit
    return None


def version_before(ledger: Ledger, table: str, app: str, ingest_seq: int) -> int:
    """The table's version before a batch wrote to it: the newest one if it has not yet; -1 for no table."""
    before = table_before(ledger, table, app, ingest_seq)
    return -1 if before is None else before.version()


def table_before(ledger: Ledger, table: str, app: str, ingest_seq: int) -> "DeltaTable | None":
    """The table, opened at that version; None for no table, DamageError where upkeep has removed what it needs."""
    if not ledger.exists(table):
        return None
    delta = ledger.open(table)
    written = delta.transaction_version(app)
    if written is None or written < ingest_seq:  # 0 is a batch like any other
        return delta
    commits = (each for each in delta.history(LOOK_BACK) if note_of(each).get("ingest_seq") == ingest_seq)
    newest = next(commits, None)
    if newest is None or not _is_readable(delta, int(newest["version"]) - 1):
        raise DamageError(
            f"{table}: batch {ingest_seq} is to be done again, and upkeep has removed the version that it is judged "
            f"against; nothing was written. If the batch had ended, `reelhouse repair {BOOKS}` writes down that it did "
            "(docs/runbooks/lake.md)"
        )
    return delta


def as_booked(ledger: Ledger, table: str, complete: int) -> "DeltaTable | None":
    """The table as the batches up to `complete` left it, for what later ones have begun is in no books that were read.

    None for no table; OvertakenError where its log does not tell.
    """
    from deltalake.exceptions import DeltaError

    if not ledger.exists(table):
        return None
    delta = ledger.open(table)
    written = delta.transaction_version(APP)
    if written is None or written <= complete:
        return delta
    later: int | None = None
    for commit in delta.history(LOOK_BACK):  # the newest first
        number = note_of(commit).get("ingest_seq")
        if number is not None and number <= complete:
            break
        later = int(commit["version"]) if number is not None else later
    if later == 0:
        return None
    if later is None or delta.version() - later >= LOOK_BACK - 1:
        raise OvertakenError(table)
    try:
        delta.load_as_version(later - 1)
    except DeltaError as gone:
        raise OvertakenError(table) from gone
    return delta


def _is_readable(delta: "DeltaTable", version: int) -> bool:
    """Bring an opened table to that version, if its log and its files are still there."""
    from deltalake.exceptions import DeltaError

    try:
        delta.load_as_version(version)
    except DeltaError:
        return False
    return not is_local(delta.table_uri) or all(file.exists() for file in local_files(delta))
