"""Compiles the kernels once and keeps the result, so that a new process starts in a fraction of a second.

The kernels are plain Python over arrays. A caller with few events sets `is_plain` before it imports the engine, and
they run as they stand: importing the compiler would take longer than the work.

Numba looks at one file's age only; our cache folder is named after the content of every kernel file, so a kernel never
runs stale code. It lies beside the source where that can be written, else in the user's cache folder.
"""

import hashlib
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])
HERE = Path(__file__).parent
KERNELS = (
    *(f"funnel/{name}.py" for name in (
        "order", "linear", "gapped", "matching", "nodes", "search", "signs", "smallest", "unordered", "optional",
        "attempts", "repeats")),
    "events/scan.py",
    "compiled.py",  # how they are compiled
)  # fmt: skip


is_plain = False


@cache
def _use_cache_dir() -> None:
    import numba

    digest = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in KERNELS)).hexdigest()[:12]
    for parent in (
        HERE / "__pycache__",
        Path.home() / ".cache" / "reelhouse",
        Path(tempfile.gettempdir()) / "reelhouse",
    ):
        folder = parent / f"kernels-{numba.__version__}-{digest}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / ".writable").touch()
        except OSError:
            continue
        numba.config.CACHE_DIR = str(folder)  # type: ignore[attr-defined]
        return


def compiled(function: F) -> F:
    """The function as machine code, cached on disk, free of Python's lock while it runs; or as it stands."""
    return _as_machine_code(function, {})


def inlined(function: F) -> F:
    """The same for a part of a kernel that makes no array: it becomes a piece of whoever calls it.

    Numba counts references to each array that a call hands on. A tuple of arrays, handed on for every field of every
    body, costs more in that than the reading; where nothing is made, nothing needs counting (`_nrt`).
    """
    return _as_machine_code(function, {"forceinline": True, "_nrt": False})


def _as_machine_code(function: F, how: dict[str, Any]) -> F:
    if is_plain:
        return function
    import numba

    _use_cache_dir()
    machine_code: Any = numba.njit(cache=True, nogil=True, **how)(function)
    return machine_code  # type: ignore[no-any-return]
