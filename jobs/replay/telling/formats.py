"""Which formats there are: the modules of `jobs.replay`, each with its `read(path, shift_to)`."""

from collections.abc import Callable
from datetime import date
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import jobs.replay
from jobs.lake.errors import UsageError
from jobs.replay.telling.log import Log

Reader = Callable[[Path, date | None], Log]


def formats() -> list[str]:
    """Every format that can be replayed."""
    return sorted(module.name for module in iter_modules(jobs.replay.__path__) if not module.ispkg)


def reader(name: str) -> Reader:
    """The reader of a format; UsageError lists those there are."""
    if name not in formats():
        raise UsageError(f"no format {name!r}; use one of {', '.join(formats())}, or add jobs/replay/{name}.py")
    read: Reader = import_module(f"jobs.replay.{name}").read
    return read
