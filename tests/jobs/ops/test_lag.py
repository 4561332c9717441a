"""ops.lag tells, of every partition the broker has, how much ingest has not read."""

from datetime import UTC, datetime

from jobs.ops.canaries import Heard, State
from jobs.ops.lag import build

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
SINCE = datetime(2026, 11, 28, 11, 50, tzinfo=UTC)


def test_a_partition_is_behind_by_what_the_books_have_not_and_one_never_read_by_all_it_has():
    ends = {"views": {1: 10, 0: 7}, "likes": {0: 3}}
    heard = {
        ("views", "id", 1): Heard(State.broken, SINCE, None, None, "why"),
        ("views", "older", 0): Heard(State.silent),
    }
    rows = build(ends, {"views": {0: 7, 1: 4}}, {("views", 1): SINCE}, {"views": "id"}, heard, at=AT, run_id="r")
    told = [(row["topic"], row["topic_id"], row["partition"], row["behind"], row["waiting_since"]) for row in rows]
    assert told == [
        ("likes", None, 0, 3, None),
        ("views", "id", 0, 0, None),
        ("views", "id", 1, 6, SINCE),
    ]
    states = [(row["state"], row["state_reason"], row["canary_sent_at"]) for row in rows]
    assert states == [("untold", None, None), ("untold", None, None), ("broken", "why", SINCE)]
    assert {(row["measured_at"], row["run_id"]) for row in rows} == {(AT, "r")}
