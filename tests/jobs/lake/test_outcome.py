"""What a run of ingest says of itself in one line."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.hours import COUNTS
from jobs.lake.ingest.outcome import outcome
from jobs.lake.ingest.steps import Done
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings


def line(**counts: int) -> dict[str, Any]:
    place = {"topic": "control", "topic_id": "t", "partition": 0, "offset_from": 0, "offset_to": 1}
    return place | dict.fromkeys(COUNTS, 0) | counts


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({"received": 1, "accepted": 1}, "1 batches: 1 received, 1 accepted, 0 duplicate, 0 quarantined"),
        (
            {"received": 1, "accepted": -129, "quarantined": 130},
            "1 batches: 1 received, -129 accepted, 0 duplicate, 130 quarantined; below none: of what came before more "
            "was taken back or judged anew; 3 new files",
        ),
    ],
)
def test_less_than_none_is_explained(tmp_path: Path, counts: dict[str, int], said: str) -> None:
    settings = Settings(home=tmp_path)
    done = Done(1, [line(**counts)], [("silver.views", date(2026, 6, 1))])
    notes = ["3 new files"] if "3 new files" in said else []
    assert outcome([done], Ledger(settings), settings, notes)["message"] == said
