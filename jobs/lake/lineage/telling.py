"""A run tells that it began, and how it ended."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.lake.clock import now
from jobs.lake.errors import QualityError, ReelhouseError
from jobs.lake.holds import CHECKS
from jobs.lake.ledger import Ledger

if TYPE_CHECKING:
    from jobs.lake.lineage.declared import Declared
    from jobs.lake.lineage.events import Told

T = TypeVar("T")


def tell(
    ledger: Ledger, moves: "Declared", command: str, run_id: str, started_at: datetime,
    work: Callable[[], Mapping[str, Any]],
) -> Mapping[str, Any]:  # fmt: skip
    """Do `work` between its START and its COMPLETE or FAIL; whatever ends it is told, and raised on."""
    from jobs.lake.lineage.events import Told
    from jobs.lake.lineage.sink import emit

    settings = ledger.settings
    told = Told(settings, moves, run_id, command, started_at)
    emit(settings, told.started())
    try:
        ended = work()
    except BaseException as error:
        # the words of others' errors may quote rows
        message = error.told if isinstance(error, ReelhouseError) else type(error).__name__
        checks = _checks(ledger, told) if isinstance(error, QualityError) else []
        emit(settings, told.failed(now(), message, checks))
        raise
    emit(settings, told.completed(now(), ended.get("tables", ()), _checks(ledger, told)))
    return ended


def tell_of(
    ledger: Ledger, moves: "Declared", command: str, run_id: str, work: Callable[[], T],
    wrote: Callable[[T], Sequence[Mapping[str, Any]]] = lambda _: (),
) -> T:  # fmt: skip
    """The same for a command that is not booked as a run; `wrote` names the tables, versions and rows of its result."""
    ended: list[T] = []

    def kept() -> Mapping[str, Any]:
        ended.append(work())
        return {"tables": wrote(ended[0])}

    tell(ledger, moves, command, run_id, now(), kept)
    return ended[0]


def _checks(ledger: Ledger, told: "Told") -> list[dict[str, Any]]:
    """What the run's checks found, if it is one that checks."""
    import pyarrow.compute as pc

    if told.command not in ("check", "release --retry"):
        return []
    rows: list[dict[str, Any]] = ledger.read(CHECKS, filter=pc.field("run_id") == told.run_id).to_pylist()
    return rows
