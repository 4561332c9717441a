"""Backfills: a table made anew slice by slice beside the live run, and published by one swap (docs/backfills.md)."""
