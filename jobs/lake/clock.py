"""The one clock of the platform, for leases and stamps of work done; no transform may read it."""

from datetime import UTC, datetime

from jobs.lake.errors import UsageError


def now() -> datetime:
    """The present instant, UTC."""
    return datetime.now(UTC)


def instant(text: str, option: str = "--at") -> datetime:
    """The instant an option names, "" meaning now; UsageError when it is none, or has no zone."""
    try:
        moment = datetime.fromisoformat(text) if text else now()
    except ValueError as wrong:
        raise UsageError(f"{option} {text!r} is no instant; write it as 2026-11-23T03:00:00Z") from wrong
    if moment.tzinfo is None:
        raise UsageError(f"{option} {text!r} has no zone; end it in Z or an offset such as +08:00")
    return moment.astimezone(UTC)
