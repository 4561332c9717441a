"""What stands in files and tables, and what was printed, for tests that look for what must not be there."""

from pathlib import Path

import pyarrow.parquet as pq


def content(file: Path) -> bytes:
    """What stands in a file; a table's rows as text."""
    if file.suffix == ".parquet":
        with pq.ParquetFile(file) as opened:
            return str(opened.read().to_pylist()).encode()
    return file.read_bytes()
