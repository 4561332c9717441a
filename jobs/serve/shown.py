"""What a query sees of ledger tables that hold text out of records as it came: names of ours, of others the form.

The rows keep it, for by a producer's id its numbers are put together over batches; only a view of them is shown.
"""

from typing import TYPE_CHECKING

from jobs.definitions.shown import safe_name, safe_source
from jobs.lake.ingest.progress import SEQUENCES

if TYPE_CHECKING:
    import duckdb

# Any text may name a producer, so that it is one is told by a good record alone, which may come later.
COLUMNS = {
    SEQUENCES: """
        * REPLACE (
            shown_source(source_uri) AS source_uri,
            CASE WHEN producer_id IN (SELECT producer_id FROM {rows} WHERE record_count > refused_count)
                THEN producer_id ELSE shown_name(producer_id) END AS producer_id
        )"""
}


def shown_columns(connection: "duckdb.DuckDBPyConnection", table: str, rows: str) -> str:
    """What a view of the table selects from `rows`; the functions it calls are made known to the connection."""
    if table not in COLUMNS:
        return "*"
    for name, function in (("shown_source", safe_source), ("shown_name", safe_name)):
        connection.create_function(name, function, ["VARCHAR"], "VARCHAR")  # type: ignore[list-item, arg-type]
    return COLUMNS[table].format(rows=rows)
