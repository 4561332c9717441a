"""A batch has one time limit for all its records."""

import time
from collections.abc import Callable

import pytest

from jobs.lake.settings import Settings
from jobs.produce import delivery
from jobs.produce.delivery import Delivery, Flight
from jobs.produce.records import Record


class Never:
    """What a client that lost its connection may leave behind."""

    is_done = False
    exception = None

    def get(self, timeout: float) -> None:
        time.sleep(timeout)
        raise TimeoutError


class Placed(Never):
    is_done = True
    value = type("Placed", (), {"topic": "likes", "partition": 0, "offset": 4})


@pytest.fixture
def finish(monkeypatch: pytest.MonkeyPatch) -> Callable[..., delivery.Outcome]:
    monkeypatch.setattr(delivery, "DELIVERY_SECONDS", 0.2)
    monkeypatch.setattr(delivery, "REQUEST_SECONDS", 0.1)
    return Delivery(Settings(), "test").finish


RECORDS = [Record("likes", b"u", str(number).encode(), []) for number in range(1000)]


def test_a_batch_whose_results_never_come_is_given_up_as_a_whole(finish):
    began = time.monotonic()
    outcome = finish(Flight(RECORDS, [Never() for _ in RECORDS]))
    assert time.monotonic() - began < 10, "the limit is the batch's, not each record's"
    assert (outcome.again, outcome.acknowledged) == (RECORDS, 0)
    assert "no result within" in outcome.trouble


def test_what_arrived_counts_however_late_it_is_looked_at(finish):
    flight = Flight(RECORDS[:2], [Placed(), Never()], begun=time.monotonic() - 60)
    outcome = finish(flight)
    assert (outcome.acknowledged, outcome.again) == (1, RECORDS[1:2])
