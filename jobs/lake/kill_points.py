"""Named points in our writers where a test may end the process, off unless the environment names one.

`REELHOUSE_KILL_AT=release.before_publications` ends the process there as SIGKILL does: no clean-up, no last word.
`REELHOUSE_KILL_AT=raise:NAME` raises `Killed` instead, for tests that keep their warm Spark session.
"""

import os
import signal

VARIABLE = "REELHOUSE_KILL_AT"


class Killed(BaseException):
    """A test's stand-in for SIGKILL; no `except Exception` catches it."""


def reach(name: str) -> None:
    """Pass the named point, unless the environment says that the process ends here."""
    wanted = os.environ.get(VARIABLE)
    if wanted == name:
        os.kill(os.getpid(), signal.SIGKILL)
    if wanted == f"raise:{name}":
        raise Killed(name)
