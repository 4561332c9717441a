"""The watermark: strictly below it, a set of topics is complete. Worked out from what the sources said on `control`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from jobs.lake.ledger import Ledger

TABLE = "ops.watermarks"


@dataclass(frozen=True)
class Word:
    """The newest word of one source about one topic."""

    complete_until: datetime
    is_final: bool


def watermark(ledger: Ledger, topics: Sequence[str]) -> datetime | None:
    """The least over the topics; None while nobody has spoken for one of them. It never falls back."""
    import pyarrow.compute as pc

    said = pc.field("topic").isin(list(topics)) & pc.field("offsets_reached")
    rows = ledger.read(TABLE, filter=said).to_pylist()
    return highest(rows, topics)


def highest(rows: Iterable[dict[str, Any]], topics: Sequence[str]) -> datetime | None:
    """The highest level the topics had after any batch: a source that joins late takes nothing back."""
    words: dict[str, dict[str, Word]] = defaultdict(dict)
    levels = []
    for _, batch in groupby(sorted(rows, key=lambda row: row["ingest_seq"]), key=lambda row: row["ingest_seq"]):
        for row in sorted(batch, key=lambda row: row["complete_until"]):
            words[row["topic"]][row["source"]] = Word(row["complete_until"], row["is_final"])
        found = [level(words[topic].values()) for topic in topics]
        levels += [min(at for at in found if at)] if found and all(found) else []
    return max(levels, default=None)


def level(words: Iterable[Word]) -> datetime | None:
    """How far one topic is complete: the least over its active sources, or, once all have ended, the greatest."""
    spoken = list(words)
    active = [word.complete_until for word in spoken if not word.is_final]
    return min(active) if active else max((word.complete_until for word in spoken), default=None)
