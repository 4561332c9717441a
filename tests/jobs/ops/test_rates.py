"""ops.rates tells, of every topic, how many records a second came in between two measurings."""

from datetime import UTC, datetime, timedelta

from jobs.ops.rates import Window, build

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_lines_are_added_up_by_topic_and_a_silent_topic_has_zeros():
    line = {"topic": "views", "received": 30, "accepted": 20, "quarantined": 10}
    displaced = {"topic": "views", "received": 0, "accepted": -2, "quarantined": 2}
    rows = build([line, displaced], ["views", "likes"], Window(AT - timedelta(seconds=10), AT, 7), run_id="r")
    names = ("topic", "received_count", "accepted_count", "received_per_second", "accepted_per_second")
    assert [tuple(row[name] for name in names) for row in rows] == [("likes", 0, 0, 0.0, 0.0),
                                                                    ("views", 30, 18, 3.0, 1.8)]  # fmt: skip
    assert {(row["measured_at"], row["counted_seq"], row["run_id"]) for row in rows} == {(AT, 7, "r")}


def test_of_no_time_there_is_no_rate():
    assert build([], ["views"], Window(AT, AT, 7), run_id="r") == []
