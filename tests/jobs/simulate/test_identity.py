"""Ids and times of fixed width read back as what they stand for."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import numpy as np

from jobs.simulate.columns import count_before, running_sum
from jobs.simulate.identity import digits, rfc3339, strings, uuid7

TIMES = np.array([1_780_848_000_123_456, 0, 4_102_444_799_999_999, 951_782_400_000_001])


def test_ids_are_uuid_7_and_carry_their_millisecond() -> None:
    for text, time in zip(strings(uuid7(TIMES, np.random.default_rng(1))).to_pylist(), TIMES.tolist(), strict=True):
        assert UUID(text).version == 7
        assert str(UUID(text)) == text
        assert UUID(text).int >> 80 == time // 1000


def test_times_are_written_as_rfc_3339() -> None:
    for text, time in zip(strings(rfc3339(TIMES)).to_pylist(), TIMES.tolist(), strict=True):
        assert datetime.fromisoformat(text) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time)


def test_digits_are_decimal() -> None:
    assert [int(text) for text in strings(digits(TIMES)).to_pylist()] == TIMES.tolist()


def test_earlier_rows_of_a_group_are_counted_and_summed() -> None:
    assert count_before(np.array([3, 1, 3, 3, 1])).tolist() == [0, 0, 1, 2, 1]
    assert running_sum(np.array([5, 2, 9, 1]), np.array([0, 0, 2, 2])).tolist() == [0, 5, 0, 9]
