"""Of all that sources ever said, what may still count is found in Arrow: the same as a look at every word finds."""

from datetime import UTC, datetime, timedelta

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.lake.contracts import contract
from jobs.lake.ingest.control import WATERMARKS, reached_levels, that_count, unreached
from jobs.lake.settings import ROOT

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SCHEMA = contract(WATERMARKS, ROOT / "schemas").arrow_schema()

word = st.fixed_dictionaries(
    {
        "ingest_seq": st.integers(0, 9),
        "source": st.sampled_from(["app", "till"]),
        "topic": st.sampled_from(["views", "orders"]),
        "complete_until": st.integers(0, 5).map(lambda n: NOON + timedelta(minutes=n)),
        "is_final": st.booleans(),
        "offsets_reached": st.booleans(),
        "recorded_at": st.just(NOON),
    }
)


@settings(deadline=None)  # Arrow's first join takes its time
@given(st.lists(word, max_size=12))
def test_what_counts_is_what_all_words_say(words: list[dict[str, object]]) -> None:
    counts = that_count(pa.Table.from_pylist(words, schema=SCHEMA))
    assert reached_levels(counts) == reached_levels(words)
    assert unreached(counts) == unreached(words)


def test_words_of_a_month_are_not_looked_at_one_by_one() -> None:
    said = [
        {
            "ingest_seq": n,
            "source": "app",
            "topic": "views",
            "complete_until": NOON + timedelta(minutes=n),
            "is_final": False,
            "offsets_reached": n % 2 == 0,
            "recorded_at": NOON,
        }
        for n in range(1000)
    ]
    counts = that_count(pa.Table.from_pylist(said, schema=SCHEMA))
    assert [(line["complete_until"], line["offsets_reached"]) for line in counts] == [
        (NOON + timedelta(minutes=998), True),
        (NOON + timedelta(minutes=999), False),
    ]
