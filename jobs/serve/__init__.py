"""The read side: open, query, explain and report on published tables."""

from jobs.serve.tables import open_table

__all__ = ["open_table"]
