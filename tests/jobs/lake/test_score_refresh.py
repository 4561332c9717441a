"""The plan of the scores: who counts, what the fits are made of, and what proves them, beside plain Python."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import DataFrame

from jobs.definitions.lifetime.fitting import fit_purchases, fit_spending
from jobs.lake.families.score_refresh import Fits, Population, as_rows, fits, population
from jobs.lake.families.scores import FITS, book
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.work import Work
from tests.jobs.stories import FIRST_DAY, ZONE

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
DAY = FIRST_DAY + timedelta(days=120)
PEOPLE, BOTS, MINORS = 700, 40, 30


@dataclass(frozen=True)
class Shop:
    """Made purchases: `fen` by (user, day) of those who count, and what Spark makes of everybody's."""

    fen: dict[str, dict[date, int]]
    of: Population
    found: Fits


@pytest.fixture(scope="module")
def shop(table: TableMaker) -> Shop:
    chance = np.random.default_rng(21)
    orders, fen = [], defaultdict[str, dict[date, int]](dict)
    for n in range(PEOPLE):
        user, at = f"k:{n:04d}", int(chance.integers(0, 110))
        pause, stays = 1 / chance.gamma(1.5, 0.04), 1 - chance.beta(0.7, 2.5)
        while at <= 125:
            day, price = FIRST_DAY + timedelta(days=at), int(chance.integers(500, 9_000))
            orders.append(_paid(user, day, f"{n}-{len(orders)}", price))
            if n >= BOTS + MINORS and day <= DAY:
                fen[user][day] = fen[user].get(day, 0) + price
            at += int(min(chance.exponential(pause), 1_000)) if chance.random() < stays else 1_000
    profiles = [{"user_id": f"k:{n:04d}", "is_suspected_bot": n < BOTS, "is_minor": BOTS <= n < BOTS + MINORS}
                for n in range(PEOPLE)]  # fmt: skip
    known = table("gold.user_profiles", profiles)
    of = population(table("silver.orders", orders), known, DAY)
    found = fits(of, known)
    assert found is not None
    return Shop(fen, of, found)


def test_bots_and_minors_are_no_part_of_the_population(shop: Shop) -> None:
    counted = {row.user_id for row in shop.of.people.where("is_counted").collect()}
    assert counted == shop.fen.keys()
    assert shop.of.people.count() > len(counted)


def test_the_fits_are_those_of_plain_histories(shop: Shop) -> None:
    rows, values = [], []
    for days in shop.fen.values():
        first, last, again = min(days), max(days), [fen for day, fen in days.items() if day > min(days)]
        rows.append((len(again), (last - first).days, (DAY - first).days, 1))
        values += [(len(again), sum(again), 1)] if again else []
    told = fit_purchases(_table(rows, "frequency", "recency", "age", "count"))
    assert told is not None
    assert shop.found.purchases is not None
    assert (shop.found.purchases.people, shop.found.purchases.again) == (told.people, told.again)
    assert shop.found.purchases.maximum.parameters == pytest.approx(told.maximum.parameters, rel=1e-4)
    spent = fit_spending(_table(values, "valued_count", "valued_fen", "count"))
    assert spent is not None
    assert shop.found.spending is not None
    assert shop.found.spending.maximum.parameters == pytest.approx(spent.maximum.parameters, rel=1e-4)


def test_the_proof_foretells_the_last_third_from_what_was_known_before(shop: Shop) -> None:
    until = DAY - timedelta(days=40)
    assert shop.found.known_until == until
    known = [days for days in shop.fen.values() if min(days) <= until]
    assert sum(each.people for each in shop.found.deciles) == len(known)
    assert sum(each.actual for each in shop.found.deciles) == sum(day > until for days in known for day in days)
    assert sum(each.predicted for each in shop.found.deciles) > 0


def test_before_the_first_purchase_there_is_nothing_to_fit(table: TableMaker) -> None:
    profiles = table("gold.user_profiles", [{"user_id": "k:1", "is_suspected_bot": False}])
    nobody = population(table("silver.orders", []), profiles, DAY)
    assert fits(nobody, profiles) is None


def test_too_few_who_came_back_are_ranked_and_not_foretold(table: TableMaker) -> None:
    profiles = table("gold.user_profiles", [{"user_id": "k:1", "is_suspected_bot": False}])
    few = population(table("silver.orders", [_paid("k:1", FIRST_DAY, "o", 100)]), profiles, DAY)
    found = fits(few, profiles)
    assert found is not None
    assert (found.purchases, found.spending, found.deciles, found.predicting) == (None, None, (), None)
    assert as_rows(found, DAY) == []


def test_a_run_notes_its_fits_once(shop: Shop, settings: Settings) -> None:
    ledger, at = Ledger(settings), datetime(2026, 7, 1, tzinfo=UTC)
    work = Work("scores", "run-1", False, (), 0, 5, None, None, at, {})
    for _ in range(2):
        book(ledger, work, shop.found, DAY)
    rows = {row["model"]: row for row in ledger.read(FITS).to_pylist()}
    assert len(ledger.read(FITS)) == len(rows) == 2
    assert dict(rows["bg_nbd"]["parameters"]).keys() == {"r", "alpha", "a", "b"}
    assert dict(rows["gamma_gamma"]["parameters"]).keys() == {"p", "q", "v"}
    assert (rows["bg_nbd"]["as_of_day"], rows["bg_nbd"]["ingest_seq"]) == (DAY, 5)
    assert [each["people"] for each in rows["bg_nbd"]["deciles"]] == [each.people for each in shop.found.deciles]


def _paid(user: str, day: date, order_id: str, price_fen: int) -> dict[str, Any]:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZONE)
    lines = [("l1", "p", "m", 1, price_fen, 0)]
    return {"user_id": user, "order_id": order_id, "kind": "paid", "event_id": order_id, "event_time": noon,
            "event_date": day, "lines": lines}  # fmt: skip


def _table(rows: list[tuple[int, ...]], *names: str) -> pa.Table:
    return pa.table(dict(zip(names, map(list, zip(*rows, strict=True)), strict=True)))
