"""Tables are read through Arrow's own file systems, whatever their folder is called."""

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from jobs.lake.scanning import dataset_of, file_system_at, local_files


@pytest.mark.parametrize("name", ["plain", "with space", "片库"])
def test_no_python_object_reaches_arrows_threads(tmp_path, name):
    write_deltalake(str(tmp_path / name), pa.table({"n": [1, 2, 3]}))
    dataset = dataset_of(DeltaTable(str(tmp_path / name)))
    assert isinstance(dataset.filesystem, SubTreeFileSystem)
    assert isinstance(dataset.filesystem.base_fs, LocalFileSystem)
    assert sorted(dataset.to_table()["n"].to_pylist()) == [1, 2, 3]


@pytest.mark.parametrize("name", ["plain", "with space", "片库", "100%"])
def test_the_files_of_a_table_are_where_they_are_said_to_be(tmp_path, name):
    write_deltalake(str(tmp_path / name), pa.table({"n": [1], "day": ["2026-01-01"]}), partition_by=["day"])
    files = local_files(DeltaTable(str(tmp_path / name)))
    assert files == list((tmp_path / name).rglob("*.parquet"))
    assert len(files) == 1


def test_a_store_that_arrow_does_not_know_is_left_to_delta_rs():
    assert file_system_at("abfss://lake@account.dfs.core.windows.net/gold/funnel_daily") is None
