"""Processes, named so that none is taken for another: by host, id, and when they began since the machine did."""

import os
import socket

import psutil


def this_process() -> tuple[str, int, int]:
    """Host, process id and when it began: nobody else's, whatever ids are given out again."""
    return socket.gethostname(), os.getpid(), began_at(os.getpid())


def began_at(pid: int) -> int:
    """When a process began, in hundredths of seconds since the machine did; psutil.NoSuchProcess for none.

    By the clock it would be another time once that is set, and a living process be taken for another, that is dead.
    """
    while True:
        machine_began = psutil.boot_time()
        began = psutil.Process(pid).create_time()
        if psutil.boot_time() == machine_began:
            return round((began - machine_began) * 100)


def has_ended(host: str, pid: str, started: str) -> bool:
    """Whether that was a process of this host, and is no more; of one that says not when it began nobody can know."""
    if host != socket.gethostname() or not (pid.isdigit() and started):
        return False
    try:
        return str(began_at(int(pid))) != started
    except psutil.NoSuchProcess:
        return True
