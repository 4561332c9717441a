"""Names of tables as Airflow assets; who belongs to whom is read from the contracts in `schemas/`."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml
from airflow.sdk import Asset

SCHEMAS = Path(__file__).resolve().parents[2] / "schemas"


def asset(table: str) -> Asset:
    """The asset of `gold.funnel_daily` carries its name and its address in the lake."""
    return Asset(name=table, uri=f"reelhouse://lake/{table.replace('.', '/')}")


@cache
def promises(table: str) -> dict[str, Any]:
    """The contract's own properties of one table: inputs, family, write mode."""
    contract = yaml.safe_load((SCHEMAS / f"{table.replace('.', '/')}.yaml").read_text(encoding="utf-8"))
    return {entry["property"]: entry["value"] for entry in contract.get("customProperties", [])}


def family_tables(family: str) -> tuple[str, ...]:
    """All tables that are published together as `family`, in a stable order."""
    return tuple(name for name in _names("silver", "gold") if promises(name).get("family") == family)


def family_inputs(family: str) -> tuple[str, ...]:
    """What a family waits for: the inputs its contracts promise, less what it publishes itself."""
    tables = family_tables(family)
    inputs = {name for table in tables for name in promises(table).get("inputs", [])}
    return tuple(sorted(inputs - set(tables)))


def ingested() -> tuple[str, ...]:
    """The silver tables that ingest writes; the others are published as families."""
    return tuple(name for name in _names("silver") if "family" not in promises(name))


def _names(*layers: str) -> tuple[str, ...]:
    return tuple(f"{layer}.{path.stem}" for layer in layers for path in sorted((SCHEMAS / layer).glob("*.yaml")))
