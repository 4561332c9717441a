"""Lineage: what each run read and wrote, in the words of OpenLineage, from what the contracts declare."""
