"""Where run events go: to the OpenLineage API that a setting names, else into a file a day.

A sink that does not answer never fails a job: the event waits in a spool, and goes out before the next one that does.
"""

import json
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.lake.settings import Settings

if TYPE_CHECKING:
    from openlineage.client.event_v2 import RunEvent

log = logging.getLogger("reelhouse.lineage")

PATIENCE_SECONDS = 3.0
SPOOL = "unsent.jsonl"


def emit(settings: Settings, event: "RunEvent") -> None:
    """Deliver one event; what cannot be delivered is kept, and a warning says where."""
    from openlineage.client.serde import Serde

    folder, text = settings.home / "lineage", Serde.to_json(event)
    try:
        if settings.lineage_url:
            _deliver(settings, folder / SPOOL, text)
        else:
            _add(folder / f"{event.eventTime[:10]}.jsonl", [text])
    except OSError as full:
        log.warning("lineage: %s cannot be written (%s): one event is lost", folder, full.strerror)


def _deliver(settings: Settings, spool: Path, text: str) -> None:
    """Send what waits and then the event; from the first that is not taken on, all wait."""
    import requests

    mine = spool.with_name(f"{spool.name}.{os.getpid()}")  # taken out of the spool by one process at a time
    waiting = [*_taken(spool, mine), text]
    for number, line in enumerate(waiting):
        try:
            _send(settings, json.loads(line))
        except requests.RequestException as failure:
            _add(spool, waiting[number:])
            why, left = type(failure).__name__, len(waiting) - number
            log.warning("lineage: the sink did not take the event (%s); %d wait in %s", why, left, spool)
            break
    mine.unlink(missing_ok=True)


def _send(settings: Settings, event: dict[str, Any]) -> None:
    from openlineage.client.transport.http import HttpConfig, HttpTransport

    how: dict[str, Any] = {"url": settings.lineage_url, "timeout": PATIENCE_SECONDS, "retry": {"total": 0}}
    if settings.lineage_api_key:
        how["auth"] = {"type": "api_key", "apiKey": settings.lineage_api_key}
    HttpTransport(HttpConfig.from_dict(how)).emit(event)  # type: ignore[arg-type]


def _taken(spool: Path, mine: Path) -> list[str]:
    try:
        spool.rename(mine)
    except FileNotFoundError:
        return []
    return mine.read_text(encoding="utf-8").splitlines()


def _add(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as events:
        events.write("".join(f"{line}\n" for line in lines))
