"""When an event really happened, told from three clocks: the device's, the sender's and the broker's.

The sender stamps `sent_time` at each physical send, the broker its own time at arrival; their difference is how wrong
the device's clock was. Replays of old logs declare an arrival time of their own and a range.
All columns are integer microseconds since 1970 UTC.
"""

from pyspark.sql import Column
from pyspark.sql import functions as F

MINUTE = 60_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
SKEW_TOLERATED = 5 * MINUTE
AHEAD_TOLERATED = 10 * MINUTE
AGE_BELIEVED = 366 * DAY  # of a fact from a live source
# Of these years every reader has dates, in any zone: from the second day of year 1 to the last but one of 9999.
EARLIEST, LATEST = -62_135_596_800_000_000 + DAY, 253_402_300_799_999_999 - DAY
REPLAY = "replay:"
BLANKS = "".join(map(chr, range(33))) + "\x7f"  # what Spark lets stand around a number; other engines do not
UNSEEN = r"[\x00-\x1f\x7f]"
TIME_ALONE = r"\AT|\A[0-9]*:"  # it would be of the day on which it is read


def number(text: Column) -> Column:
    """A text as a whole number of 64 bits; null for another."""
    return F.btrim(text, F.lit(BLANKS)).try_cast("bigint")


def instant(text: Column) -> Column:
    """A text as a number of microseconds since 1970; null beyond the years 1 to 9999."""
    return in_years(number(text))


def moment(text: Column) -> Column:
    """A text that says date and time, as microseconds; null for another, and beyond the years 1 to 9999."""
    said = F.btrim(text, F.lit(BLANKS))
    is_plain = ~said.rlike(UNSEEN) & ~said.rlike(TIME_ALONE)
    return in_years(F.unix_micros(F.try_to_timestamp(F.when(is_plain, said))))


def in_years(at: Column) -> Column:
    """The same; null beyond the years 1 to 9999."""
    return F.when(at.between(EARLIEST, LATEST), at)


def utc_hour(at: Column) -> Column:
    """The start of the UTC hour in which an instant lies; null for none, and beyond the years 1 to 9999."""
    told = in_years(F.unix_micros(at))
    return F.timestamp_micros(told - F.pmod(told, F.lit(HOUR)))


def is_replay(source_uri: Column) -> Column:
    """Whether the record comes from an old log (or the simulator), whose days lie in the broker's past."""
    return F.coalesce(source_uri.startswith(REPLAY), F.lit(False))


def arrival_by(source_uri: Column, kafka_time: Column, replay_time: Column) -> Column:
    """The honest clock at arrival: the broker's, or what a replay says of itself; null when a replay says nothing."""
    return F.when(is_replay(source_uri), instant(replay_time)).otherwise(F.unix_micros(kafka_time))


def skew(arrived: Column, sent: Column) -> Column:
    """How much to add to the device's times: nothing below five minutes, and nothing without an honest clock."""
    behind = F.try_subtract(arrived, sent)
    return F.when(~behind.between(-SKEW_TOLERATED, SKEW_TOLERATED), behind).otherwise(F.lit(0))


def corrected(event_time: Column, skewed_by: Column) -> Column:
    """The event's time by an honest clock."""
    return F.try_add(event_time, skewed_by)


def is_ahead(at: Column, arrived: Column) -> Column:
    """Whether the event claims to be later than it can be, even after correction."""
    return F.coalesce((at > arrived + AHEAD_TOLERATED) | (at > LATEST), F.lit(False))


def is_unbelievably_old(at: Column, arrived: Column, source_uri: Column) -> Column:
    """Whether a live source tells of something more than a year past."""
    return F.coalesce(~is_replay(source_uri) & (at < arrived - AGE_BELIEVED), F.lit(False))


def is_before_all(at: Column) -> Column:
    """Whether the event would be of no year that a date can have; where both clocks err, correction leads there."""
    return F.coalesce(at < EARLIEST, F.lit(False))


def range_from(declared: Column) -> Column:
    """The inclusive start of `<from>/<to>`; null when unreadable."""
    return number(F.substring_index(declared, "/", 1))


def range_to(declared: Column) -> Column:
    """The exclusive end of `<from>/<to>`; null when unreadable."""
    until = F.substring_index(F.substring_index(declared, "/", 2), "/", -1)
    return number(F.when(declared.contains("/"), until))


def lacks_range(source_uri: Column, declared: Column) -> Column:
    """Whether a replay fails to say which times it speaks about."""
    unread = range_from(declared).isNull() | range_to(declared).isNull()
    return is_replay(source_uri) & F.coalesce(unread, F.lit(True))


def is_outside_range(at: Column, source_uri: Column, declared: Column) -> Column:
    """Whether a replay speaks of another time than it declared."""
    outside = (at < range_from(declared)) | (at >= range_to(declared))
    return F.coalesce(is_replay(source_uri) & outside, F.lit(False))
