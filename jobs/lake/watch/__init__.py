"""Watching: what is measured, beside what is promised, and who hears of it."""
