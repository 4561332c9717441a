"""A staging table is filled by one commit of ours on any disk of this machine, however its address is written."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs.lake.filling import _filled
from jobs.lake.scanning import dataset_of, folder_of

ROWS = pa.table({"a": pa.array([1, 2, 3], pa.int64())})


class Frame:
    """What Spark would write, without Spark; as Delta it is written for object stores only."""

    @property
    def write(self) -> Any:
        return SimpleNamespace(parquet=self.parquet)

    @staticmethod
    def parquet(folder: str) -> None:
        Path(folder).mkdir()
        pq.write_table(ROWS, f"{folder}/part-0.parquet")


@pytest.mark.parametrize("scheme", ["", "file://"])
def test_many_rows_are_committed_where_they_lie(tmp_path: Path, scheme: str) -> None:
    delta = _filled(Frame(), None, ROWS.schema, f"{scheme}{tmp_path}/staged")  # type: ignore[arg-type]
    assert dataset_of(delta).to_table().to_pydict() == ROWS.to_pydict()
    assert delta.version() == 1


@pytest.mark.parametrize(("uri", "folder"), [("/a%41/lake", "/a%41/lake"), ("file:///a%20b/lake", "/a b/lake")])
def test_only_an_address_has_letters_in_disguise(uri: str, folder: str) -> None:
    assert folder_of(uri) == Path(folder)
