"""A table's log that is hurt, told as an error of ours by whoever opens it or writes to it."""

from collections.abc import Iterator
from contextlib import contextmanager

from jobs.lake.errors import DamageError


@contextmanager
def damage_told(table: str) -> Iterator[None]:
    """DamageError, with where to look, for a log that cannot be read or gone on with.

    A conflict, rows that do not fit and a table that is not there are no damage, and stay what they are.
    """
    from deltalake.exceptions import CommitFailedError, DeltaError, SchemaMismatchError, TableNotFoundError

    try:
        yield
    except (CommitFailedError, SchemaMismatchError, TableNotFoundError):
        raise
    except DeltaError as torn:
        said = str(torn).splitlines()[0]
        raise DamageError(
            f"{table}: its log cannot be read ({said}); `reelhouse doctor --lake` names the file and what to do, "
            "see docs/runbooks/lake.md"
        ) from torn
