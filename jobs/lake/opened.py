"""Tables that this process has opened, kept for as long as their logs stand as they did.

To open a table its log is read from the last checkpoint on: half a millisecond for each commit, which is more than most
questions take. Of a table on a local disk two looks at its log tell whether there is anything new in it.
"""

import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock, RLock
from typing import TYPE_CHECKING

from jobs.lake.scanning import LOG, folder_of, is_local

if TYPE_CHECKING:
    from deltalake import DeltaTable

MOST_KEPT = 200  # tables; each has the list of its files
Stamp = tuple[int, int, int]  # of a file: which it is, when it was written, how long it is


@dataclass
class Opened:
    """One table; `stamp` is that of the newest commit that was read, null before there is any.

    `names` are the files of its log, from which delta-rs reads more when it is asked.
    """

    uri: str
    lock: RLock = field(default_factory=RLock)
    delta: "DeltaTable | None" = None
    stamp: Stamp | None = None
    names: frozenset[str] = frozenset()

    def newest(self) -> "DeltaTable":
        """The table at its newest version, to be asked and never to be changed or moved."""
        from deltalake import DeltaTable

        delta, self.delta = self.delta, None  # so that nothing is kept of a log that cannot be read
        names = self._names()
        if delta is None or not self.names <= names or self._stamp_of(delta.version()) != self.stamp:
            delta = DeltaTable(self.uri)
        elif commit_of(delta.version() + 1) in names:
            delta.update_incremental()
        self.stamp, self.names = self._stamp_of(delta.version()), names
        if self.stamp is not None:
            self.delta = delta
        return delta

    def _names(self) -> frozenset[str]:
        """The files of the log; none for a table that lies elsewhere, or is not there."""
        try:
            return frozenset(os.listdir(folder_of(self.uri) / LOG))  # noqa: PTH208 - names are all that is wanted
        except OSError:
            return frozenset()

    def _stamp_of(self, version: int) -> Stamp | None:
        """That of a commit; None for none, also where a checkpoint has taken its place."""
        try:
            found = (folder_of(self.uri) / LOG / commit_of(version)).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


def commit_of(version: int) -> str:
    """The file of a commit."""
    return f"{version:020}.json"


KEPT: "OrderedDict[str, Opened]" = OrderedDict()
AT_KEPT = Lock()


@contextmanager
def opened(uri: str) -> Iterator[Opened]:
    """What is kept of a table; nobody else has it meanwhile. Of one that lies elsewhere nothing is."""
    kept = _kept(uri) if is_local(uri) else Opened(uri)
    with kept.lock:
        yield kept


def _kept(uri: str) -> Opened:
    with AT_KEPT:
        found = KEPT.setdefault(uri, Opened(uri))
        KEPT.move_to_end(uri)
        while len(KEPT) > MOST_KEPT:
            KEPT.popitem(last=False)
        return found
