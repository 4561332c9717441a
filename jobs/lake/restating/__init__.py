"""Restatements: every change of a published number after its first release, and its causes, in `ops.restatements`."""
