"""The population is what it says: everybody buys, each purchase is paid, and it is all over when the time is."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.bench.population import DAY_US, FIRST_DAY, PRICES, TRUE, Population, drawn

PEOPLE, DAYS = 4_000, 180


def test_everybody_buys_and_each_purchase_is_paid(tmp_path: Path) -> None:
    shop = Population(tmp_path / "population.parquet", 0, DAYS, new_percent=0, people=PEOPLE)
    shop.make()
    counts = dict(duckdb.sql(f"SELECT kind, count(*) FROM '{shop.file}' GROUP BY kind").fetchall())
    (people, ids, events) = duckdb.sql(
        f"SELECT count(DISTINCT user_id), count(DISTINCT event_id), count(*) FROM '{shop.file}'"
    ).fetchall()[0]
    assert people == PEOPLE
    assert ids == events == sum(counts.values())
    assert counts["product_view"] == counts["placed"] == counts["paid"]
    assert counts["refunded"] == pytest.approx(counts["paid"] / 20, rel=0.01)


def test_purchases_keep_to_the_time_and_to_the_prices() -> None:
    purchases = drawn(PEOPLE, DAYS)
    begun = purchases["begun_us"].to_numpy() - int(FIRST_DAY.timestamp()) * 1_000_000
    assert begun.min() >= 0
    assert begun.max() < DAYS * DAY_US
    mean = PRICES["p"] * PRICES["v"] / (PRICES["q"] - 1)
    first = purchases.slice(0, PEOPLE)["price_fen"].to_numpy()  # one of each, for all begin at once
    assert first.mean() == pytest.approx(mean, rel=0.1)
    assert len(purchases) > PEOPLE * (1 + TRUE["r"] / TRUE["alpha"] * DAYS / 4)
