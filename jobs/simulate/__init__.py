"""A seeded world that misbehaves on purpose and keeps the truth."""
