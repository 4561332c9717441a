"""A long-running process of ours: started in a session of its own, found again later, ended with all its children.

Its record (`process.json`) names the pid and when that process began since the machine did, so a recycled pid is never
taken for ours, nor ours for another's once the clock is set.
"""

import json
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from jobs.lake.clock import now
from jobs.lake.errors import ServiceError
from jobs.lake.lifetimes import began_at

MARK = "REELHOUSE_SERVICE"  # in the environment of a service and of everything it starts
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")  # Linux's
TERM_PATIENCE_SECONDS = 15.0
KILL_PATIENCE_SECONDS = 10.0


@dataclass(frozen=True)
class Record:
    """What we wrote down when we started a service: when it `began` since `boot`, and `since` when by the clock."""

    pid: int
    began: int
    boot: str
    since: str
    mark: str
    command: tuple[str, ...]


def start(command: Sequence[str], environment: Mapping[str, str], folder: Path, log: Path) -> Record:
    """Start a service and write its record; its output is appended to `log`."""
    folder.mkdir(parents=True, exist_ok=True)
    mark = f"{folder}:{secrets.token_hex(8)}"
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            env={**environment, MARK: mark},
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    record = Record(
        child.pid, _began(child.pid), boot_name(), now().isoformat(timespec="seconds"), mark, tuple(command)
    )
    _record_path(folder).write_text(json.dumps(asdict(record), indent=1))
    return record


def recorded(folder: Path) -> Record | None:
    """The record of the last start, if there is one; a half-written one counts as none."""
    try:
        fields = json.loads(_record_path(folder).read_text())
        return Record(**{**fields, "command": tuple(fields["command"])})
    except (FileNotFoundError, json.JSONDecodeError, TypeError, KeyError):
        return None


def is_alive(record: Record) -> bool:
    """Say whether the very process we started still runs."""
    with suppress(psutil.Error):
        process = psutil.Process(record.pid)
        return _is_leader(process, record) and not _has_ended(process)
    return False


def members(folder: Path) -> list[psutil.Process]:
    """Every living process of the service in `folder`, its orphans included, even when its leader or record is gone."""
    record = recorded(folder)
    return [process for process in _others() if _belongs(process, folder, record)]


def memory_bytes(processes: Sequence[psutil.Process]) -> int:
    """Resident memory of some processes together; a page that two of them share counts twice."""
    total = 0
    for process in processes:
        with suppress(psutil.Error):
            total += process.memory_info().rss
    return total


def stop(folder: Path) -> int:
    """End the service with all its children, kindly first; return how many processes there were."""
    found = members(folder)
    _signal(found, signal.SIGTERM)
    _wait_gone(folder, TERM_PATIENCE_SECONDS)
    _signal(members(folder), signal.SIGKILL)
    _wait_gone(folder, KILL_PATIENCE_SECONDS)
    left = members(folder)
    if left:
        pids = ", ".join(str(process.pid) for process in left)
        raise ServiceError(f"{folder.name}: processes {pids} do not end even on SIGKILL; see {folder}")
    _record_path(folder).unlink(missing_ok=True)
    return len(found)


def _record_path(folder: Path) -> Path:
    return folder / "process.json"


def boot_name() -> str:
    """What tells one start of this machine from another; by its hour only where the system has no name for it."""
    try:
        return BOOT_ID.read_text().strip()
    except OSError:
        return str(round(psutil.boot_time() / 3600))


def _began(pid: int) -> int:
    try:
        return began_at(pid)
    except psutil.NoSuchProcess:
        return -1  # it died at once; nothing will ever match


def _is_leader(process: psutil.Process, record: Record) -> bool:
    return (process.pid, record.boot) == (record.pid, boot_name()) and began_at(process.pid) == record.began


def _others() -> Iterator[psutil.Process]:
    own = os.getpid()
    return (process for process in psutil.process_iter() if process.pid != own)


def _belongs(process: psutil.Process, folder: Path, record: Record | None) -> bool:
    """By the mark in its environment, or, where that is gone or overwritten with a title, by our session."""
    with suppress(psutil.Error, ProcessLookupError, PermissionError):
        if _has_ended(process):
            return False
        return _is_marked(process, folder) or (record is not None and _in_session(process, record))
    return False


def _has_ended(process: psutil.Process) -> bool:
    """A zombie with threads left is still on its way out: it holds its ports, its memory and the locks on its files."""
    return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1


def _is_marked(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.environ().get(MARK, "").startswith(f"{folder}:")
    except (psutil.AccessDenied, psutil.ZombieProcess):
        return False  # another user's; or one whose first thread is gone, and its environment with it


def _in_session(process: psutil.Process, record: Record) -> bool:
    """A session's number stays taken while a member lives, so only a reboot or a foreign leader can mislead us."""
    if os.getsid(process.pid) != record.pid or boot_name() != record.boot:
        return False
    leader_changed = psutil.pid_exists(record.pid) and not _is_leader(psutil.Process(record.pid), record)
    return not leader_changed and began_at(process.pid) >= record.began


def _signal(processes: Sequence[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        with suppress(psutil.Error):
            process.send_signal(number)  # psutil checks the creation time first


def _wait_gone(folder: Path, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while members(folder) and time.monotonic() < deadline:
        time.sleep(0.1)
