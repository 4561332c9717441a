"""The read side: open, query, explain and report on published tables."""
