"""What work cost, noted when it is done: seconds, rows, and the files that its commits wrote, as their logs tell."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ledger import Ledger
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
    from jobs.lake.ingest.refusals import QUARANTINE

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
        note = json.loads(commit.get("userMetadata") or "{}")
        if note.get("ingest_seq") == seq:
            metrics = commit.get("operationMetrics") or {}
            yield Written(_first(metrics, FILES), _first(metrics, BYTES))


def _first(metrics: dict[str, Any], names: Iterable[str]) -> int:
    return next((int(metrics[name]) for name in names if name in metrics), 0)


def _staged(path: str, version: int) -> Written:
    import pyarrow as pa
    from deltalake import DeltaTable

    actions = pa.table(DeltaTable(path, version=version).get_add_actions(flatten=True))
    sizes = actions["size_bytes"].to_pylist()
    return Written(len(sizes), sum(sizes))
