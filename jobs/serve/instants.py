"""Points in time as people write them on the command line."""

from datetime import datetime

from jobs.lake.errors import UsageError


def as_of_instant(text: str) -> datetime | None:
    """The instant an `--as-of` names, None for the empty text; UsageError for one that leaves room for doubt."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"--as-of {text!r} is no instant; write it as 2026-11-23T03:00:00Z") from wrong
    if moment is not None and moment.tzinfo is None:
        raise UsageError(f"--as-of {text!r} has no zone; end it in Z or an offset such as +08:00")
    return moment
