"""What a drill says of itself: what was done, what was expected, what was found."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One expectation and what was found of it."""

    expected: str
    found: str
    is_met: bool


@dataclass
class Report:
    """The record of one drill, told line by line while it is made."""

    drill: str
    told: Callable[[str], None]
    done: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    books: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_passed(self) -> bool:
        """Whether there were expectations and each was met."""
        return bool(self.findings) and all(finding.is_met for finding in self.findings)

    def did(self, words: str) -> None:
        """Note what was done."""
        self.done.append(words)
        self.told(f"  did       {words}")

    def equal(self, what: str, wanted: object, found: object) -> None:
        """Expect a value."""
        self._add(Finding(f"{what}: {wanted}", str(found), wanted == found))

    def says(self, who: str, words: str, said: str) -> None:
        """Expect these words among what somebody said."""
        self._add(Finding(f"{who} says: {words}", said.strip() or "(nothing)", words in said))

    def failed(self, error: Exception) -> None:
        """Note that the drill could not go on."""
        self._add(Finding("the drill goes through to its end", f"{type(error).__name__}: {error}", is_met=False))

    def row(self, seconds: float, kept: str) -> dict[str, Any]:
        """The whole record as one JSON object; `kept` names the scratch lake if it was left for a look."""
        return {
            "drill": self.drill,
            "is_passed": self.is_passed,
            "seconds": round(seconds, 1),
            "done": self.done,
            "findings": [asdict(finding) for finding in self.findings],
            "books": self.books,
            "kept": kept or None,
        }

    def _add(self, finding: Finding) -> None:
        self.findings.append(finding)
        self.told(f"  expected  {finding.expected}")
        self.told(f"  {'found' if finding.is_met else 'FOUND':9} {finding.found}")
