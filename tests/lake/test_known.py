"""What silver holds of a batch's ids, looked up file by file, and remembered of small ones."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs.lake.ingest import known
from jobs.lake.ingest.ids import IdRange, within
from jobs.lake.ingest.known import Remembered, near_rows

ids = st.lists(st.integers(0, 99), max_size=12)
EVERY = [[("event_id", ">=", "e")]]


def rows(numbers: list[int], day: int) -> pa.Table:
    """Rows of a day."""
    return pa.table(
        {
            "event_id": pa.array([f"e{n:02d}" for n in numbers], pa.string()),
            "day": pa.array([day] * len(numbers), pa.int64()),
            "n": pa.array(numbers, pa.int64()),
        }
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    files=st.lists(ids, min_size=1, max_size=5),
    wanted=ids,
    least=st.integers(0, 99),
    small=st.sampled_from([0, 5, 50_000]),
    most=st.sampled_from([0, 40, 2**20]),
)
def test_the_rows_are_found_however_large_the_files_and_however_much_is_remembered(
    files: list[list[int]],
    wanted: list[int],
    least: int,
    small: int,
    most: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = str(tmp_path_factory.mktemp("table"))
    for place, numbers in enumerate(files):
        write_deltalake(path, rows(numbers, place % 2), mode="append", partition_by=["day"])
    where = [[("event_id", ">=", f"e{least:02d}")]]
    asked = rows([n for n in wanted if n >= least], 0).select(["event_id"])  # `where` is true of all that is asked for
    everything = DeltaTable(path).to_pyarrow_table().to_pylist()
    expected = [row for row in everything if row["event_id"] in asked["event_id"].to_pylist()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(known, "SMALL_FILE", small)
        patch.setattr(known, "REMEMBERED", Remembered(most))
        for _ in range(2):  # of what is remembered, too
            near = near_rows(DeltaTable(path), where)
            assert near is not None
            found = near.rows_with(asked, ["n", "event_id", "day"])
            told = [] if found is None else found.to_pylist()
            assert sorted(map(repr, told)) == sorted(
                repr({name: row[name] for name in ("n", "event_id", "day")}) for row in expected
            )
        kept = known.REMEMBERED
        assert kept.size == sum(each.nbytes for each in kept.ids.values())
        assert kept.size <= most or len(kept.ids) == 1


def test_a_file_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Remembered(2**20)
    monkeypatch.setattr(known, "REMEMBERED", kept)
    asked = rows([1], 0).select(["event_id"])
    for numbers in ([1, 2], [3], [4]):
        write_deltalake(tmp_path, rows(numbers, 0), mode="append")
        near = near_rows(DeltaTable(tmp_path), EVERY)
        assert near is not None
        near.rows_with(asked, ["n"])
    assert len(kept.ids) == 3
    monkeypatch.setattr(known, "FEW_ROWS", 3)
    assert near_rows(DeltaTable(tmp_path), EVERY) is None, "four rows are too many"


def test_what_is_asked_for_last_is_remembered_longest(tmp_path: Path) -> None:
    for numbers in ([1], [2], [3]):
        write_deltalake(tmp_path, rows(numbers, 0), mode="append")
    dataset = DeltaTable(tmp_path).to_pyarrow_dataset()
    one, two, three = dataset.get_fragments()
    kept = Remembered(0)
    size = kept.of("t", one, dataset.schema).nbytes
    kept = Remembered(2 * size)
    for file in (one, two, one, three):
        kept.of("t", file, dataset.schema)
    assert [path for _, path in kept.ids] == [one.path, three.path]


@pytest.mark.parametrize("held", [["", "e1"], [""], ["e1", "e2"]])
def test_an_id_without_letters_is_found_too(held: list[str], tmp_path: Path) -> None:
    """Only things may have such an id; an empty text in a condition would mean null to delta-rs."""
    write_deltalake(tmp_path, pa.table({"event_id": held, "n": list(range(len(held)))}))
    near = near_rows(DeltaTable(tmp_path), within([IdRange(None, min(held), max(held), 1, 1)], dated=False))
    assert near is not None
    found = near.rows_with(pa.table({"event_id": held}), ["event_id"])
    assert found is not None
    assert found["event_id"].to_pylist() == held
