"""Alerts: who hears of a broken promise, once when it breaks and once when it is kept again.

A line of JSON in `<home>/alerts/alerts.jsonl`, always; one message to the webhook, when one is set.
"""

import json
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jobs.lake.ledger import Ledger, as_json
from jobs.lake.settings import Settings
from jobs.ops.promises import Key, in_words

log = logging.getLogger("reelhouse.alerts")

TABLE = "ops.promises"
PATIENCE_SECONDS = 5
REMEMBERED = timedelta(hours=24)  # what is broken for longer without being measured is told again
BROKEN, KEPT = "broken", "kept again"
TOLD = ("table", "property", "promised", "measured", "unit", "detail", "runbook")
Row = Mapping[str, Any]


def broken_before(ledger: Ledger, at: datetime) -> set[Key]:
    """The promises that were broken when they were last measured, within a day before `at`."""
    import pyarrow.compute as pc

    rows = ledger.read(
        TABLE, ["measured_at", "table", "property", "is_kept"], pc.field("measured_at") > at - REMEMBERED
    )
    newest = {(row["table"], row["property"]): row["is_kept"] for row in rows.sort_by("measured_at").to_pylist()}
    return {key for key, is_kept in newest.items() if not is_kept}


def changes(promises: Iterable[Row], before: set[Key]) -> list[dict[str, Any]]:
    """What is news: promises broken that were not, and those kept again."""
    news = []
    for row in promises:
        was_kept = (row["table"], row["property"]) not in before
        if row["is_kept"] != was_kept:
            state = {"at": row["measured_at"], "state": KEPT if row["is_kept"] else BROKEN}
            news.append(state | {name: row[name] for name in TOLD})
    return news


def tell(settings: Settings, news: list[dict[str, Any]]) -> Path:
    """Append the news to the file, which is returned, and send them to the webhook, whose silence breaks nothing."""
    file = settings.home / "alerts" / "alerts.jsonl"
    if news:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as lines:
            lines.writelines(as_json(one) + "\n" for one in news)
        if settings.alert_webhook:
            send(settings.alert_webhook, "\n".join(sentence(one) for one in news))
    return file


def sentence(row: Row) -> str:
    """A promise in one line for people."""
    unit = row["unit"]
    state = f" {row['state']}" if "state" in row else ""
    return (
        f"{row['table']}: {row['property']}{state}: promised {in_words(row['promised'], unit)}, measured "
        f"{in_words(row['measured'], unit)} ({row['detail']}); see {row['runbook']}"
    )


def send(url: str, text: str) -> bool:
    """Post one message; the warning of a failure names the host only, for the rest of such an address is a secret."""
    import requests

    try:
        answer = requests.post(
            url, data=json.dumps({"text": text}), headers={"Content-Type": "application/json"}, timeout=PATIENCE_SECONDS
        )
        answer.raise_for_status()
    except requests.RequestException as failure:
        log.warning(
            "the alert webhook at %s did not take the message: %s", urlsplit(url).hostname, type(failure).__name__
        )
        return False
    return True
