"""What an earlier demo has sent already, so that a second one sends nothing again."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sent:
    """One source of events: the simulator (seed and size) or a public log (its name)."""

    source: str
    size: int
    seed: int

    def is_noted(self, file: Path) -> bool:
        """Whether `file` says this very source went out whole."""
        return file.exists() and asdict(self) in json.loads(file.read_text(encoding="utf-8"))

    def note(self, file: Path) -> None:
        """Remember that this source went out whole."""
        known = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".new")
        unfinished.write_text(json.dumps([*known, asdict(self)]), encoding="utf-8")
        unfinished.replace(file)
