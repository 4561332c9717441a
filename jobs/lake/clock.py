"""The one clock of the platform, for leases and stamps of work done; no transform may read it."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present instant, UTC."""
    return datetime.now(UTC)
