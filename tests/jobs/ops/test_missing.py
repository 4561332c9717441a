"""Numbers are lost where a higher one of their epoch came lately, whatever runs and batches they came in."""

import random
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from jobs.ops.missing import RUN, Numbers, numbers_of

AT = datetime(2026, 11, 20, tzinfo=UTC)
BEFORE, SINCE = AT - timedelta(hours=30), AT - timedelta(hours=24)
WHEN = ("recorded_at", pa.timestamp("us", "UTC"))
FORM = pa.schema([("producer_id", pa.string()), *((name, pa.int64()) for name in RUN[1:5]), WHEN])
Run = tuple[str, int, int, int, int, datetime]


def run(first: int, last: int, at: datetime = AT, *, by: str = "ios", epoch: int = 1, records: int = 0) -> Run:
    return by, epoch, first, last, records or last - first + 1, at


def told(*runs: Run) -> Numbers:
    rows = [dict(zip(RUN, each, strict=True)) for each in runs]
    return numbers_of(pa.Table.from_pylist(rows, FORM), SINCE, {})


def counts(*runs: Run) -> tuple[int, int, int, int]:
    found = told(*runs)
    return found.received, found.repeated, found.lost, found.epochs


def test_what_lies_between_the_last_before_and_the_first_since_is_lost_until_it_comes() -> None:
    assert counts(run(0, 9, BEFORE), run(20, 29)) == (10, 0, 10, 1)
    assert counts(run(0, 9, BEFORE), run(20, 29), run(10, 18)) == (19, 0, 1, 1)
    assert counts(run(0, 9, BEFORE), run(20, 29), run(10, 19)) == (20, 0, 0, 0)


def test_a_gap_that_was_known_before_is_not_told_again() -> None:
    assert counts(run(0, 9, BEFORE), run(20, 29, BEFORE), run(30, 39)) == (10, 0, 0, 0)
    assert counts(run(0, 9, BEFORE), run(20, 29, BEFORE), run(20, 39)) == (10, 10, 0, 0), "beyond it nothing is new"


def test_what_came_again_is_no_new_number_wherever_it_was_first() -> None:
    assert counts(run(0, 9, BEFORE), run(5, 12, records=9)) == (3, 6, 0, 0)
    assert counts(run(0, 99, BEFORE), run(5, 6), run(50, 60), run(100, 100)) == (1, 13, 0, 0)


def test_epochs_and_producers_have_numbers_of_their_own() -> None:
    found = told(
        run(0, 4), run(7, 8, by="web"), run(10, 11, by="web"), run(9, 9, by="web", epoch=2), run(3, 5, epoch=2)
    )
    assert (found.lost, found.epochs, found.producers) == (1, 1, ("web",))
    both = told(run(0, 0), run(2, 2), run(0, 0, epoch=2), run(3, 3, epoch=2))
    assert (both.lost, both.epochs, both.producers) == (3, 2, ("ios",))
    assert counts() == (0, 0, 0, 0)


def test_however_the_numbers_were_cut_into_runs_the_counts_are_those_of_the_numbers() -> None:
    chance = random.Random(7)
    for _ in range(40):
        runs = [
            run(first, first + chance.choice((0, 1, 9)), chance.choice((BEFORE, AT)), by=chance.choice("ab"))
            for first in (chance.randrange(60) + 2**52 for _ in range(8))
        ]
        numbers = {at: {(r[0], n) for r in runs if r[5] == at for n in range(r[2], r[3] + 1)} for at in (BEFORE, AT)}
        new = numbers[AT] - numbers[BEFORE]
        records = sum(r[4] for r in runs if r[5] == AT)
        found = told(*runs)
        assert (found.received, found.repeated) == (len(new), records - len(new))
        assert found.lost == lost(runs)


def lost(runs: list[Run]) -> int:
    """Number by number: missing, and the next that came is the first of a run that only came lately."""
    missing = 0
    for who in "ab":
        mine = [r for r in runs if r[0] == who]
        there = {n for r in mine for n in range(r[2], r[3] + 1)}
        starts = {first: min(r[5] for r in mine if r[2] == first) for _, _, first, *_ in mine}
        for number in set(range(min(there, default=0), max(there, default=0))) - there:
            missing += starts[min(n for n in there if n > number)] == AT
    return missing
