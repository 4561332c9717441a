"""Named points in our writers where a test may end the process, off unless the environment names one.

`REELHOUSE_KILL_AT=release.before_publications` ends the process there as SIGKILL does: no clean-up, no last word.
`REELHOUSE_KILL_AT=raise:NAME` raises `Killed` instead, for tests that keep their warm Spark session. Within `heard` a
function is told of each point that is passed: it may look around, let another run do its work, or raise `Killed`.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

VARIABLE = "REELHOUSE_KILL_AT"

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


@contextmanager
def heard(by: Callable[[str], None]) -> Iterator[None]:
    """Tell `by` each point that this process passes while the block lasts."""
    _hearers.append(by)
    try:
        yield
    finally:
        _hearers.remove(by)
