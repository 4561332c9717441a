"""The producer library: validated, idempotent, spooled."""
