"""What work cost, noted when it is done: seconds, rows, and the files that its commits wrote, as their logs tell."""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.lake.ingest.progress import BRONZE, QUARANTINE
from jobs.lake.ledger import Ledger
from jobs.lake.scanning import LOG, folder_of, is_local
from jobs.lake.small_commits import note_of
from jobs.lake.staging import Manifest, Staging
from jobs.ops.costs import BATCH, BUILD, Work, Written, build

if TYPE_CHECKING:
    from jobs.lake.ingest.steps import Done

TABLE = "ops.costs"
FEW = 4  # commits of a table to look through: a batch's is its newest, unless upkeep came in between
FILES = ("numFiles", "numTargetFilesAdded")  # of a write, of a merge
BYTES = ("numOutputBytes", "numTargetBytesAdded")


def stopwatch() -> Callable[[], float]:
    """Seconds since now, whenever it is asked."""
    began = time.monotonic()
    return lambda: time.monotonic() - began


def note_batch(ledger: Ledger, run_id: str, done: "Done", seconds: float, at: datetime) -> None:
    """Note what an ingest batch cost."""
    from jobs.lake.ingest.forms import OUTPUTS, silver_table

    read = [line for line in done.books if line["received"]]  # the others' tables were not written
    work = Work(run_id, BATCH, None, done.ingest_seq, seconds, sum(line["received"] for line in read))
    tables = {BRONZE, QUARANTINE} | {silver_table(line["topic"]) for line in read if line["topic"] in OUTPUTS}
    commits = (wrote for table in sorted(tables) for wrote in _of_batch(ledger, table, done.ingest_seq))
    ledger.append(TABLE, build(work, commits, at=at))


def note_build(ledger: Ledger, staging: Staging, manifest: Manifest, seconds: float, at: datetime) -> None:
    """Note what a build of a family cost; its files are those that lie in staging."""
    rows = sum(table.rows for table in manifest.tables)
    work = Work(manifest.run_id, BUILD, manifest.family, manifest.ingest_seq_to, seconds, rows)
    commits = (_staged(staging.path(table.table), table.version) for table in manifest.tables)
    ledger.append(TABLE, build(work, commits, at=at))


def _of_batch(ledger: Ledger, table: str, seq: int) -> Iterator[Written]:
    """The commit of one batch to one table; a batch with no rows for it has none."""
    for commit in ledger.open(table).history(FEW) if ledger.exists(table) else ():
        if note_of(commit).get("ingest_seq") == seq:
            yield _written(ledger.path(table), commit)


def _written(path: str, commit: Mapping[str, Any]) -> Written:
    """What Spark noted of its commit; delta-rs notes no bytes, so of its own the log is asked."""
    metrics, version = commit.get("operationMetrics") or {}, int(commit["version"])
    files, size = (next((int(metrics[name]) for name in names if name in metrics), None) for names in (FILES, BYTES))
    if files is not None and size is not None:
        return Written(files, size)
    new = _added(path, version)
    return Written(len(new), sum(new))


def _added(path: str, version: int) -> list[int]:
    """Bytes of each file that a commit added.

    On a local disk by the commit itself: to open two versions costs a batch of few records a tenth of its time.
    """
    if is_local(path):
        file = folder_of(path) / LOG / f"{version:020d}.json"
        actions = map(json.loads, file.read_text(encoding="utf-8").splitlines())
        return [int(action["add"]["size"]) for action in actions if "add" in action]
    before, after = _sizes(path, version - 1), _sizes(path, version)
    return [size for name, size in after.items() if name not in before]


def _staged(path: str, version: int) -> Written:
    sizes = _sizes(path, version).values()
    return Written(len(sizes), sum(sizes))


def _sizes(path: str, version: int) -> dict[str, int]:
    """Bytes of each file of a version."""
    import pyarrow as pa
    from deltalake import DeltaTable

    actions = pa.table(DeltaTable(path, version=version).get_add_actions())
    return dict(zip(actions["path"].to_pylist(), actions["size_bytes"].to_pylist(), strict=True))
