"""Where the real logs are (or REELHOUSE_TEST_LOGS), and how a test reads what a log is told as."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.settings import ROOT
from jobs.replay.telling.events import told
from jobs.replay.telling.log import Log

DATA = Path(os.environ.get("REELHOUSE_TEST_LOGS") or ROOT.parent / "shared" / "data")
Bodies = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def real() -> Callable[[str], Path]:
    """The folder of a real log; a test that asks for one is skipped where the logs are not."""

    def find(name: str) -> Path:
        folder = DATA / name
        if not folder.is_dir():
            pytest.skip(f"the real log {name} is not there: no folder ../shared/data/{name}")
        return folder

    return find


@pytest.fixture
def bodies() -> Bodies:
    """The bodies of a log's events in their order; of one topic, or one topic and kind."""

    def pick(log: Log, topic: str = "", kind: str = "") -> list[dict[str, Any]]:
        events = [event for event in told(log) if topic in ("", event.topic)]
        return [event.body for event in events if kind in ("", event.body["kind"])]

    return pick
