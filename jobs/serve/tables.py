"""Published tables for readers: which version of each they may see, and opening one in the library they like."""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from jobs.lake.contracts import Contract, all_tables, contract
from jobs.lake.errors import UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, published, releases
from jobs.lake.publications import as_of as known_at
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.serve.asked import lake_settings

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Library = Literal["duckdb", "arrow", "polars", "pandas"]
LIBRARIES = ("duckdb", "arrow", "polars", "pandas")


def open_table(
    name: str,
    as_: Library = "duckdb",
    *,
    version: int | None = None,
    release: str | None = None,
    settings: Settings | None = None,
) -> "duckdb.DuckDBPyRelation | pa.Table | pl.DataFrame | pd.DataFrame":
    """The published rows of a public table, as of its newest release, or of one that is named.

    Times are UTC. A `version` that no release ever published is refused: its rows have passed no check.
    """
    settings = settings or lake_settings()
    if as_ not in LIBRARIES:
        raise UsageError(f"as_={as_!r} is no library we open tables in; write one of {', '.join(LIBRARIES)}")
    chosen = published_version(settings, name, version, release)
    if as_ == "duckdb":
        from jobs.serve.duck import connect

        return connect(settings, {name: chosen}).sql(f"FROM {name}")
    rows = arrow_of(settings, name, chosen)
    if as_ == "arrow":
        return rows
    return rows.to_pandas() if as_ == "pandas" else _polars(rows)


def arrow_of(settings: Settings, name: str, version: int) -> "pa.Table":
    """All rows of one version as Arrow, typed by the contract; UsageError when upkeep has removed its files."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        rows = dataset_of(DeltaTable(settings.table_path(name), version=version)).to_table()
    except (DeltaError, FileNotFoundError) as gone:
        raise UsageError(f"{name}: files of version {version} are gone; ask for a younger release") from gone
    return rows.cast(_nullable(contract(name, settings.schemas_dir), rows.schema.names))


def published_version(
    settings: Settings, name: str, version: int | None, release: str | None, as_of: datetime | None = None
) -> int:
    """The version readers see, or saw at `as_of`; UsageError when there is none, or it never was released."""
    lines = _publications(settings, name)
    if release is not None:
        lines = [line for line in lines if release in (line.release_id, line.release_id.rsplit("-", 1)[1].lstrip("0"))]
    if version is not None:
        lines = [line for line in lines if line.version == version]
    if as_of is not None:
        lines = [line for line in lines if line.known_from <= as_of]
    if lines:
        return lines[-1].version
    when = f" as of {as_of.isoformat()}" if as_of else ""
    wanted = f" in release {release}" * (release is not None) + f" at version {version}" * (version is not None)
    raise UsageError(f"{name} is not published{wanted}{when}; `reelhouse tables` lists what is")


def readable(settings: Settings, *, with_silver: bool = False, as_of: datetime | None = None) -> dict[str, int]:
    """Every table a query may name → its version (-1: promised, and not written yet), all of one moment.

    `as_of` gives the gold tables as they were published then. Silver is personal, and there on request only.
    """
    ledger = Ledger(settings)
    layers = ("ops.", "gold.", "silver.") if with_silver else ("ops.", "gold.")
    published = {table: line.version for table, line in published_at(ledger, as_of).items()}
    found = [table for table in all_tables(settings.schemas_dir) if table.startswith(layers)]
    public = public_tables(settings)
    return {table: published[table] if table in public else ledger.version(table)
            for table in found if table in published or table not in public}  # fmt: skip


def published_at(ledger: Ledger, as_of: datetime | None) -> dict[str, Publication]:
    """Table → its publication then: the newest release of each family that was known."""
    if as_of is None:
        return published(ledger)
    then = known_at(releases(ledger), as_of).values()
    return {table: line for release in then for table, line in release.tables.items()}


def public_tables(settings: Settings) -> tuple[str, ...]:
    """Every table that is published with a family, layer by layer."""
    return tuple(table for table in all_tables(settings.schemas_dir) if contract(table, settings.schemas_dir).family)


def list_tables(settings: Settings) -> list[dict[str, Any]]:
    """One row per public table: grain, rows, how fresh, and the verdict of its last checks."""
    lines = published(Ledger(settings))
    return [_described(contract(table, settings.schemas_dir), lines.get(table)) for table in public_tables(settings)]


def _described(promised: Contract, line: Publication | None) -> dict[str, Any]:
    """A table as a row; what only a release knows is null before the first."""
    facts = {"table": promised.name, "family": promised.family, "grain": " x ".join(promised.grain)}
    return facts | {
        "rows": line.rows if line else None,
        "complete_until": line.watermark if line else None,
        "released_at": line.known_from if line else None,
        "verdict": line.verdict if line else "not published",
        "release": line.release_id if line else None,
        "version": line.version if line else None,
        "meaning": promised.description,
    }


def _publications(settings: Settings, name: str) -> list[Publication]:
    """Every publication of one table, the newest last; UsageError when no such table is public."""
    public = public_tables(settings)
    if name not in public:
        raise UsageError(f"{name!r} is no public table; write one of {', '.join(public)}")
    found = releases(Ledger(settings), contract(name, settings.schemas_dir).family)
    return [release.tables[name] for release in found if name in release.tables]


def _polars(rows: "pa.Table") -> "pl.DataFrame":
    import polars as pl

    made = pl.from_arrow(rows)
    assert isinstance(made, pl.DataFrame)  # a table never becomes a series
    return made


def _nullable(promised: Contract, names: list[str]) -> "pa.Schema":
    """The promised types in the file's order, every column nullable as readers find them."""
    import pyarrow as pa

    schema = promised.arrow_schema()
    return pa.schema([schema.field(name).with_nullable(True) for name in names if name in schema.names])
