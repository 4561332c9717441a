"""Start services side by side, stop them to the last process, tell how they are."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from jobs.lake.errors import ReelhouseError, ServiceError
from jobs.lake.services import process
from jobs.lake.services.service import Service, answers

Say = Callable[[str, str], None]  # told the service's name and what happens to it
LOOK_EVERY_SECONDS = 0.5
TELL_EVERY_SECONDS = 15.0
LOG_TAIL_LINES = 12


def up(services: Sequence[Service], say: Say) -> None:
    """Bring every service to serving, all at once; one that fails does not hold up the others, but is raised."""
    _each(services, lambda service: _up(service, say))


def down(services: Sequence[Service], say: Say) -> None:
    """End every service of ours to its last process, orphans of a crash included; outside ones are left alone."""
    _each(services, lambda service: _down(service, say))


def status(services: Sequence[Service]) -> list[dict[str, object]]:
    """One row a service: state, pid, address, memory, since when, log."""
    with ThreadPoolExecutor(len(services) or 1) as pool:
        return list(pool.map(_status, services))


def _each(services: Sequence[Service], work: Callable[[Service], None]) -> None:
    """Do the work for all at once and raise the first failure, with all messages, when all are done."""
    with ThreadPoolExecutor(len(services) or 1) as pool:
        done = [pool.submit(work, service) for service in services]
    failures = [failure for failure in (one.exception() for one in done) if failure]
    for failure in failures:
        if not isinstance(failure, ReelhouseError):
            raise failure
    if len(failures) > 1:
        raise ServiceError("\n".join(str(failure) for failure in failures)) from failures[0]
    if failures:
        raise failures[0]


def _up(service: Service, say: Say) -> None:
    if service.outside:
        _greet_outside(service, say)
        return
    began = time.monotonic()
    with _alone(service):
        if not _is_well_already(service, say):
            _bring_up(service, say)
    service.settle()
    say(service.name, f"serves at {service.address} after {time.monotonic() - began:.0f} s")


def _is_well_already(service: Service, say: Say) -> bool:
    """Wait for the one that runs; false when there is none, or when it was only on its way out."""
    record = process.recorded(service.folder)
    if record is None or not process.is_alive(record):
        return False
    say(service.name, "runs already")
    return _gets_well(service, record, say)


def _bring_up(service: Service, say: Say) -> None:
    """Start ours; a ServiceError shows its last words when it ends instead."""
    if not _gets_well(service, _start(service, say), say):
        raise ServiceError(f"{service.name}: it ended while starting; see {service.log}\n{_tail(service)}")
    service.warm()


def _greet_outside(service: Service, say: Say) -> None:
    if not service.is_well():
        raise ServiceError(f"{service.name}: the outside one at {service.outside} does not answer")
    service.settle()
    say(service.name, f"the outside one at {service.outside} serves")


def _start(service: Service, say: Say) -> process.Record:
    """Start ours, after clearing away what a crash may have left."""
    left = process.stop(service.folder)
    if left:
        say(service.name, f"cleared away {left} processes of an earlier crash")
    for setting, port in service.ports.items():
        if answers(port):
            raise ServiceError(f"{service.name}: port {port} is taken by another program; free it or set {setting}")
    say(service.name, "starting")
    service.prepare()
    return process.start(service.command(), service.environment(), service.folder, service.log)


def _gets_well(service: Service, record: process.Record, say: Say) -> bool:
    """Wait until it serves; false when it ends before."""
    began = told = time.monotonic()
    while not service.is_well():
        now = time.monotonic()
        if not process.is_alive(record):
            return False
        if now - began > service.patience_seconds:
            waited = f"not well after {service.patience_seconds:.0f} s"
            raise ServiceError(f"{service.name}: {waited}; see {service.log}\n{_tail(service)}")
        if now - told > TELL_EVERY_SECONDS:
            say(service.name, f"still starting after {now - began:.0f} s")
            told = now
        time.sleep(LOOK_EVERY_SECONDS)
    return True


def _tail(service: Service) -> str:
    with service.log.open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 20_000))
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(f"  | {line[:200]}" for line in lines[-LOG_TAIL_LINES:])


def _down(service: Service, say: Say) -> None:
    if service.outside:
        say(service.name, "is an outside one, left alone")
        return
    with _alone(service):
        ended = process.stop(service.folder)
    say(service.name, f"stopped, {ended} processes ended" if ended else "was not running")


def _status(service: Service) -> dict[str, object]:
    well = service.is_well()
    row: dict[str, object] = {"service": service.name, "state": "", "address": service.address, "pid": None}
    if service.outside:
        return row | {"state": "outside" if well else "outside, silent", "memory_mb": None, "since": None, "log": None}
    record = process.recorded(service.folder)
    alive = record is not None and process.is_alive(record)
    mine = process.members(service.folder)
    return row | {
        "state": _state(alive, well, bool(mine)),
        "pid": record.pid if record and alive else None,
        "memory_mb": process.memory_bytes(mine) // 2**20,
        "since": record.since if record and alive else None,
        "log": str(service.log),
    }


def _state(alive: bool, well: bool, any_left: bool) -> str:
    if alive:
        return "serving" if well else "not well"
    return "crashed" if any_left else "stopped"


@contextmanager
def _alone(service: Service) -> Iterator[None]:
    """Let one starter or stopper at a time near a service; the lock ends with the process that holds it."""
    service.folder.mkdir(parents=True, exist_ok=True)
    with (service.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
