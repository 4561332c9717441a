"""`ops.file_digests`, hurt: it is set aside, whole, and what the files of the lake are is noted anew.

Rows that prove themselves stay, those of its past among them: a file that was changed since would else be noted as it
is now.
"""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.aside import Mended, set_aside
from jobs.lake.clock import now
from jobs.lake.contracts import all_tables
from jobs.lake.file_digests import TABLE, Note, read
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.noting import note_files
from jobs.lake.scanning import LOG, folder_of
from jobs.lake.settings import Settings


def note_again(settings: Settings, run_id: str) -> Mended:
    """Make the table anew, under ingest's lease; the note says of how many files nothing was known any more."""
    from jobs.lake.ingest.loop import LEASE

    ledger, place = Ledger(settings), folder_of(settings.table_path(TABLE))
    with Leases(ledger).held(LEASE, run_id):
        kept = [*proven_in(place)]
        _, aside = set_aside(settings, TABLE, place)
        new = note_files(ledger, all_tables(settings.schemas_dir), now(), kept)
    delta = ledger.open(TABLE)
    note = f"{new} files are noted as they are now: whether they were changed before nobody can say" if new else ""
    return Mended(TABLE, (str(aside),), delta.version(), delta.count(), note=note)


def proven_in(folder: Path) -> Iterator[Note]:
    """The rows of all files below a folder that prove to be what was written; others are passed over."""
    for file in (file for file in folder.rglob("*.parquet") if LOG not in file.parts):
        yield from read(file, 0)[0]
