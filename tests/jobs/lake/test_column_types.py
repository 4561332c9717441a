"""The types of contracts mean the same to Spark, to Arrow and to delta-rs."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyspark.sql.types import StructType

from jobs.lake.column_types import parse, to_arrow, to_spark
from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import ContractError
from jobs.lake.settings import ROOT

SCHEMAS = ROOT / "schemas"
TYPES = [
    "string", "binary", "boolean", "int", "bigint", "double", "date", "timestamp", "decimal(38,0)", "decimal(10,2)",
    "array<string>", "map<string,bigint>", "struct<a:int,b:array<map<string,struct<c:date,d:decimal(3,1)>>>>",
    "array<struct<line_id:string,quantity:bigint>>",
]  # fmt: skip


@pytest.mark.parametrize("text", TYPES)
def test_a_type_is_what_spark_itself_reads(spark, text):
    assert to_spark(parse(text)).simpleString() == text == str(parse(text))
    assert StructType.fromDDL(f"x {text}")["x"].dataType == to_spark(parse(text))


def test_white_space_in_a_type_means_nothing():
    assert str(parse(" array< struct<a : int, b:decimal( 38 , 0 )> > ")) == "array<struct<a:int,b:decimal(38,0)>>"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "text",
        "array",
        "array<>",
        "array<string",
        "array<string>>",
        "map<string>",
        "struct<a>",
        "struct<a:>",
        "int;",
        "decimal",
        "string,int",
        "INT",
    ],
)
def test_what_is_no_type_is_refused(text):
    with pytest.raises(ContractError, match="is none we use; write one of string"):
        parse(text)


def test_delta_rs_and_spark_read_the_same_table_from_one_contract(spark, tmp_path):
    """Every promised type goes through a Delta table that delta-rs writes and Spark reads."""
    schema = pa.schema([pa.field(f"c{number}", to_arrow(parse(text))) for number, text in enumerate(TYPES)])
    write_deltalake(str(tmp_path / "t"), schema.empty_table())
    read = spark.read.format("delta").load(str(tmp_path / "t")).schema
    assert [field.dataType.simpleString() for field in read] == TYPES


@pytest.mark.parametrize("table", [name for name in all_tables(SCHEMAS) if name.startswith("ops.")])
def test_an_ops_table_made_by_delta_rs_has_the_contract_schema(table, tmp_path):
    promised = contract(table, SCHEMAS)
    write_deltalake(str(tmp_path / "t"), promised.arrow_schema().empty_table())
    made = {field.name: field.nullable for field in DeltaTable(str(tmp_path / "t")).schema().fields}
    assert made == {column.name: not column.required for column in promised.columns}
