"""The one clock of the platform, for leases and stamps of work done; no transform may read it."""

from datetime import UTC, date, datetime

from jobs.lake.errors import UsageError

FIRST_YEAR, LAST_YEAR = 1980, 2200  # of made events: some come earlier, and their times are no longer than 64 bits


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


def made_day(text: str, option: str, example: str) -> date:
    """The day on which made or moved events end; UsageError when it is none, or so far off that none could be told."""
    try:
        day = date.fromisoformat(text)
    except ValueError as bad:
        raise UsageError(f"{option} {text}: no day; write it as {example}") from bad
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise UsageError(f"{option} {text}: write a day of the years {FIRST_YEAR} to {LAST_YEAR}, such as {example}")
    return day
