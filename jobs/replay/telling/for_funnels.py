"""A log's facts as the lines that `reelhouse funnel evaluate` reads: no broker, no lake, no Spark."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from jobs.definitions.funnel.vocabulary import TOPIC_PREFIX
from jobs.replay.telling.events import Told, told
from jobs.replay.telling.log import Log
from jobs.replay.telling.sending import Fates

ENVELOPE = ("event_id", "event_time", "kind", "user_id")


def write_for_funnels(log: Log, path: Path) -> Fates:
    """Write every fact as one JSON line: subject, event_time (µs), event_id, event, and its properties."""
    fates = Fates(log.rows_in, unreadable=Counter(refused=len(log.unreadable)))
    with path.open("wb") as file:
        for event in facts(log):
            file.write(orjson.dumps(_line(event, log.source)) + b"\n")
            fates.sent[event.topic, event.body["kind"]] += 1
    return fates


def facts(log: Log) -> Iterator[Told]:
    """The events that a funnel may name, in the log's order."""
    return (event for event in told(log) if event.topic in TOPIC_PREFIX)


def _line(event: Told, source: str) -> dict[str, Any]:
    """The event under the names funnels know; `source_uri` tells the log, as it does in silver."""
    body = event.body
    properties = {name: value for name, value in body.items() if name not in ENVELOPE}
    return {
        "subject": body["user_id"],
        "event_time": body["event_time"],
        "event_id": body["event_id"],
        "event": TOPIC_PREFIX[event.topic] + body["kind"],
        "source_uri": source,
    } | properties
