"""A command ends with the pipe that it was given; one that was given none lives on."""

import os
import subprocess
import sys
import time

import pytest

from jobs.lake.lifeline import VARIABLE

COMMAND = """
import os, time
from jobs.lake.lifeline import hold_on
hold_on()
print("REELHOUSE_LIFELINE" in os.environ, flush=True)
time.sleep(30)
"""


def started(**how: object) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, text=True, **how)  # type: ignore[call-overload]
    assert process.stdout.readline() == "False\n", "what it starts itself does not have the name"
    return process


def test_it_ends_when_the_pipe_breaks_and_not_before() -> None:
    theirs, ours = os.pipe()
    process = started(pass_fds=[theirs], env={**os.environ, VARIABLE: str(theirs)}, start_new_session=True)
    os.close(theirs)
    time.sleep(0.3)
    assert process.poll() is None
    os.close(ours)
    assert process.wait(20) == -15


@pytest.mark.parametrize("named", ["", "99", "no number"])
def test_one_that_was_given_none_lives_on(named: str) -> None:
    process = started(env={**os.environ, VARIABLE: named})
    time.sleep(0.3)
    assert process.poll() is None
    process.kill()
    process.wait()
