"""ops.sequences has a row for each run of numbers without a gap, and tells what bears no number apart."""

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from jobs.ops.sequences import build

AT = datetime(2026, 11, 20, tzinfo=UTC)
FORM = pa.schema(
    [("producer_id", pa.string()), ("producer_epoch", pa.int64()), ("producer_seq", pa.int64()),
     ("is_refused", pa.bool_())]
)  # fmt: skip


def rows_of(*records: tuple[str, int, int, bool], bare: dict[tuple[str, str | None], int] | None = None) -> Any:
    received = pa.Table.from_pylist([dict(zip(FORM.names, each, strict=True)) for each in records], FORM)
    made = build(received, bare or {}, ingest_seq=3, at=AT).to_pylist()
    assert {(row["ingest_seq"], row["recorded_at"]) for row in made} <= {(3, AT)}
    names = ("producer_id", "producer_epoch", "first_seq", "last_seq", "record_count", "refused_count")
    return [tuple(row.get(name) for name in names) for row in made]


def test_numbers_that_follow_on_each_other_are_one_row_in_whatever_order_they_came() -> None:
    made = rows_of(("a", 1, 2, False), ("a", 1, 0, False), ("a", 1, 1, False), ("a", 1, 5, False))
    assert made == [("a", 1, 0, 2, 3, 0), ("a", 1, 5, 5, 1, 0)]


def test_producers_and_epochs_are_told_apart() -> None:
    made = rows_of(("b", 1, 0, False), ("a", 2, 1, False), ("a", 1, 0, False))
    assert sorted(made) == [("a", 1, 0, 0, 1, 0), ("a", 2, 1, 1, 1, 0), ("b", 1, 0, 0, 1, 0)]


def test_repeats_and_refusals_are_counted_in_their_run() -> None:
    made = rows_of(("a", 1, 0, False), ("a", 1, 0, False), ("a", 1, 1, True), ("a", 1, 3, True))
    assert made == [("a", 1, 0, 1, 3, 1), ("a", 1, 3, 3, 1, 1)]


def test_what_bears_no_number_is_counted_by_topic_and_source() -> None:
    made = build(FORM.empty_table(), {("users", None): 2, ("likes", "app:old"): 1}, ingest_seq=3, at=AT).to_pylist()
    told = [(row["topic"], row["source_uri"], row["record_count"], row.get("producer_id")) for row in made]
    assert sorted(told, key=str) == [("likes", "app:old", 1, None), ("users", None, 2, None)]
