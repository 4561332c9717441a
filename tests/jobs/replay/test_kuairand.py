"""kuairand: a view, what was done at its end, and rows that come hours late."""

from collections import Counter
from datetime import date

import pytest

from jobs.lake.errors import UsageError
from jobs.replay.kuairand import COLUMNS, read

NINE = 1_649_552_400_000  # ms: 2022-04-10 09:00 in Beijing
DEFAULT = {"user_id": "7", "video_id": "70", "date": "20220410", "hourmin": "900", "time_ms": NINE, "label": 1,
           "play_time_ms": 5_000, "duration_ms": 8_000, "timestamp": "-"}  # fmt: skip


@pytest.fixture
def log(tmp_path):
    """Write a log of rows (what they differ in) and read it."""

    def make(*rows, shift_to=None, tail=""):
        lines = ["\t".join(COLUMNS)]
        lines += ["\t".join(str((DEFAULT | row).get(name, 0)) for name in COLUMNS) for row in rows]
        (tmp_path / "log.csv").write_text("\n".join(lines) + "\n" + tail)
        return read(tmp_path / "log.csv", shift_to)

    return make


def test_a_row_is_a_play_and_what_was_done_happens_at_its_end(log, bodies):
    one = log({"is_follow": 1, "is_comment": 1, "is_forward": 1, "comment_stay_time": 300})
    (play,) = bodies(one, "views")
    assert (play["kind"], play["event_time"]) == ("play", NINE * 1000)
    assert (play["watch_ms"], play["duration_ms"], play["comment_stay_ms"]) == (5_000, 8_000, 300)
    acts = bodies(one, "likes")
    assert {act["kind"] for act in acts} == {"like", "comment", "share", "follow"}
    assert {act["event_time"] for act in acts} == {(NINE + 5_000) * 1000}
    assert [act["creator_id"] for act in acts if act["kind"] == "follow"] == ["creator-of-70"]


def test_a_hate_is_no_interest(log, bodies):
    assert [act["kind"] for act in bodies(log({"label": 0}), "likes")] == ["not_interested"]


def test_a_length_of_zero_is_unknown(log, bodies):
    one = log({"duration_ms": 0})
    assert "duration_ms" not in bodies(one, "views")[0]
    assert "duration_ms" not in bodies(one, "videos")[0]


def test_rows_are_told_in_the_order_of_their_hour_partition(log, bodies):
    late = {"user_id": "late", "time_ms": NINE - 60_000, "hourmin": "900"}  # 08:59, filed under nine
    told = bodies(
        log({"user_id": "early", "time_ms": NINE - 1_000, "hourmin": "800"}, late, {"time_ms": NINE + 1}), "views"
    )
    assert [play["user_id"] for play in told] == ["early", "late", "7"]


def test_videos_are_there_before_they_are_watched(log, bodies):
    told = bodies(log({"duration_ms": 0}, {"duration_ms": 9_000}))
    assert told[0]["kind"] == "published"
    assert told[0]["duration_ms"] == 9_000
    assert told[0]["event_time"] == 1_649_520_000_000_000  # midnight of the first local day


def test_exact_repeats_are_one_event_and_other_rows_are_not(log, bodies):
    told = bodies(log({}, {}, {"play_time_ms": 6_000}), "views")
    assert sorted(Counter(play["event_id"] for play in told).values()) == [1, 2]


def test_a_moved_log_keeps_the_time_of_day_and_has_other_ids(log, bodies):
    there, here = log({}), log({}, shift_to=date(2026, 11, 22))
    (before,), (after,) = bodies(there, "views"), bodies(here, "views")
    days, rest = divmod(after["event_time"] - before["event_time"], 86_400_000_000)
    assert (days, rest) == ((date(2026, 11, 22) - date(2022, 4, 10)).days, 0)
    assert before["event_id"] != after["event_id"]


def test_users_of_the_log_are_told_where_the_side_table_is(log, bodies, tmp_path):
    side = "user_id,user_active_degree,register_days,follow_user_num_range,fans_user_num_range,register_days_range\n"
    (tmp_path / "user_features_pure.csv").write_text(side + "7,full_active,2,500+,0,1-30\n8,full_active,9,0,0,1-30\n")
    (user,) = bodies(log({}), "users")
    assert (user["user_id"], user["registered_at"]) == ("7", 1_649_520_000_000_000 - 2 * 86_400_000_000)


def test_a_row_that_was_cut_is_set_aside_and_the_rest_is_told(log, bodies):
    one = log({}, {"label": 3}, tail="27281\t256")
    assert [(row.reason, row.place) for row in one.unreadable] == [
        ("malformed: not 16 fields", "log.csv:4"),
        ("out_of_range:label", "log.csv:3"),
    ]
    assert one.unreadable[0].row == b"27281\t256"
    assert (one.rows_in, len(bodies(one, "views"))) == (3, 1)


def test_a_file_of_another_format_is_refused(tmp_path):
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"other\.csv: holds no KuaiRand log"):
        read(tmp_path / "other.csv")


def test_the_real_log_is_told_whole(real, bodies):
    log = read(real("kuairand"))
    assert (log.rows_in, log.unreadable) == (41_828, ())
    counts = {(stream.topic, stream.kind): stream.rows.height for stream in log.streams}
    assert counts[("views", "play")] == 41_828
    assert [counts[("likes", kind)] for kind in ("like", "not_interested", "comment", "share", "follow")] == [
        33_745, 8_083, 1_258, 326, 304,
    ]  # fmt: skip
    assert counts[("users", "registered")] == 664
    plays = bodies(log, "views")
    assert len(plays) - len({play["event_id"] for play in plays}) == 116
    hours = [tuple(map(int, play["log_hour"].split())) for play in plays]
    assert hours == sorted(hours)
