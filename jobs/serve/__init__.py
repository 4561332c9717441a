"""The read side: open, query, explain and report on published tables."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.serve.tables import open_table

__all__ = ["open_table"]


def __getattr__(name: str) -> Any:
    """`jobs.serve.open_table`, imported when it is first asked for: commands must list themselves quickly."""
    if name == "open_table":
        from jobs.serve.tables import open_table

        return open_table
    raise AttributeError(f"module 'jobs.serve' has no attribute {name!r}")
