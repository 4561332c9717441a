"""ops.costs has one line for each batch and build, with the sums of what its commits wrote."""

from datetime import UTC, datetime

from jobs.ops.costs import BATCH, Work, Written, build

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)


def test_files_and_bytes_are_summed_over_commits_and_time_is_in_milliseconds():
    (row,) = build(Work("r", BATCH, None, 7, 1.2345, 30), iter([Written(2, 100), Written(1, 50)]), at=AT)
    assert row == {
        "run_id": "r", "work": "batch", "family": None, "ingest_seq": 7, "milliseconds": 1234, "rows": 30, "files": 3,
        "bytes": 150, "recorded_at": AT,
    }  # fmt: skip
