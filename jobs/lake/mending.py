"""Mending a table's log: the bad file is set aside, never deleted, and what stays is proven to be the table.

A checkpoint is a copy of the commits before it, so without it the log says the same, if those commits are still there.
A newest commit that is torn is undone, and the batch it belonged to is taken out of the books, so that the next ingest
does that batch again from bronze: every write that is there already is skipped, the one that is missing is made. Where
it was of an older batch, or another has begun, its rows are made again beside the lake (jobs/lake/remaking).
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pyarrow.compute as pc

from jobs.lake.ailments import HINT, UNDONE, Ailment, Kind, ailments_of
from jobs.lake.aside import Mended, Move, set_aside
from jobs.lake.errors import UsageError, WriteError
from jobs.lake.ingest.progress import BOOKS, QUARANTINE, TOUCHED, committed, progress
from jobs.lake.leases import TABLE as LEASES
from jobs.lake.leases import Lease, Leases
from jobs.lake.ledger import Ledger
from jobs.lake.owing import Owed, is_of_bronze, owed
from jobs.lake.scanning import LOG
from jobs.lake.settings import Settings
from jobs.lake.topics import ENTITIES
from jobs.lake.work import DISPLACED, RETRACTED

Remake = Callable[[Lease | None], Mended]


def mend_log(settings: Settings, table: str, found: list[Ailment], run_id: str, remake: Remake) -> Mended:
    """Mend the log of one table under the lease of ingest (but for the leases themselves).

    `remake` makes rows of older batches again. WriteError, with every file back in its place, when the log cannot be
    read without what was set aside; and whatever that raises.
    """
    from jobs.lake.ingest.loop import LEASE

    ledger = Ledger(settings)
    lease = nullcontext() if table == LEASES else Leases(ledger).held(LEASE, run_id)
    with lease as held, taken_out(settings, table, found) as moved:
        proof = None if has_hurt_files(settings, table) else proven(ledger, table)
        lacking = lacking_batches(ledger, table) if any(each.kind in UNDONE for each in found) else set()
        if is_only_newest(ledger, lacking):
            unbook(ledger, committed(ledger, BOOKS), moved)
            lacking = set()  # ingest does it again
        if lacking and not proof:
            raise WriteError(
                f"{table}: files of it are hurt, too, and the torn commit is of batch {min(lacking)}; nothing was "
                "changed. Put the commit back from a copy; see docs/runbooks/lake.md"
            )
        done = Mended(table, (), *proof) if proof and not lacking else remake(held)
    next_step = "reelhouse ingest" if progress(ledger).is_unfinished else ""
    return replace(done, set_aside=(*paths(moved), *done.set_aside), next_step=next_step)


def has_hurt_files(settings: Settings, table: str) -> bool:
    """Whether a table that is made again from bronze, and whose log can be read, has files that are hurt, too."""
    return is_of_bronze(table) and any(each.kind is Kind.data for each in ailments_of(settings, table))


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
    """The bad files of a table's log set aside; whatever goes wrong in the block, they are put back.

    Not over a commit that was made in the place of a torn one.
    """
    moved = [set_aside(settings, table, file) for file in bad_files(found)]
    try:
        yield moved
    except (Exception, KeyboardInterrupt, SystemExit):
        for there, aside in moved:
            if not there.exists():
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
    except (pa.ArrowException, OSError) as wrong:
        words = str(wrong).splitlines()[0][:200]
        raise WriteError(
            f"{table}: a file of it is hurt, too: {words}; nothing was changed. Put one of the two back from a copy; "
            "see docs/runbooks/lake.md"
        ) from wrong
    if rows != said:
        raise WriteError(f"{table}: {rows} rows, but its log says {said}; nothing was changed")
    return int(delta.version()), rows


def lacks_newest_batch(ledger: Ledger, table: str) -> bool:
    """Whether the table lacks its rows of the newest batch alone, which is done again once it is in no books."""
    return is_only_newest(ledger, lacking_batches(ledger, table))


def is_only_newest(ledger: Ledger, lacking: set[int]) -> bool:
    """Whether that is the newest batch alone, and none has begun after it."""
    reached = progress(ledger)
    return lacking == {reached.complete} and not reached.is_unfinished


def lacking_batches(ledger: Ledger, table: str) -> set[int]:
    """The batches of the books of which the table has no commit; the newest among them where it may have had one."""
    if not is_of_bronze(table):
        return set()
    told, complete, there = owed(ledger), progress(ledger).complete, committed(ledger, table)
    is_newest = complete > there and complete in perhaps_changing(told, table)
    return told.missing(table) | ({complete} if is_newest else set())


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
