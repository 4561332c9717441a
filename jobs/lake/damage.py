"""A table's log that is hurt or out of reach, told as an error of ours by whoever opens it or writes to it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.lake.errors import DamageError, DiskError, ServiceError
from jobs.lake.room import REMEDY, is_full
from jobs.lake.scanning import is_local

PAINT = re.compile(r"\x1b\[[0-9;]*m")  # delta-rs paints its errors


@contextmanager
def damage_told(table: str) -> Iterator[None]:
    """DamageError, with where to look, for a log that cannot be read or gone on with.

    A conflict, rows that do not fit and a table that is not there are no damage, and stay what they are; nor is a full
    disk, which is a DiskError.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

    try:
        yield
    except (SchemaMismatchError, TableNotFoundError):
        raise
    except (CommitFailedError, OSError) as failed:
        if is_full(failed):
            raise DiskError(f"{table}: {REMEDY}") from failed
        raise
    except DeltaError as torn:
        if is_full(torn):
            raise DiskError(f"{table}: {REMEDY}") from torn
        said = str(torn).splitlines()[0]
        raise DamageError(
            f"{table}: its log cannot be read ({said}); `reelhouse doctor --lake` names the file and what to do, "
            "see docs/runbooks/lake.md"
        ) from torn


@contextmanager
def distance_told(table: str, path: str) -> Iterator[None]:
    """ServiceError, which names the table, for an object store that does not answer or lets nobody in."""
    try:
        yield
    except OSError as away:
        if is_local(path):
            raise
        lines = [PAINT.sub("", line).strip(" ↳") for line in str(away).splitlines()]
        said = ": ".join(dict.fromkeys([lines[0], lines[-1]]))  # between them, how it was tried
        remedy = "check REELHOUSE_LAKE_URI, the store's address and its keys (docs/deploying.md)"
        raise ServiceError(f"{table}: {path} cannot be reached ({said}); {remedy}") from away
