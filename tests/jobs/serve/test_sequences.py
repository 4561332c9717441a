"""Producers' numbers over batches: a gap is lost until it is filled, whatever came in which batch."""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.lake.errors import QueryError
from jobs.lake.ingest.progress import uncounted
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.query import answer, reader
from jobs.serve.sequences import sequences, unnumbered
from jobs.serve.tables import readable

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
Lake = Callable[..., Settings]


def run(seq: int, first: int, last: int, *, by: str = "ios", epoch: int = 1, **other: Any) -> dict[str, Any]:
    """A batch that received these numbers of a producer, each once."""
    return {
        "ingest_seq": seq, "producer_id": by, "producer_epoch": epoch, "first_seq": first, "last_seq": last,
        "record_count": last - first + 1, "refused_count": 0, "recorded_at": AT,
    } | other  # fmt: skip


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """Make a lake whose batches received these runs."""

    def make(*rows: dict[str, Any]) -> Settings:
        made = Settings(home=tmp_path)
        Ledger(made).append("ops.sequences", rows)
        return made

    return make


def counts(settings: Settings, *names: str) -> list[tuple[Any, ...]]:
    return [tuple(line[name] for name in names) for line in sequences(settings)]


def test_a_gap_between_batches_is_lost_until_a_late_batch_fills_it(lake: Lake) -> None:
    settings = lake(run(0, 0, 9), run(1, 20, 29))
    assert counts(settings, "received", "lost", "repeated", "missing") == [(20, 10, 0, [[10, 19]])]
    lake(run(2, 10, 18))
    assert counts(settings, "received", "lost", "repeated", "missing") == [(29, 1, 0, [[19, 19]])]
    lake(run(3, 19, 19))
    assert counts(settings, "received", "lost", "repeated", "missing") == [(30, 0, 0, [])]


def test_what_comes_again_in_a_later_batch_or_in_the_same_is_repeated(lake: Lake) -> None:
    settings = lake(run(0, 0, 9, record_count=12), run(1, 5, 12))
    assert counts(settings, "received", "repeated", "lost", "first_seq", "last_seq") == [(20, 7, 0, 0, 12)]


def test_epochs_and_producers_have_numbers_of_their_own(lake: Lake) -> None:
    settings = lake(run(0, 0, 4), run(0, 3, 4, epoch=2), run(1, 7, 8, by="web"))
    assert counts(settings, "producer", "epoch", "lost") == [("ios", 1, 0), ("ios", 2, 0), ("web", 1, 0)]


def test_however_the_numbers_were_cut_into_runs_the_totals_are_the_same(lake: Lake) -> None:
    chance = random.Random(7)
    starts = [(chance.randrange(90), chance.choice((1, 2, 30))) for _ in range(12)]
    numbers = [number for start, size in starts for number in range(start, start + size)]
    settings = lake(*(run(chance.randrange(9), start, start + size - 1) for start, size in starts))
    (line,) = sequences(settings)
    missing = [number for first, last in line["missing"] for number in range(first, last + 1)]
    assert missing == [number for number in range(min(numbers), max(numbers)) if number not in numbers] != []
    assert (line["repeated"], line["lost"]) == (len(numbers) - len(set(numbers)), len(missing))


def test_a_producer_of_refused_records_only_is_masked(lake: Lake) -> None:
    settings = lake(
        run(0, 0, 4, by="u-Canary-7351", refused_count=5), run(0, 0, 4, refused_count=5), run(1, 5, 9, refused_count=1)
    )
    assert counts(settings, "producer", "refused") == [("ios", 6), ("x-xxxxxx-9999", 5)]


def test_what_bears_no_number_is_never_lost(lake: Lake) -> None:
    bare = {"producer_id": None, "producer_epoch": None, "first_seq": None, "last_seq": None, "topic": "likes"}
    rows = [run(n, 0, 4) | bare | {"source_uri": source} for n, source in enumerate(("app:old", "u-Canary", "app:old"))]
    settings = lake(*rows)
    assert sequences(settings) == []
    assert unnumbered(settings) == [
        {"topic": "likes", "source": "app:old", "received": 10},
        {"topic": "likes", "source": "x-xxxxxx", "received": 5},
    ]


def test_a_query_sees_names_of_ours_and_the_form_of_others_also_in_rows_of_before_sources_were_masked(
    lake: Lake,
) -> None:
    bare = {"producer_id": None, "producer_epoch": None, "first_seq": None, "last_seq": None, "topic": "likes"}
    refused = [run(0, 0, 4, by=name, refused_count=5) for name in ("u-Canary-7351", "ios")]
    sources = [run(2, 0, 4) | bare | {"source_uri": source} for source in ("app:old", "app:u-Canary", None)]
    settings = lake(*refused, run(1, 5, 9, refused_count=1), *sources)
    query = "SELECT producer_id, source_uri, record_count FROM ops.sequences ORDER BY ALL"
    assert [tuple(row.values()) for row in answer(settings, query, readable(settings)).to_pylist()] == [
        ("ios", None, 5), ("ios", None, 5), ("x-xxxxxx-9999", None, 5),
        (None, "app:old", 5), (None, "xxx:x-xxxxxx", 5), (None, None, 5),
    ]  # fmt: skip
    by_name = "SELECT count(*) AS n FROM ops.sequences WHERE producer_id = 'u-Canary-7351'"
    assert answer(settings, by_name, readable(settings)).to_pylist() == [{"n": 0}]


@pytest.mark.parametrize(
    "source", ["ops__sequences", "ops__sequences.main.ops__sequences", "delta_scan('{path}')",
               "read_parquet('{path}/*.parquet')"],
)  # fmt: skip
def test_no_query_reaches_the_rows_as_they_came(lake: Lake, source: str) -> None:
    """By whatever name, or by path; nor by a second statement of the same reader."""
    settings = lake(run(0, 0, 4, by="u-Canary-7351", refused_count=5))
    ask, where = reader(settings, readable(settings)), source.format(path=settings.table_path("ops.sequences"))
    for _ in range(2):
        try:
            found = ask(f"SELECT producer_id FROM {where}")["producer_id"].to_pylist()
        except QueryError:
            found = []
        assert "u-Canary-7351" not in found
        assert ask("SELECT producer_id FROM OPS.Sequences")["producer_id"].to_pylist() == ["x-xxxxxx-9999"]


def test_batches_booked_before_numbers_were_counted_are_named(lake: Lake) -> None:
    settings = lake(run(7, 0, 4))
    assert uncounted(Ledger(settings)) == []
    line = {
        "run_id": "r", "topic": "views", "topic_id": "v1", "partition": 0, "offset_from": 0, "offset_to": 5,
        "received": 5, "accepted": 5, "duplicate": 0, "conflict": 0, "quarantined": 0, "reason_counts": {},
        "balanced": True, "recorded_at": AT,
    }  # fmt: skip
    Ledger(settings).append("ops.books", [line | {"ingest_seq": 2, "received": 0}, line | {"ingest_seq": 7}])
    assert uncounted(Ledger(settings)) == []  # a batch that received nothing has no numbers
    Ledger(settings).append("ops.books", [line | {"ingest_seq": n} for n in (3, 5)])
    assert uncounted(Ledger(settings)) == [3, 5]
