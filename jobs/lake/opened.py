"""Tables that this process has opened, kept for as long as their logs stand as they did.

To open a table its log is read from the last checkpoint on: half a millisecond for each commit, which is more than most
questions take. Of a table on a local disk a look at the files of its log tells whether there is anything new in it.
"""

import os
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock, RLock
from typing import TYPE_CHECKING, TypeVar

from jobs.lake.scanning import LOG, LOGGED, folder_of, is_local

if TYPE_CHECKING:
    from deltalake import DeltaTable

MOST_KEPT = 200  # tables; each has the list of its files
T = TypeVar("T")
Stamp = tuple[int, int, int]  # of a file: which it is, when it was written, how long it is


@dataclass
class Opened:
    """One table; `files` are the commits and checkpoints of its log, from which delta-rs reads more when it is asked.

    They were looked at before the log was read: what came meanwhile is news to the next look.
    """

    uri: str
    lock: RLock = field(default_factory=RLock)
    delta: "DeltaTable | None" = None
    files: dict[str, Stamp] = field(default_factory=dict)

    def newest(self) -> "DeltaTable":
        """The table at its newest version, to be asked and never to be changed or moved."""
        from deltalake import DeltaTable

        delta, files = self.delta, logged(folder_of(self.uri) / LOG)
        self.delta = None  # so that nothing is kept of a log that cannot be read
        if delta is None or not self.files.items() <= files.items():
            delta = DeltaTable(self.uri)
        elif f"{delta.version() + 1:020}.json" in files:
            delta.update_incremental()
        self.delta, self.files = delta, files
        return delta


def logged(log: Path) -> dict[str, Stamp]:
    """The commits and checkpoints of a log on a local disk; none where there is no log."""
    found = {}
    with suppress(OSError), os.scandir(log) as files:  # one that goes meanwhile is missed at the next look
        for file in files:
            if LOGGED.fullmatch(file.name):
                told = file.stat()
                found[file.name] = (told.st_ino, told.st_mtime_ns, told.st_size)
    return found


KEPT: "OrderedDict[str, Opened]" = OrderedDict()
AT_KEPT = Lock()


def asked(uri: str, question: "Callable[[DeltaTable], T]") -> T:
    """The answer of a table at its newest version, which nobody else asks meanwhile; of one that lies elsewhere, too.

    Where one that was kept fails, as when its log is being cut, it is opened anew and asked once more.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    if not is_local(uri):
        return question(DeltaTable(uri))
    kept = _kept(uri)
    with kept.lock:
        was_kept = kept.delta is not None
        try:
            return question(kept.newest())
        except (DeltaError, OSError):
            kept.delta = None
            if not was_kept:
                raise
        return question(kept.newest())


def _kept(uri: str) -> Opened:
    with AT_KEPT:
        found = KEPT.setdefault(uri, Opened(uri))
        KEPT.move_to_end(uri)
        while len(KEPT) > MOST_KEPT:
            KEPT.popitem(last=False)
        return found
