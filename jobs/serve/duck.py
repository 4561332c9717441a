"""DuckDB over the lake: no server, no network, nothing to write to.

Each table is a view on one pinned Delta version; the extension that reads Delta comes from its wheel, never from a
download. What a query may open is closed down to the folders of the tables it was given.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

import duckdb

from jobs.lake.ledger import Ledger
from jobs.lake.scanning import dataset_of, is_local
from jobs.lake.settings import Settings
from jobs.serve.asked import quoted
from jobs.serve.shown import MASKED, no_rows, shown_rows

MEMORY_LIMIT = "2GB"
OFFLINE: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
}


def connect(settings: Settings, versions: Mapping[str, int], *, as_it_came: bool = False) -> duckdb.DuckDBPyConnection:
    """A connection that sees exactly these tables at these versions (-1: an empty table), and locked settings.

    `as_it_came`: text out of refused records is not masked, for whoever masks it before it is shown.
    """
    connection = duckdb.connect(config=OFFLINE)
    connection.execute(f"LOAD '{extension()}'")
    masked = [table for table in versions if table in MASKED and not as_it_came]
    for table, version in sorted(versions.items()):
        if table in masked:
            connection.register(known_as(table), no_rows(settings, table, version))
        else:
            _add_rows(connection, settings, table, version)
        _add_view(connection, table)
    for statement in lockdown(settings, sorted(versions.keys() - masked)):
        connection.execute(statement)
    return connection


def bring_masked(
    connection: duckdb.DuckDBPyConnection, settings: Settings, versions: Mapping[str, int], text: str
) -> None:
    """Fill those masked tables that a query may name, which are empty until then; a full one is left as it is."""
    for table in versions.keys() & MASKED:
        name = table.partition(".")[2]
        if name in text.lower() and not connection.sql(f'SELECT 1 FROM "{known_as(table)}" LIMIT 1').fetchone():  # noqa: S608
            connection.register(known_as(table), shown_rows(settings, table, versions))


def extension() -> Path:
    """The Delta extension's file in its wheel."""
    import duckdb_extension_delta  # type: ignore[import-untyped]

    root = Path(duckdb_extension_delta.__file__).parent
    return root / "extensions" / f"v{duckdb.__version__}" / "delta.duckdb_extension"


def known_as(table: str) -> str:
    """What a connection calls a table's rows, under its view."""
    return table.replace(".", "__")


def lockdown(settings: Settings, tables: Iterable[str]) -> list[str]:
    """Statements after which a query reads these tables, and nothing else of this machine."""
    folders = ", ".join(quoted(f"{settings.table_path(table)}/") for table in tables)
    return [
        "SET TimeZone = 'UTC'",
        f"SET memory_limit = '{MEMORY_LIMIT}'",
        f"SET threads = {settings.spark_cores}",
        f"SET temp_directory = {quoted(str(settings.home / 'tmp' / 'duckdb'))}",
        f"SET allowed_directories = [{folders}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ]


def _add_rows(connection: duckdb.DuckDBPyConnection, settings: Settings, table: str, version: int) -> None:
    """The rows of a table at its pinned version, under a name of our own."""
    source, path = known_as(table), settings.table_path(table)
    if version < 0:
        connection.register(source, Ledger(settings).schema(table).empty_table())
    elif not is_local(path):  # DuckDB reads object stores by an extension that is not in the wheel
        from deltalake import DeltaTable

        connection.register(source, dataset_of(DeltaTable(path, version=version)))
    else:
        connection.execute(f"ATTACH {quoted(path)} AS {source} (TYPE delta, VERSION {version}, PIN_SNAPSHOT)")


def _add_view(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """A view named as the table."""
    layer, name = table.split(".")
    connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{layer}"')
    connection.execute(f'CREATE VIEW "{layer}"."{name}" AS FROM "{known_as(table)}"')
