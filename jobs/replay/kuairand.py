"""kuairand: short-video views with what was done on them (KuaiRand-27K, Kuaishou), and its users where known.

A row: a view with watch time, video length and flags. Rows keep the order of their hour partition (date, hourmin),
which is up to two hours later than the view, at midnight a day: real late data.
"""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import polars as pl

from jobs.replay.telling.local_time import DAY, days_to, instant, moved, start_of_day
from jobs.replay.telling.log import Log, Stream
from jobs.replay.telling.rows import Rows, cut_lines, earliest, files, latest, quoted_table, typed

ZONE = "Asia/Shanghai"
COLUMNS = ["user_id", "video_id", "date", "hourmin", "time_ms", "is_click", "is_follow", "is_comment", "is_forward",
           "long_view", "play_time_ms", "duration_ms", "comment_stay_time", "is_profile_enter", "label",
           "timestamp"]  # fmt: skip
FLAGS = ["is_click", "is_follow", "is_comment", "is_forward", "long_view", "is_profile_enter", "label"]
ACTS = (("label", 1, "like"), ("label", 0, "not_interested"), ("is_comment", 1, "comment"), ("is_forward", 1, "share"),
        ("is_follow", 1, "follow"))  # fmt: skip
WHERE = {"scene": pl.lit("short_video"), "source": pl.lit("recommend")}
MAKER = pl.format("creator-of-{}", "video_id")  # the log does not say who made a video
USERS_FILE = "user_features_pure.csv"
USERS_FOLDER = "kuairand_pure_dims"


def read(path: Path, shift_to: date | None = None) -> Log:
    """Read the log, moved so that its last local day is `shift_to`."""
    found = files(path, "\t".join(COLUMNS), "KuaiRand log")
    rows = _rows(found)
    days = days_to(latest(rows.table, "time_ms") * 1000, shift_to, ZONE)
    views = rows.table.with_columns(event_time=moved(pl.col("time_ms") * 1000, days, ZONE)).with_columns(
        arrival=pl.max_horizontal("event_time", moved(_partition_start(), days, ZONE)),
        end_time=pl.col("event_time") + pl.col("play_time_ms") * 1000,
        log_hour=pl.format("{} {}", "date", "hourmin"),
    )
    since = start_of_day(earliest(views, "event_time"), ZONE)
    streams = (*_users(found[0], views, since), _videos(views, since), _plays(views), *_acts(views))
    return Log("kuairand", ZONE, rows.count, streams, rows.unreadable, latest(views, "event_time"))


def _rows(found: list[Path]) -> Rows:
    numbers = ["time_ms", "play_time_ms", "duration_ms", "comment_stay_time", *FLAGS]
    return typed(
        cut_lines(found, COLUMNS, "\t", has_header=True),
        dict.fromkeys(numbers, pl.Int64()),
        {"wrong_type:hourmin": _partition_start().is_not_null(), "out_of_range:label": pl.col("label").is_in([0, 1])},
    )


def _partition_start() -> pl.Expr:
    """The hour (µs) under which the log filed the row: `20220410` and `700` are 07:00 of that day."""
    day = pl.col("date").str.to_date("%Y%m%d", strict=False).cast(pl.Datetime("us"))
    return instant(day + pl.duration(hours=pl.col("hourmin").cast(pl.Int64, strict=False) // 100), ZONE)


def _plays(views: pl.DataFrame) -> Stream:
    plays = views.select(
        "event_time", "arrival", "user_id", "video_id", "is_click", "long_view", "is_profile_enter", "log_hour",
        watch_ms=pl.col("play_time_ms"),
        duration_ms=pl.col("duration_ms").replace(0, None),  # the log writes 0 where it does not know the length
        comment_stay_ms=pl.col("comment_stay_time"),
        **WHERE,
    )  # fmt: skip
    return Stream("views", "play", plays)


def _acts(views: pl.DataFrame) -> Iterator[Stream]:
    """What is flagged on a view happens at its end, and arrives with it or then."""
    for flag, value, kind in ACTS:
        acts = views.filter(pl.col(flag) == value).select(
            "user_id", "video_id", "log_hour",
            event_time=pl.col("end_time"), arrival=pl.max_horizontal("arrival", "end_time"), **WHERE,
        )  # fmt: skip
        yield Stream("likes", kind, acts.with_columns(creator_id=MAKER) if kind == "follow" else acts)


def _videos(views: pl.DataFrame, since: int) -> Stream:
    """Every video that occurs, there since the first midnight, as long as it was ever said to be."""
    videos = views.group_by("video_id", maintain_order=True).agg(duration_ms=pl.max("duration_ms").replace(0, None))
    known = videos.with_columns(event_time=since, arrival=since, published_at=since, creator_id=MAKER)
    return Stream("videos", "published", known)


def _users(log: Path, views: pl.DataFrame, since: int) -> Iterator[Stream]:
    """Who is in the log and in the side table: registered so many days before the log's first midnight."""
    places = [log.parent / USERS_FILE, log.parent.parent / USERS_FOLDER / USERS_FILE]
    path = next((place for place in places if place.is_file()), None)
    if path is None:
        return
    side = quoted_table(path, ["user_id", "register_days", "user_active_degree"]).table
    days = pl.col("register_days").cast(pl.Int64, strict=False)
    users = side.filter(days.is_not_null()).join(views.select("user_id").unique(), on=["user_id"], how="semi")
    yield Stream("users", "registered", users.select(
        "user_id", "user_active_degree", "follow_user_num_range", "fans_user_num_range", "register_days_range",
        registered_at=since - days * DAY, event_time=since, arrival=since,
    ))  # fmt: skip
