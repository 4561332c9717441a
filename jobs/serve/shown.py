"""What a query sees of tables that hold text out of refused records as it came: names of ours, of others the form.

The rows keep it, for by a producer's id its numbers are put together over batches; only a view of them is shown.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from jobs.definitions.shown import safe_name, safe_source
from jobs.lake.ingest.progress import QUARANTINE, SEQUENCES

if TYPE_CHECKING:
    import duckdb

MASKED = (SEQUENCES, QUARANTINE)
SOURCE = "shown_source(source_uri) AS source_uri"
# Any text may name a producer, so that it is one is told by a good record alone, which may come later.
PRODUCER = """CASE WHEN producer_id IN (SELECT producer_id FROM {runs} WHERE record_count > refused_count)
    THEN producer_id ELSE shown_name(producer_id) END AS producer_id"""
NAMELESS = "shown_name(producer_id) AS producer_id"


def raw(table: str) -> str:
    """What a connection calls a table's rows as they are."""
    layer, name = table.split(".")
    return f'"{layer}__{name}"'


def know_masks(connection: "duckdb.DuckDBPyConnection") -> None:
    """Make the functions known that the views of masked tables call."""
    for name, function in (("shown_source", safe_source), ("shown_name", safe_name)):
        connection.create_function(name, function, ["VARCHAR"], "VARCHAR")


def shown_columns(connection: "duckdb.DuckDBPyConnection", table: str, tables: Collection[str]) -> str:
    """What a view of the table selects from its rows, of a connection that has these tables."""
    if table not in MASKED:
        return "*"
    there = connection.sql(f"FROM {raw(table)}").columns
    producer = PRODUCER.format(runs=raw(SEQUENCES)) if SEQUENCES in tables else NAMELESS
    told = [SOURCE, *([producer] if "producer_id" in there else [])]  # an older quarantine has no producers
    return f"* REPLACE ({', '.join(told)})"
