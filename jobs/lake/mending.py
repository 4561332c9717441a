"""Mending a table's log: the bad file is set aside, never deleted, and what stays is proven to be the table.

A checkpoint is a copy of the commits before it, so without it the log says the same, if those commits are still there.
A newest commit that is torn is undone, and the batch it belonged to is taken out of the books, so that the next ingest
does that batch again from bronze: every write that is there already is skipped, the one that is missing is made.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pyarrow.compute as pc

from jobs.lake.ailments import HINT, UNDONE, Ailment, Kind
from jobs.lake.aside import Mended, Move, set_aside
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.ingest.progress import BOOKS, QUARANTINE, TOUCHED, committed, progress
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.owing import Owed, owed
from jobs.lake.scanning import LOG
from jobs.lake.settings import Settings
from jobs.lake.topics import ENTITIES
from jobs.lake.work import DISPLACED, RETRACTED


def mend_log(settings: Settings, table: str, found: list[Ailment], run_id: str) -> Mended:
    """Mend the log of one table under the lease of ingest (but for the leases themselves).

    WriteError, with every file back in its place, when the log cannot be read without what was set aside.
    """
    from jobs.lake.ingest.loop import LEASE

    ledger = Ledger(settings)
    lease = nullcontext() if table == LEASES else Leases(ledger).held(LEASE, run_id)
    with lease, taken_out(settings, table, found) as moved:
        version, rows = proven(ledger, table)
        if any(each.kind in UNDONE for each in found) and lacks_newest_batch(ledger, table):
            unbook(ledger, committed(ledger, BOOKS), moved)
    next_step = "reelhouse ingest" if progress(ledger).is_unfinished else ""
    return Mended(table, paths(moved), version, rows, next_step)


def unbook(ledger: Ledger, batch: int, moved: list[Move]) -> None:
    """Set the books' commits aside from that of a batch on: what upkeep has done since goes, too.

    WriteError where the log cannot be read without them; who calls puts all that was moved back then.
    """
    while committed(ledger, BOOKS) >= batch:
        newest = Ailment(BOOKS, Kind.newest_commit, newest_of_log(ledger, BOOKS), "")
        moved += [set_aside(ledger.settings, BOOKS, file) for file in bad_files([newest])]
        proven(ledger, BOOKS)


@contextmanager
def taken_out(settings: Settings, table: str, found: list[Ailment]) -> Iterator[list[Move]]:
    """The bad files of a table's log set aside; whatever goes wrong in the block, they are put back."""
    moved = [set_aside(settings, table, file) for file in bad_files(found)]
    try:
        yield moved
    except (Exception, KeyboardInterrupt, SystemExit):
        for there, aside in moved:
            shutil.move(aside, there)
        raise


def paths(moved: list[Move]) -> tuple[str, ...]:
    """Where the files lie now."""
    return tuple(str(aside) for _, aside in moved)


def refuse_the_rest(found: list[Ailment]) -> None:
    """UsageError for what setting a file aside does not mend."""
    for each in found:
        if not each.is_mendable:
            raise UsageError(f"{each.table}: {each.file} {each.found}, which this command cannot mend: {each.remedy}")


def bad_files(found: list[Ailment]) -> list[Path]:
    """The files to set aside: with a checkpoint its hint, which would ask for it; with a commit what was made of it."""
    files = {each.file for each in found}
    for undone in (each.file for each in found if each.kind in UNDONE):
        files |= {
            undone.with_suffix(".crc"),
            undone.with_name(f".{undone.stem}.crc.crc"),
            undone.with_name(f".{undone.name}.crc"),
            *undone.parent.glob(f"{undone.stem}.checkpoint*"),
        }
    files |= {file.with_name(HINT) for file in files if ".checkpoint" in file.name}
    return sorted(file for file in files if file.exists())


def proven(ledger: Ledger, table: str) -> tuple[int, int]:
    """The version and rows of a table, read file by file; WriteError if they are not as many as its log says."""
    import pyarrow as pa
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        delta = DeltaTable(ledger.path(table))  # `Ledger.open` would make a table where the log is empty
        said = sum(pa.table(delta.get_add_actions(flatten=True))["num_records"].to_pylist())
        rows = ledger.read(table, ledger.schema(table).names[:1]).num_rows
    except DeltaError as wrong:
        words = str(wrong).splitlines()[0][:200]
        raise WriteError(
            f"{table}: its log cannot be read without the bad file: {words}; nothing was changed"
        ) from wrong
    if rows != said:
        raise WriteError(f"{table}: {rows} rows, but its log says {said}; nothing was changed")
    return int(delta.version()), rows


def lacks_newest_batch(ledger: Ledger, table: str) -> bool:
    """Whether the table lacks its rows of the newest batch; WriteError if it lacks those of an older one."""
    if table == BOOKS:
        return False  # it tells itself how far it is
    told, reached, there = owed(ledger), progress(ledger), committed(ledger, table)
    lacking = told.missing(table)
    if reached.complete > there and reached.complete in perhaps_changing(told, table):
        lacking.add(reached.complete)
    if lacking and (lacking != {reached.complete} or reached.is_unfinished):
        raise WriteError(
            f"{table}: the torn commit is of batch {min(lacking)}, and batch {reached.landed} has begun; nothing was "
            "changed. Put the file back from a copy; see docs/runbooks/lake.md"
        )
    return bool(lacking)


def perhaps_changing(told: Owed, table: str) -> set[int]:
    """Batches that may have changed a table though that is not sure; one that is done again for it changes nothing."""
    if table == QUARANTINE:
        return judged_anew(told.ledger)
    is_change = pc.field("topic").isin([*ENTITIES]) & (pc.field("accepted") != 0)
    return set(told.books.filter(is_change)["ingest_seq"].to_pylist()) if table == TOUCHED else set()


def judged_anew(ledger: Ledger) -> set[int]:
    """The batches that took rows of silver, so that older arrivals were judged anew: refusals may have gone as came."""
    touched = ledger.read(TOUCHED, ["ingest_seq", "cause"]).to_pylist()
    return {line["ingest_seq"] for line in touched if line["cause"] in (DISPLACED, RETRACTED)}


def newest_of_log(ledger: Ledger, table: str) -> Path:
    """The file of a table's newest commit."""
    return max((Path(ledger.path(table)) / LOG).glob("*.json"))
