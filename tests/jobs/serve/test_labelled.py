"""`jobs.serve.profiles_as_of`: what was known at a label's time, never what came later; `reelhouse profile` agrees."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from jobs import serve
from jobs.lake.errors import UsageError
from jobs.lake.identity import ensure_key_file, pseudonym_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, publish, release_id
from jobs.lake.settings import Settings
from jobs.serve.labelled import HISTORY
from jobs.serve.profile_card import find_profile
from tests.jobs.serve.filled import filled

BEGIN = datetime(2026, 6, 1, tzinfo=UTC)
DAY = date(2026, 5, 31)
PEOPLE, RELEASES = 40, 12
Row = dict[str, Any]


def release(settings: Settings, number: int, rows: list[Row]) -> None:
    """Add rows to the history and publish it, `number` hours after the beginning."""
    at = BEGIN + timedelta(hours=number)
    known = [filled(settings, HISTORY, row | {"known_from": at, "profile_hash": str(number)}) for row in rows]
    Ledger(settings).append(HISTORY, known)
    line = Publication(
        release_id=release_id("profiles", number), family="profiles", table=HISTORY,
        version=Ledger(settings).version(HISTORY), slices=(), ingest_seq=number, watermark=None,
        contract_version="1.0.0", verdict="passed", run_id="r", known_from=at, rows=len(rows),
    )  # fmt: skip
    publish(Ledger(settings), "profiles", number, [line])


def told(settings: Settings, labels: list[tuple[str, datetime]]) -> list[Row]:
    users, times = ([label[n] for label in labels] for n in (0, 1))
    asked = pa.table({"at": pa.array(times, pa.timestamp("us", "UTC")), "user_id": pa.array(users, pa.string())})
    rows: list[Row] = serve.profiles_as_of(asked, settings=settings).to_pylist()
    return rows


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Settings(home=tmp_path_factory.mktemp("home"))
    ensure_key_file(made.keys_path)
    return made


@pytest.fixture(scope="module")
def known(settings: Settings) -> list[tuple[int, Row]]:
    """(release, row) of a random history: each release changes some people, now and then the same day again."""
    chance = np.random.default_rng(8)
    rows = []
    for number in range(1, RELEASES + 1):
        changed = [
            {
                "user_id": pseudonym_of(f"u-{n}", settings.keys_path),
                "as_of_day": DAY + timedelta(days=number // 3),
                "order_count": int(chance.integers(9)),
            }
            for n in range(PEOPLE)
            if chance.random() < 0.3
        ]
        release(settings, number, changed)
        rows += [(number, row) for row in changed]
    return rows


@pytest.fixture(scope="module")
def labels(settings: Settings, known: list[tuple[int, Row]]) -> list[tuple[str, datetime]]:
    """Times before, at and a microsecond around every release, half of them under raw ids."""
    chance = np.random.default_rng(9)
    return [
        (
            f"u-{n}" if chance.random() < 0.5 else pseudonym_of(f"u-{n}", settings.keys_path),
            BEGIN + timedelta(hours=int(chance.integers(0, RELEASES + 2)), microseconds=int(chance.integers(-1, 2))),
        )
        for n in chance.integers(0, PEOPLE + 2, 600)
    ]


def expected(settings: Settings, known: list[tuple[int, Row]], label: tuple[str, datetime]) -> Row | None:
    """The last row of the history that was known, in plain Python."""
    user = label[0] if ":" in label[0] else pseudonym_of(label[0], settings.keys_path)
    found = [row for number, row in known if row["user_id"] == user and BEGIN + timedelta(hours=number) <= label[1]]
    return found[-1] if found else None


def test_each_label_gets_the_last_row_known_by_then(
    settings: Settings, known: list[tuple[int, Row]], labels: list[tuple[str, datetime]]
) -> None:
    rows = told(settings, labels)
    assert [(row["user_id"], row["at"]) for row in rows] == labels
    for label, row in zip(labels, rows, strict=True):
        then = expected(settings, known, label) or {}
        assert (row["as_of_day"], row["order_count"]) == (then.get("as_of_day"), then.get("order_count")), label
    assert 0 < sum(row["known_from"] is None for row in rows) < len(rows) / 2


def test_what_is_learnt_later_changes_no_earlier_answer(
    settings: Settings, known: list[tuple[int, Row]], labels: list[tuple[str, datetime]]
) -> None:
    """A late event makes a new row about an old day: it is known from its release on."""
    before, user = told(settings, labels), known[0][1]["user_id"]
    release(settings, RELEASES + 9, [{"user_id": user, "as_of_day": DAY, "order_count": 77}])
    assert told(settings, labels) == before
    late = BEGIN + timedelta(hours=RELEASES + 9)
    counts = [row["order_count"] for row in told(settings, [(user, late - timedelta(microseconds=1)), (user, late)])]
    assert counts[0] != 77
    assert counts[1] == 77


def test_the_card_says_the_same(
    settings: Settings, known: list[tuple[int, Row]], labels: list[tuple[str, datetime]]
) -> None:
    some = [label for label in labels if expected(settings, known, label)][:3]
    for (user, at), row in zip(some, told(settings, some), strict=True):
        card = find_profile(settings, user, at)
        names = row.keys() - {"user_id", "at"}
        assert {name: card[name] for name in names} == {name: row[name] for name in names}


def test_labels_come_from_any_library_and_keep_their_columns(settings: Settings, known: list[tuple[int, Row]]) -> None:
    frame = pl.DataFrame({"user_id": ["u-1"], "at": [BEGIN + timedelta(days=9)], "bought": [True]})
    shapes = [frame, frame.to_pandas(), frame.to_arrow(), duckdb.connect().sql("FROM frame")]
    found = [serve.profiles_as_of(labels, settings=settings).to_pylist() for labels in shapes]
    assert found == [found[0]] * 4
    assert found[0][0]["bought"]
    assert found[0][0]["as_of_day"]


def test_a_time_finer_than_ours_is_that_of_the_microsecond_it_falls_in(
    settings: Settings, known: list[tuple[int, Row]]
) -> None:
    times = [BEGIN + timedelta(hours=9), BEGIN + timedelta(hours=9, microseconds=-1)]
    fine = pa.array(times, pa.timestamp("ns", "UTC")).cast(pa.int64()).to_numpy() + np.array([1, 999])
    labels = pa.table({"user_id": ["u-1", "u-1"], "at": pa.array(fine, pa.timestamp("ns", "UTC"))})
    found = serve.profiles_as_of(labels, settings=settings).to_pylist()
    assert found == told(settings, [("u-1", at) for at in times])


NOW = pa.array([BEGIN], pa.timestamp("us", "UTC"))
REFUSED = {
    "no table": (7, "are no table"),
    "no time": (pa.table({"user_id": ["u"]}), "need one user_id and one at"),
    "no user": (pa.table({"at": NOW, "user": ["u"]}), "need one user_id and one at"),
    "a time that is missing": (pa.table({"user_id": ["u"], "at": pa.array([None], NOW.type)}), "1 rows have no at"),
    "a time without a zone": (pa.table({"user_id": ["u"], "at": NOW.cast(pa.timestamp("us"))}), "with a zone"),
    "numbers for users": (pa.table({"user_id": [7], "at": NOW}), "give ids as text"),
    "an instant out of reach": (
        pa.table({"user_id": ["u"], "at": pa.array([2**62], pa.timestamp("s", "UTC"))}),
        "at has an instant out of reach",
    ),
    "a name that is there twice": (
        pa.Table.from_arrays([pa.array(["u"]), NOW, NOW, NOW], ["user_id", "at", "x", "x"]),
        "x is there twice",
    ),
    "a column of ours": (pa.table({"user_id": ["u"], "at": NOW, "lifecycle": ["x"]}), "lifecycle is a column"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_labels_that_leave_room_for_doubt_are_refused(
    settings: Settings, known: list[tuple[int, Row]], name: str
) -> None:
    labels, words = REFUSED[name]
    with pytest.raises(UsageError, match=words):
        serve.profiles_as_of(labels, settings=settings)


def test_before_anything_is_published_there_is_nothing_to_join(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not published"):
        serve.profiles_as_of(pa.table({"user_id": ["u"], "at": NOW}), settings=Settings(home=tmp_path))
