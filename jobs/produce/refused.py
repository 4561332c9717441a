"""What cannot be sent is kept, with the reason, one JSON object a line."""

import base64
import json
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from jobs.produce.records import Record, now_us, rfc3339


class Refused:
    """The refused records of one producer's run; the file appears with the first of them."""

    def __init__(self, folder: Path, name: str) -> None:
        """Nothing is written until something is refused."""
        self.path = folder / f"{name}.jsonl"
        self.reasons: Counter[str] = Counter()
        self._file: IO[str] | None = None

    @property
    def count(self) -> int:
        """How many were refused since this run began."""
        return sum(self.reasons.values())

    def keep(self, record: Record, faults: Mapping[str, str], place: str = "") -> None:
        """Write one record down with what is wrong (reason → explanation); its value as text, or in base64."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("a", encoding="utf-8")
        self.reasons.update(list(faults)[:1])
        line = {
            "topic": record.topic,
            "reasons": list(faults),
            "detail": list(faults.values()),
            "place": place,
            "refused_at": rfc3339(now_us()),
            "key": None if record.key is None else record.key.decode(errors="replace"),
            **_legible(record.value),
            "headers": {name: content.decode(errors="replace") for name, content in record.headers},
        }
        self._file.write(json.dumps({name: value for name, value in line.items() if value not in ("", {})}) + "\n")

    def sync(self) -> None:
        """Force what was kept to disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """No more will be refused."""
        if self._file is not None:
            self.sync()
            self._file.close()


def _legible(value: bytes | None) -> dict[str, str | None]:
    if value is None:
        return {"value": None}
    try:
        return {"value": value.decode("utf-8")}
    except UnicodeDecodeError:
        return {"value_base64": base64.b64encode(value).decode()}
