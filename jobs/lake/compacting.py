"""Small files written together by delta-rs, and a look at whether somebody else did so at the same time.

Delta-rs lets a compaction through that comes after another of the same files, for neither changes rows: both stay, and
every row is there twice (tried with 1.6; a commit's transactions and `max_commit_retries` are not looked at either).
Who compacts holds a lease, and a lease may run out while its holder stands still; so the rows are counted afterwards.
"""

from typing import TYPE_CHECKING

from jobs.lake.errors import DamageError, WriteError
from jobs.lake.release_notes import noted

if TYPE_CHECKING:
    from deltalake import DeltaTable, WriterProperties

PAGE = "docs/runbooks/upkeep.md"


def write_together(
    table: str, delta: "DeltaTable", laid_out: "WriterProperties | None", note: str | None = None,
    target_bytes: int | None = None,
) -> int:  # fmt: skip
    """Write the small files of a table, as it is opened, together, by partition; how many went into larger ones.

    WriteError, and the table as before, where another did so at the same time.
    """
    done = delta.optimize.compact(
        target_size=target_bytes, max_concurrent_tasks=2, writer_properties=laid_out,
        commit_properties=noted(note) if note else None,
    )  # fmt: skip
    files = int(done["numFilesRemoved"])
    if files:
        _refuse_doubled(table, delta)
    return files


def _refuse_doubled(table: str, delta: "DeltaTable") -> None:
    """Take our commit, the one `delta` is at, back if it brought rows that the table had already."""
    from deltalake import CommitProperties, DeltaTable
    from deltalake.exceptions import CommitFailedError

    version = delta.version()
    before = DeltaTable(delta.table_uri, version=version - 1)
    if delta.count() == before.count():
        return
    try:
        delta.restore(version - 1, commit_properties=CommitProperties(max_commit_retries=0))
    except CommitFailedError as later:
        raise DamageError(
            f"{table}: version {version} holds rows twice, for two compactions ran at once, and others have written "
            f"since; go back to version {version - 1} by hand, see {PAGE}"
        ) from later
    raise WriteError(f"{table}: another wrote its small files together at the same time; ours is taken back")
