"""A command that a schedule started ends with the one that started it, however that ends: the pipe between them breaks.

Who starts a command by hand gives it no such pipe, and it lives on as any other process does.
"""

import os
import signal
import stat
import threading
import time

VARIABLE = "REELHOUSE_LIFELINE"  # the number of the pipe's end that is read here; dags/lib/operator.py holds the other
SECONDS_TO_END = 15


def hold_on() -> None:
    """Watch the pipe that the environment names, if it names one, and forget the name: it is for this process alone."""
    named = os.environ.pop(VARIABLE, "")
    if named.isdigit():
        threading.Thread(target=_end_with, args=(int(named),), name="lifeline", daemon=True).start()


def _end_with(pipe: int) -> None:
    """Once nobody holds the other end, end this process and all it started: first kindly, then not."""
    try:
        if not stat.S_ISFIFO(os.fstat(pipe).st_mode):
            return
        while os.read(pipe, 1):
            pass
    except OSError:  # no such pipe: a variable that somebody else left
        return
    for how in (signal.SIGTERM, signal.SIGKILL):
        if os.getpgrp() == os.getpid():
            os.killpg(0, how)
        else:  # the group is another's
            os.kill(os.getpid(), how)
        time.sleep(SECONDS_TO_END)
