"""Rows of hurt data files, made again from where they came from, and put in their place (docs/adr/0023)."""
