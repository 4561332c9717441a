"""The Python loop of B2: row by row, with everything that ours does to a row."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobs.lake.event_validator import Validator, validator
from jobs.lake.identity import Keys, read_keys
from jobs.lake.settings import Settings

ROWS_AT_ONCE = 50_000
PERSONS = ("user_id", "device_id")


def by_loop(bronze: str, to: Path, settings: Settings) -> None:
    """Parse, judge, find repeats, put pseudonyms in, write in pieces."""
    promised = validator("views", 1, settings.schemas_dir)
    keys, names, seen = read_keys(settings.keys_path), {}, set[str]()
    good: list[dict[str, Any]] = []
    bad: list[dict[str, Any]] = []
    for row in rows_of(bronze):
        body, reasons = judged(row["value"], promised)
        if reasons:
            bad.append({"partition": row["partition"], "offset": row["offset"], "reasons": reasons})
        elif body["event_id"] not in seen:
            seen.add(body["event_id"])
            good.append(as_row(body, row, keys, names))
        if len(good) >= ROWS_AT_ONCE:
            append(to / "views", good, settings)
            good = []
    append(to / "views", good, settings)
    write_bad(to / "quarantine", bad)


def rows_of(bronze: str) -> Iterator[dict[str, Any]]:
    """The records, in the order of the files."""
    from deltalake import DeltaTable

    dataset = DeltaTable(bronze).to_pyarrow_dataset()
    for batch in dataset.to_batches(columns=["value", "partition", "offset", "kafka_time"], batch_size=10_000):
        yield from batch.to_pylist()


def judged(value: bytes, promised: Validator) -> tuple[Any, list[str]]:
    """The body, and why it is refused."""
    import orjson

    try:
        body = orjson.loads(value)
    except ValueError:
        return None, ["malformed_json"]
    if promised.is_valid(body):
        return body, []
    return body, [fault.reason for fault in promised.faults(body)]


def as_row(body: dict[str, Any], row: dict[str, Any], keys: Keys, names: dict[str, str]) -> dict[str, Any]:
    """A silver row; each person is hashed once."""
    for field in PERSONS:
        raw_id = body.get(field)
        if raw_id is not None:
            if raw_id not in names:
                names[raw_id] = keys.pseudonym(raw_id)
            body[field] = names[raw_id]
    body["experiments"] = list(body.get("experiments", {}).items())
    return body | {"partition": row["partition"], "offset": row["offset"], "kafka_time": row["kafka_time"]}


def append(to: Path, rows: list[dict[str, Any]], settings: Settings) -> None:
    """Rows as a Delta table, by day like silver."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from deltalake import write_deltalake

    table = pa.Table.from_pylist(rows, schema_of(settings))
    days = pc.cast(pc.cast(table["event_time"], pa.timestamp("us", "UTC")), pa.date32())
    write_deltalake(str(to), table.append_column("event_date", days), mode="append", partition_by=["event_date"])


def schema_of(settings: Settings) -> Any:
    """The body's fields typed by the contract, and where the record lay."""
    import pyarrow as pa
    from pyspark.sql.pandas.types import to_arrow_schema

    from jobs.lake.event_rules import event_struct

    place = [("partition", pa.int32()), ("offset", pa.int64()), ("kafka_time", pa.timestamp("us", "UTC"))]
    return pa.schema([*to_arrow_schema(event_struct("views", 1, settings.schemas_dir)), *pa.schema(place)])


def write_bad(to: Path, rows: list[dict[str, Any]]) -> None:
    """What was refused, with its reasons."""
    import pyarrow as pa
    from deltalake import write_deltalake

    kinds = pa.schema([("partition", pa.int32()), ("offset", pa.int64()), ("reasons", pa.list_(pa.string()))])
    write_deltalake(str(to), pa.Table.from_pylist(rows, kinds), mode="append")
