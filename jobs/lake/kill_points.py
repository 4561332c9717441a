"""Named points in our writers where a test may end the process, off unless the environment names one.

`REELHOUSE_KILL_AT=release.before_publications` ends the process there as SIGKILL does: no clean-up, no last word.
`REELHOUSE_KILL_AT=raise:NAME` raises `Killed` instead, for tests that keep their warm Spark session. The command line
refuses a name that is none of POINTS, which would be passed in silence. Within `heard` a function is told of each point
that is passed: it may look around, let another run do its work, or raise `Killed`.
"""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from jobs.lake.errors import SettingsError

VARIABLE = "REELHOUSE_KILL_AT"
POINTS = (
    "ingest.before_bronze",
    "ingest.after_bronze",
    "ingest.after_<topic>",
    "ingest.after_quarantine",
    "ingest.after_touched",
    "ingest.after_watermarks",
    "ingest.before_books",
    "ingest.after_book_hours",
    "ingest.after_books",
    "build.staged",
    "check.done",
    "release.before",
    "release.after_<table>",
    "release.before_publications",
    "release.after_lease",
    "release.after_publications",
    "rollback.held",
    "rollback.after_<family>",
    "rollback.before_publications",
    "rollback.after_publications",
    "upkeep.before_publications",
    "upkeep.before_cut",
    "backfill.after_slice",
    "backfill.before_booking",
    "backfill.before_swap",
    "backfill.after_release",
    "erase.before_bronze",
    "erase.after_bronze",
    "erase.after_<table>",
    "erase.after_touched",
    "erase.before_books",
    "erase.after_book_hours",
    "erase.after_books",
)

_hearers: list[Callable[[str], None]] = []


class Killed(BaseException):
    """A test's stand-in for SIGKILL; no `except Exception` catches it."""


def reach(name: str) -> None:
    """Pass the named point, unless the environment says that the process ends here."""
    wanted = os.environ.get(VARIABLE)
    if wanted == name:
        os.kill(os.getpid(), signal.SIGKILL)
    if wanted == f"raise:{name}":
        raise Killed(name)
    if _hearers:
        by = _hearers.pop()  # what it does passes points of its own, which are not for its ears
        try:
            by(name)
        finally:
            _hearers.append(by)


def refuse_unknown() -> None:
    """SettingsError when the environment names a point that nobody passes."""
    wanted = os.environ.get(VARIABLE, "").removeprefix("raise:")
    if wanted and not is_point(wanted):
        raise SettingsError(f"{VARIABLE} {wanted!r} is no point of our writers; write one of {', '.join(POINTS)}")


def is_point(name: str) -> bool:
    """Whether a name is one of POINTS, with a topic, table or family that there is where it has one."""
    return any(name in named(point) for point in POINTS)


def named(point: str) -> list[str]:
    """A point by all its names."""
    from jobs.lake.contracts import all_tables
    from jobs.lake.publications import families
    from jobs.lake.settings import ROOT
    from jobs.lake.topics import ENTITIES, FACTS

    kind = re.search("<.+>", point)
    if kind is None:
        return [point]
    schemas = ROOT / "schemas"
    known = {"<topic>": (*FACTS, *ENTITIES), "<table>": all_tables(schemas), "<family>": families(schemas)}
    return [point.replace(kind[0], each) for each in known[kind[0]]]


@contextmanager
def heard(by: Callable[[str], None]) -> Iterator[None]:
    """Tell `by` each point that this process passes while the block lasts."""
    _hearers.append(by)
    try:
        yield
    finally:
        _hearers.remove(by)
