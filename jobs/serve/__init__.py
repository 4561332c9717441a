"""The read side: open, query, explain and report on published tables."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.serve.labelled import profiles_as_of
    from jobs.serve.tables import open_table

__all__ = ["open_table", "profiles_as_of"]
PLACES = {"open_table": "jobs.serve.tables", "profiles_as_of": "jobs.serve.labelled"}


def __getattr__(name: str) -> Any:
    """`jobs.serve.open_table`, imported when it is first asked for: commands must list themselves quickly."""
    if name in PLACES:
        return getattr(import_module(PLACES[name]), name)
    raise AttributeError(f"module 'jobs.serve' has no attribute {name!r}")
