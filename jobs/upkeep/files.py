"""Files of one table: few and large enough, none that no reader can still need. Without Spark, by delta-rs."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from jobs.lake.compacting import write_together
from jobs.lake.contracts import contract
from jobs.lake.errors import UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.look_ups import writer_properties
from jobs.lake.noting import refuse_changed

if TYPE_CHECKING:
    from deltalake import DeltaTable

TARGET_BYTES = 128 * 1024 * 1024
SMALL_BYTES = TARGET_BYTES // 4
MANY_SMALL = 8  # fewer small files are not worth a commit
KEEP_DAYS = 7
READING = timedelta(hours=2)  # as long a query, or as far behind a stream, as we count on
RUNBOOK = "docs/runbooks/upkeep.md"


@dataclass(frozen=True)
class Tidied:
    """What upkeep did to one table, and its statistics afterwards."""

    table: str
    version: int
    files: int
    bytes: int
    rows: int
    compacted: int
    vacuumed: int

    def as_row(self) -> dict[str, Any]:
        """For the terminal and the result file."""
        return asdict(self)


def compact(ledger: Ledger, table: str, many: int = MANY_SMALL, note: str | None = None) -> int:
    """Write small files together, from `many` of them, by partition, as one commit; how many went into larger ones.

    The commit has the `note`. DamageError where one is no longer what was noted of it.
    """
    delta = ledger.open(table)
    if len([size for size in _sizes(delta) if size < SMALL_BYTES]) < many:
        return 0
    refuse_changed(ledger, table, TARGET_BYTES)
    laid_out = writer_properties(contract(table, ledger.settings.schemas_dir).looked_up_by, delta.count())
    return write_together(table, delta, laid_out, note, TARGET_BYTES)


def vacuum(delta: "DeltaTable", keep: timedelta, versions: Sequence[int] = ()) -> int:
    """Remove files that no version younger than `keep`, and none of `versions`, needs; how many went.

    Files of writes that were killed go too, once they are as old.
    """
    hours = int(keep.total_seconds() // 3600)
    wanted = sorted(set(versions)) or None
    gone = delta.vacuum(hours, dry_run=True, enforce_retention_duration=False, full=True, keep_versions=wanted)
    if gone:  # a vacuum that removes nothing would still commit
        delta.vacuum(hours, dry_run=False, enforce_retention_duration=False, full=True, keep_versions=wanted)
    return len(gone)


def refresh_log(ledger: Ledger, table: str) -> None:
    """A checkpoint of the newest version, so that readers replay nothing; expired log files go."""
    delta = ledger.open(table)
    delta.create_checkpoint()
    delta.cleanup_metadata()


def statistics(ledger: Ledger, table: str, compacted: int, vacuumed: int) -> Tidied:
    """Files, bytes and rows of the newest version, from the log alone."""
    delta = ledger.open(table)
    sizes = _sizes(delta)
    return Tidied(table, delta.version(), len(sizes), sum(sizes), delta.count(), compacted, vacuumed)


def refuse_too_young(
    keep: timedelta, oldest_reader: datetime | None, now: datetime, who: str = "a run at work",
    remedy: str = "wait until it has ended",
) -> None:  # fmt: skip
    """UsageError when files that a reader may still need would go; the message says who reads, and the remedy."""
    if oldest_reader is not None and now - keep > oldest_reader:
        raise UsageError(
            f"--keep-days: {who} reads what was there at {oldest_reader:%Y-%m-%d %H:%M} UTC; "
            f"keep more days, or {remedy}; see {RUNBOOK}"
        )


def refuse_readers(keep: timedelta, *, is_despite: bool) -> None:
    """UsageError for a time so short that whoever reads now, which nothing books, may lose files under their query."""
    if keep < READING and not is_despite:
        raise UsageError(
            f"--keep-days {keep / timedelta(days=1):g}: whoever reads now may lose the files of their query; keep at "
            f"least {READING / timedelta(days=1):.4f} ({READING / timedelta(hours=1):g} hours), or add "
            f"--despite-readers when nobody reads; see {RUNBOOK}"
        )


def _sizes(delta: "DeltaTable") -> list[int]:
    """Bytes of each file."""
    import pyarrow as pa

    actions = pa.table(delta.get_add_actions(flatten=True))
    sizes: list[int] = actions["size_bytes"].to_pylist()
    return sizes
