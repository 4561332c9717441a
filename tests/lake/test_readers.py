"""Spark, DuckDB, delta-rs and Polars read the same rows from every public table, and from nothing unpublished."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.column_types import ColumnType
from jobs.lake.contracts import Contract, all_tables, contract
from jobs.lake.errors import QueryError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, families, publish, release_id
from jobs.lake.settings import ROOT, Settings
from jobs.lake.tables import Lake
from jobs.serve import open_table
from jobs.serve.query import answer
from jobs.serve.tables import readable

PUBLIC = [table for table in all_tables(ROOT / "schemas") if contract(table, ROOT / "schemas").family]
FIRST = datetime(2026, 11, 22, 23, 59, 59, 999999, tzinfo=UTC)
BEYOND_READERS = ("deletionVectors", "columnMapping", "v2Checkpoint", "typeWidening", "variantType")

EDGES = {
    "string": ("k1:ümlaut-商-🛒", "", 'it is "quoted", twice\n'),
    "bigint": (2**63 - 1, -(2**63), 0),
    "int": (2**31 - 1, -(2**31), 0),
    "double": (0.1, -1e300, 5e-324),
    "boolean": (True, False, True),
    "binary": (b"\x00", b"", b"\xff"),
    "date": (date(2026, 11, 22), date(1970, 1, 1), date(9999, 12, 31)),
    "timestamp": (FIRST, datetime(1970, 1, 1, tzinfo=UTC), datetime(2262, 4, 11, 1, 2, 3, 4, tzinfo=UTC)),
}


def sample(kind: ColumnType, number: int) -> Any:
    """A value of the type, different for each number, at the edges of what the type holds."""
    parts = [part for _, part in kind.children]
    if kind.kind == "decimal":
        return Decimal((0, (9,) * kind.precision, -kind.scale)) if number % 3 else Decimal(0)
    if kind.kind == "array":
        return [[sample(parts[0], number), sample(parts[0], number + 1)], [], None][number % 3]
    if kind.kind == "map":
        return {sample(parts[0], number): sample(parts[1], number)}
    if kind.kind == "struct":
        return {name: sample(part, number) for name, part in kind.children}
    return EDGES[kind.kind][number % 3]


def rows_of(promised: Contract) -> list[dict[str, Any]]:
    """Four rows with distinct grains: full ones, and one whose optional columns are all null."""
    rows = []
    for number in range(4):
        row: dict[str, Any] = {}
        for column in promised.columns:
            value = sample(column.kind, number)
            if column.name in promised.grain and column.type == "string":
                value = f"{value}{number}"
            if column.required:
                row[column.name] = value if value is not None else []
            else:
                row[column.name] = None if number == 3 else value
        rows.append(row)
    return rows


@pytest.fixture(scope="module")
def settings(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake in which every public table is published, with rows of every type it has."""
    settings = Settings(home=tmp_path_factory.mktemp("home"), spark_remote="", spark_master="")
    lake, ledger = Lake(settings, spark), Ledger(settings)
    for table in PUBLIC:
        promised = contract(table, settings.schemas_dir)
        rows = pa.Table.from_pylist(rows_of(promised), schema=nullable(promised.arrow_schema()))
        lake.append(table, spark.createDataFrame(rows).coalesce(1), app="test", version=1)
    for family, tables in families(settings.schemas_dir).items():
        publish(ledger, family, 1, [line(ledger, family, table) for table in tables])
    for table in PUBLIC:  # a commit that no release published
        ledger.open(table).delete()
    return settings


def line(ledger: Ledger, family: str, table: str) -> Publication:
    return Publication(
        release_id=release_id(family, 1), family=family, table=table, version=ledger.version(table), slices=(),
        ingest_seq=1, watermark=None, contract_version="1.0.0", verdict="passed", run_id="run-1", known_from=FIRST,
        rows=4,
    )  # fmt: skip


def plain(value: Any) -> Any:
    """One form for what readers call a map, a struct or an instant in different ways."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, list | tuple):
        parts = [plain(part) for part in value]
        pairs = bool(value) and all(isinstance(part, dict) and set(part) == {"key", "value"} for part in value)
        return [[part["key"], part["value"]] for part in parts] if pairs else parts
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    return value


def canonical(rows: pa.Table, names: tuple[str, ...]) -> list[str]:
    """Rows as sorted text, every digit of every value kept."""
    found = [[plain(row[name]) for name in names] for row in rows.to_pylist()]
    return sorted(json.dumps(row, default=repr, ensure_ascii=False) for row in found)


def by_spark(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return spark.read.format("delta").option("versionAsOf", 1).load(settings.table_path(table)).toArrow()


def by_polars(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return pl.read_delta(settings.table_path(table), version=1).to_arrow()


def by_delta_rs(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return DeltaTable(settings.table_path(table), version=1).to_pyarrow_table()


def by_duckdb(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return open_table(table, "duckdb", settings=settings).to_arrow_table()


def by_arrow(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return open_table(table, "arrow", settings=settings)


def by_our_polars(spark: SparkSession, settings: Settings, table: str) -> pa.Table:
    return open_table(table, "polars", settings=settings).to_arrow()


READERS: list[Callable[[SparkSession, Settings, str], pa.Table]] = [
    by_spark, by_polars, by_delta_rs, by_duckdb, by_arrow, by_our_polars,
]  # fmt: skip


@pytest.mark.parametrize("table", PUBLIC)
def test_every_reader_gets_the_rows_that_were_published(settings, spark, table):
    promised = contract(table, settings.schemas_dir)
    written = pa.Table.from_pylist(rows_of(promised), schema=nullable(promised.arrow_schema()))
    expected = canonical(written, promised.names)
    for reader in READERS:
        assert canonical(reader(spark, settings, table), promised.names) == expected, reader.__name__


@pytest.mark.parametrize("table", PUBLIC)
def test_a_public_table_uses_nothing_a_reader_lacks(settings, table):
    delta = DeltaTable(settings.table_path(table))
    assert delta.protocol().min_reader_version == 1
    assert not delta.protocol().reader_features
    switched_on = [name for name, value in delta.metadata().configuration.items() if value == "true"]
    assert not [name for name in switched_on if any(feature in name for feature in BEYOND_READERS)]


def test_pandas_gets_the_same_rows(settings):
    for table in PUBLIC:
        frame = open_table(table, "pandas", settings=settings)
        assert len(frame) == 4
        assert tuple(frame.columns) == contract(table, settings.schemas_dir).names


def test_a_version_that_was_never_released_is_not_opened(settings):
    with pytest.raises(UsageError, match=f"{PUBLIC[0]} is not published at version 2; `reelhouse tables` lists"):
        open_table(PUBLIC[0], "arrow", version=2, settings=settings)
    with pytest.raises(UsageError, match="is not published in release 9"):
        open_table(PUBLIC[0], "arrow", release="9", settings=settings)
    assert len(open_table(PUBLIC[0], "arrow", version=1, release="1", settings=settings)) == 4


@pytest.mark.parametrize(
    ("name", "as_", "words"),
    [("gold.nonsense", "arrow", "'gold.nonsense' is no public table; write one of silver.identity_edges, silver"),
     ("bronze.events", "arrow", "'bronze.events' is no public table"),
     (PUBLIC[0], "excel", "as_='excel' is no library we open tables in; write one of duckdb")],
)  # fmt: skip
def test_a_wrong_name_is_answered_with_the_right_ones(settings, name, as_, words):
    with pytest.raises(UsageError, match=words):
        open_table(name, as_, settings=settings)


def ask(settings: Settings, query: str) -> list[dict[str, Any]]:
    return answer(settings, query, readable(settings)).to_pylist()


def test_a_query_joins_published_tables_and_the_ledger(settings):
    counted = (
        "SELECT (SELECT COUNT(*) FROM gold.funnel_daily) AS rows, (SELECT COUNT(*) FROM ops.publications) AS lines"
    )
    assert ask(settings, counted) == [{"rows": 4, "lines": len(PUBLIC)}]
    assert ask(settings, "SELECT COUNT(*) AS n FROM ops.books") == [{"n": 0}]
    together = "SELECT COUNT(*) AS n FROM gold.user_profiles JOIN gold.user_interests USING (user_id)"
    assert ask(settings, together) == [{"n": 4}]


def test_silver_that_is_published_is_read_on_request_as_it_was_published(settings):
    """Its newest commit, which no release published, has no row left."""
    counted = "SELECT COUNT(*) AS n FROM silver.sessions"
    assert answer(settings, counted, readable(settings, with_silver=True)).to_pylist() == [{"n": 4}]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELEC 1", "syntax error"),
        ("SELECT nonsense FROM ops.books", 'column "nonsense" not found'),
        ("SELECT * FROM gold.nonsense", "nonsense does not exist"),
        ("SELECT * FROM gold.nonsense", "`reelhouse tables` lists what is published"),
        ("SELECT nonsense(1)", "nonsense does not exist!((?!reelhouse).)*$"),
        ("SELECT * FROM silver.views", "silver.views is about people, .* add --with-silver"),
        ('SELECT * FROM ops.books, "silver"."sessions"', "silver.sessions is about people, .* add --with-silver"),
        ("DESCRIBE silver.views", "add --with-silver"),
        ('SELECT * FROM silver."views"', "^silver.views is about people, .* add --with-silver$"),
        ("SELECT 1 FROM ops.books JOIN SILVER.views USING (topic)", "^silver.views is about people, .* --with-silver$"),
        ("SELECT * FROM bronze.events", "bronze.events is not for readers"),
        ("show all tables", "SHOW TABLES is not for readers: `reelhouse tables`"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission Error"),
        ("SELECT 1; SELECT 2", "2 statements were given; write exactly one"),
        ("", "0 statements were given"),
        ("CREATE TABLE mine AS SELECT 1", "CREATE is not for readers"),
        ("COPY (SELECT 1) TO 'stolen.csv'", "COPY is not for readers"),
        ("EXPLAIN ANALYZE COPY (SELECT 1) TO 'stolen.csv'", "COPY is not for readers"),
        ("INSTALL httpfs", "LOAD is not for readers"),
        ("SET threads = 64", "SET is not for readers"),
        ("ATTACH 'mine.db'", "ATTACH is not for readers"),
    ],
)
def test_a_query_that_is_wrong_or_does_more_than_read_is_refused_in_one_line(settings, query, words):
    with pytest.raises(QueryError, match=words) as refusal:
        ask(settings, query)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_a_path_beside_the_tables_given_is_closed(settings):
    with pytest.raises(QueryError):
        ask(settings, f"SELECT * FROM read_json('{settings.table_path('silver.views')}/_delta_log/*.json')")
    with pytest.raises(QueryError):
        ask(settings, f"SELECT * FROM '{settings.home}/keys/pseudonyms.json'")


def test_silver_is_there_for_those_who_ask_for_it(settings):
    assert "silver.views" not in readable(settings)
    assert not [name for name in readable(settings, with_silver=True) if name.startswith("bronze.")]
    rows = answer(settings, "SELECT COUNT(*) AS n FROM silver.views", readable(settings, with_silver=True))
    assert rows.to_pylist() == [{"n": 0}]


def test_gold_is_read_as_it_was_published_at_a_moment(settings):
    assert "gold.funnel_daily" not in readable(settings, as_of=FIRST - timedelta(seconds=1))
    assert readable(settings, as_of=FIRST)["gold.funnel_daily"] == 1


@pytest.fixture
def cli(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The command line on that lake; what it prints."""
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))

    def run(*arguments: str) -> str:
        ended = CliRunner().invoke(build_app(), list(arguments), catch_exceptions=False)
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    return run


def test_an_answer_is_printed_as_json_and_csv_and_written_as_parquet(cli, tmp_path):
    query = "SELECT 1 AS n, [DATE '2026-11-22'] AS days, 12345678901234567890::DECIMAL(38,0) AS big, NULL AS nothing"
    row = {"n": 1, "days": ["2026-11-22"], "big": "12345678901234567890", "nothing": None}
    assert json.loads(cli("sql", query, "--format", "json")) == [row]
    assert cli("sql", query, "--format", "csv") == 'n,days,big,nothing\n1,"[""2026-11-22""]",12345678901234567890,\n'
    file = tmp_path / "out" / "answer.parquet"
    cli("sql", query, "--format", "parquet", "--output", str(file))
    assert pq.read_table(file)["n"].to_pylist() == [1]
    assert "12345678901234567890" in cli("sql", query)


def test_tables_are_listed_with_grain_rows_freshness_and_verdict(cli):
    rows = json.loads(cli("tables", "--format", "json"))
    assert [row["table"] for row in rows] == PUBLIC
    assert {(row["rows"], row["verdict"], row["released_at"]) for row in rows} == {(4, "passed", FIRST.isoformat())}
    assert all(row["grain"] and row["meaning"] for row in rows)


def nullable(schema: pa.Schema) -> pa.Schema:
    return pa.schema([field.with_nullable(True) for field in schema])


def test_the_samples_have_every_type_there_is():
    kinds = {column.kind.kind for table in PUBLIC for column in contract(table, ROOT / "schemas").columns}
    assert {"string", "bigint", "date", "timestamp", "decimal", "array", "boolean"} <= kinds


def test_no_network_is_needed_for_the_extension(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))  # no downloaded extensions of this user either
    assert ask(settings, "SELECT COUNT(*) AS n FROM ops.publications") == [{"n": len(PUBLIC)}]
    assert not list(tmp_path.rglob("*.duckdb_extension"))
