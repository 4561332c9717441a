"""Compaction, vacuum and statistics."""
