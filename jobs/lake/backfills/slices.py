"""Slices of a backfill: some days, a bucket of users, or one version of a funnel, each made anew by itself."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True)
class DaysSlice:
    """Rows of these days, in order."""

    days: tuple[date, ...]

    @property
    def name(self) -> str:
        """`2026-03-01` or `2026-03-01..2026-03-07`."""
        first, last = self.days[0], self.days[-1]
        return str(first) if first == last else f"{first}..{last}"


@dataclass(frozen=True)
class UsersSlice:
    """Rows of the users whose hash falls into bucket `number` (from 1) of `of`."""

    number: int
    of: int

    @property
    def name(self) -> str:
        """`users 3 of 16`."""
        return f"users {self.number} of {self.of}"


@dataclass(frozen=True)
class FunnelSlice:
    """Rows of one version of one funnel."""

    funnel: str
    version: int

    @property
    def name(self) -> str:
        """`checkout@2`."""
        return f"{self.funnel}@{self.version}"


Slice = DaysSlice | UsersSlice | FunnelSlice
