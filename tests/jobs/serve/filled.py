"""Rows of a table with something in every column that is required."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from jobs.lake.contracts import contract
from jobs.lake.settings import Settings

FILLED = {
    "string": "x",
    "bigint": 0,
    "int": 0,
    "boolean": False,
    "date": date(2026, 6, 7),
    "timestamp": datetime(2026, 6, 8, 1, tzinfo=UTC),
    "decimal(38,0)": Decimal(0),
}


def filled(settings: Settings, table: str, row: dict[str, Any]) -> dict[str, Any]:
    """The row; what it leaves out and the contract requires gets a value of its type."""
    columns = contract(table, settings.schemas_dir).columns
    return {column.name: FILLED[column.type] for column in columns if column.required and column.type in FILLED} | row
