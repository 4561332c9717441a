"""Kafka → bronze → silver, batch by batch; the tables themselves say how far it has come (docs/adr/0007)."""
