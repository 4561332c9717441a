"""`where`: a SQL predicate over an event's properties, checked and evaluated by DuckDB outside Spark.

Only expressions that depend on the one event are let through: no subquery, no clock, no chance.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from jobs.definitions.watching import ASKED, COMPLETED_VIEW, VALID_VIEW
from jobs.lake.errors import DefinitionError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

UNSTEADY = {
    "random", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "now", "today", "current_date", "current_time",
    "current_timestamp", "current_localtime", "current_localtimestamp", "get_current_time", "get_current_timestamp",
    "transaction_timestamp", "nextval", "currval", "setseed", "current_user", "version", "getenv", "localtime",
    "localtimestamp", "ago", "age", "sleep_ms", "pg_sleep", "error", "stats", "write_log", "current_setting", "user",
    "session_user", "current_role", "current_query", "current_query_id", "current_connection_id", "current_schema",
    "current_schemas", "current_database", "current_catalog", "current_transaction_id", "txid_current",
    "in_search_path", "pg_conf_load_time", "pg_postmaster_start_time",
}  # fmt: skip
UNFIT = {"SUBQUERY": "a subquery", "WINDOW": "a window function", "STAR": "a star", "PARAMETER": "a parameter"}
DUCK = {
    "bigint": "BIGINT", "int": "INTEGER", "string": "VARCHAR", "boolean": "BOOLEAN", "double": "DOUBLE", "date": "DATE",
    "timestamp": "TIMESTAMP", "void": '"NULL"',
}  # fmt: skip
DERIVED = {"is_valid_view": VALID_VIEW, "is_completed_view": COMPLETED_VIEW}


@cache
def _duck() -> DuckDBPyConnection:
    """A database in memory that can touch nothing outside."""
    import duckdb

    return duckdb.connect(config={"enable_external_access": "false", "threads": "1"})


def properties_of(where: str) -> set[str]:
    """The properties a predicate asks about; DefinitionError when it is none, or depends on more than the event."""
    names: set[str] = set()
    for part in syntax_of(where):
        if part.get("class") in UNFIT:
            raise DefinitionError(f"has {UNFIT[part['class']]}; ask only about the event's own properties")
        if part.get("class") == "FUNCTION" and part["function_name"].lower() in UNSTEADY:
            raise DefinitionError(f"calls {part['function_name']}(), which differs from run to run; remove it")
        if part.get("class") == "COLUMN_REF":
            names.add(part["column_names"][0])
    return names


def syntax_of(where: str) -> Iterator[dict[str, Any]]:
    """Every object of a predicate's syntax tree, as DuckDB writes it; DefinitionError when it is none."""
    if not _is_text(where):
        raise DefinitionError("is no SQL predicate: it has a character that is none; see docs/funnels.md")
    text = _duck().execute("SELECT json_serialize_sql(?)", [f"SELECT ({where}\n)"]).fetchone()
    tree: dict[str, Any] = json.loads(text[0]) if text else {"error": True}
    if tree["error"]:
        problem = " ".join(str(tree.get("error_message", where)).split())
        raise DefinitionError(f"is no SQL predicate: {problem}; see docs/funnels.md")
    statements: list[dict[str, Any]] = tree["statements"]
    node = statements[0]["node"] if len(statements) == 1 else {}
    if node.get("type") != "SELECT_NODE" or len(node["select_list"]) != 1 or node["from_table"]["type"] != "EMPTY":
        raise DefinitionError("is more than one predicate; join conditions with AND")
    return _parts(node["select_list"][0])


def _is_text(where: str) -> bool:
    """Whether it is text that a database takes: no half of a character, no end of text within."""
    return not any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in where)


def _parts(node: Any) -> Iterator[dict[str, Any]]:
    """Every object of a syntax tree."""
    if isinstance(node, dict):
        yield node
        for value in node.values():
            yield from _parts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _parts(value)


def refuse_unfit(where: str, types: Mapping[str, str]) -> None:
    """Raise unless the predicate is a boolean over columns of these DuckDB types."""
    import duckdb

    columns = ", ".join(f"NULL::{kind} AS {_named(name)}" for name, kind in types.items()) or "1 AS nothing"
    try:
        found = _duck().execute(f"DESCRIBE SELECT ({where}\n) FROM (SELECT {columns}) WHERE ({where}\n)").fetchone()  # noqa: S608 - it was parsed
    except duckdb.Error as bad:
        first = str(bad).splitlines()[0]
        raise DefinitionError(f"cannot be evaluated: {first}; see docs/funnels.md") from bad
    is_open = DUCK["void"] in types.values()  # of a property that never has a value any type is right
    if found and not is_open and found[1] not in ("BOOLEAN", '"NULL"', "NULL"):
        raise DefinitionError(f"gives {found[1]}, not true or false; compare it with something")


def duck_type(spark: str) -> str:
    """DuckDB's word for a Spark type; what is nested becomes JSON."""
    if spark.startswith("decimal"):
        return spark.upper()
    if spark.startswith("array<") and spark[6:-1] in DUCK:
        return f"{DUCK[spark[6:-1]]}[]"
    if spark == "map<string,string>":
        return "MAP(VARCHAR, VARCHAR)"
    return DUCK.get(spark, "JSON")


def needed(names: set[str]) -> set[str]:
    """The properties to read for those asked about: a derived one needs those it is derived from."""
    return names | set(ASKED) if names & set(DERIVED) else names


def evaluate(
    wheres: Sequence[str], columns: Mapping[str, pa.Array | pa.ChunkedArray], types: Mapping[str, str], size: int
) -> list[NDArray[np.bool_]]:
    """For each predicate which of `size` events pass it, null being no.

    `types` are DuckDB types of the properties read, `columns` their values, texts for what Arrow has no type for; a
    property without a column is null. DefinitionError when a value is more than a predicate can bear.
    """
    import duckdb
    import numpy as np
    import pyarrow as pa

    if not wheres or not size:
        return [np.zeros(size, np.bool_) for _ in wheres]
    given = {f"c{number}": columns.get(name, pa.nulls(size)) for number, name in enumerate(types)}
    shown = [f"{_read(f'c{number}', kind)} AS {_named(name)}" for number, (name, kind) in enumerate(types.items())]
    derived = [f"coalesce({name}, {rule}) AS {name}" for name, rule in DERIVED.items() if name in types]
    replaced = f"REPLACE ({', '.join(derived)})" if derived else ""
    inner = f"SELECT * {replaced} FROM (SELECT {', '.join(shown) or 'c'} FROM events)"  # noqa: S608 - every part was parsed or is ours
    asked = ", ".join(f"coalesce(({where}\n), false) AS p{number}" for number, where in enumerate(wheres))
    _duck().register("events", pa.table(given or {"c": pa.nulls(size)}))
    try:
        found = _duck().execute(f"SELECT {asked} FROM ({inner})").to_arrow_table()  # noqa: S608
    except duckdb.Error as bad:
        problem = str(bad).splitlines()[0]
        raise DefinitionError(f"cannot be evaluated on these events: {problem}; see docs/funnels.md") from bad
    finally:
        _duck().unregister("events")
    return [column.to_numpy() for column in found.columns]


def _read(column: str, kind: str) -> str:
    """A column as a value of its type; a text that is none of it is null."""
    return f"json({column})" if kind == "JSON" else f"TRY_CAST({column} AS {kind})"


def _named(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
