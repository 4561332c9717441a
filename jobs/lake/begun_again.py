"""Published tables of which nothing is left: begun again, empty, under a version that no release has ever named.

Who asks for a release of before is told that it is gone, and nobody sees an empty table for a full one: until the next
release readers ask for a version that is not there.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from jobs.lake.aside import set_aside
from jobs.lake.ledger import Ledger
from jobs.lake.publications import releases
from jobs.lake.scanning import LOG, LOGGED, folder_of, is_local

MAKING = "staging/begun"  # on the disk of the lake, so that what is made there comes to its place in one step
HINT = "_last_checkpoint"


def is_gone(ledger: Ledger, table: str, version: int) -> bool:
    """Whether the table is not there, or was begun again after that published version and not released since."""
    if not ledger.exists(table):
        return version > 0
    return ledger.version(table) > version and not is_held(ledger, table, version)


def is_held(ledger: Ledger, table: str, version: int) -> bool:
    """Whether the table's log tells of that version."""
    from deltalake.exceptions import DeltaError

    try:
        ledger.open(table).load_as_version(version)
    except DeltaError:
        return False
    return True


def first_told(ledger: Ledger, table: str) -> int:
    """The least version that files of the table's log are of; 0 in an object store, which has none begun again."""
    if not is_local(ledger.path(table)):
        return 0
    files = (folder_of(ledger.path(table)) / LOG).glob("*")
    return min((int(file.name[:20]) for file in files if LOGGED.fullmatch(file.name)), default=0)


def begin_again(ledger: Ledger, family: str, versions: Mapping[str, int]) -> list[str]:
    """Begin those of a family's tables again that are not there; which. `versions` are published, the lease is held.

    What lies in their place without a log is set aside.
    """
    absent = [table for table, version in versions.items() if version > 0 and not ledger.exists(table)]
    if not (absent and is_local(ledger.settings.lake_root)):
        return []
    named = {table: max(each.versions.get(table, 0) for each in releases(ledger, family)) for table in absent}
    for table in absent:
        _begin(ledger, table, named[table] + 1)
    return absent


def _begin(ledger: Ledger, table: str, version: int) -> None:
    """Make the table empty, with a log that begins at a version as one does that was cut."""
    place, making = folder_of(ledger.path(table)), folder_of(ledger.settings.lake_root) / MAKING
    shutil.rmtree(making, ignore_errors=True)
    beside = Ledger(ledger.settings.model_copy(update={"lake_uri": str(making)}))
    beside.open(table).create_checkpoint()
    made = Path(beside.path(table))
    _renumber(made / LOG, version)
    if place.exists():
        set_aside(ledger.settings, table, place)
    place.parent.mkdir(parents=True, exist_ok=True)
    made.rename(place)
    shutil.rmtree(making)


def _renumber(log: Path, version: int) -> None:
    """Let a log of one commit and its checkpoint be that of a later version."""
    first = f"{0:020}"
    for file in sorted(log.glob(f"{first}.*")):
        file.rename(file.with_name(file.name.replace(first, f"{version:020}", 1)))
    hint = log / HINT
    hint.write_text(json.dumps(json.loads(hint.read_text()) | {"version": version}))
