"""One broken promise, as every check of `reelhouse contracts check` reports it."""

from collections.abc import Iterable
from dataclasses import dataclass


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


def repeated(names: Iterable[str]) -> list[str]:
    """The names that come more than once, sorted."""
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]
