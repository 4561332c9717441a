"""Plain sinks beside ours: the same records and the same faults, and who loses or doubles what."""
