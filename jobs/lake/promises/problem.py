"""One broken promise, as every check of `reelhouse contracts check` reports it."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Problem:
    """Where something is off, what it is, and what to do; `file` is relative to the repository."""

    file: str
    place: str
    message: str
    remedy: str

    def __str__(self) -> str:
        place = f" {self.place}:" if self.place else ""
        return f"{self.file}:{place} {self.message}; {self.remedy}"


def problem_of(path: Path, root: Path, bad: Exception) -> Problem:
    """What is wrong with a reviewed file, of whose error the words begin with its path and end in a remedy."""
    message, _, remedy = str(bad).removeprefix(str(path)).lstrip(": ").rpartition("; ")
    return Problem(str(path.relative_to(root)), "", message, remedy)


def repeated(names: Iterable[str]) -> list[str]:
    """The names that come more than once, sorted."""
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
