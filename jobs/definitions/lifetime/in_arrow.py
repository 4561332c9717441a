"""Predictions between Spark and the tables: Arrow batches of buyers in, integers out (for `mapInArrow`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.definitions.lifetime.purchases import PurchaseModel, chance_alive, expected_purchases
from jobs.definitions.lifetime.spending import SpendingModel, expected_value
from jobs.definitions.workers import settle

if TYPE_CHECKING:
    import pyarrow as pa

AHEAD_DAYS = (7, 30, 90)
NAMES = ("alive_ppm", *(f"expected_purchases_{days}d_ppm" for days in AHEAD_DAYS), "expected_purchase_fen")
SCHEMA = ", ".join(["user_id string", *(f"{name} bigint" for name in NAMES)])
PPM = 1_000_000


@dataclass(frozen=True)
class Predicting:
    """What the models say of each buyer: batches of user_id, frequency, recency, age, valued_count, valued_fen."""

    purchases: PurchaseModel
    spending: SpendingModel | None

    def __call__(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """SCHEMA: in millionths, and in fen, to the nearest whole number; null where a model has no answer."""
        yield from map(self._predicted, batches)
        settle("predicting")

    def _predicted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        import numpy as np
        import pyarrow as pa

        x, recency, age, bought, fen = (
            batch[name].to_numpy(zero_copy_only=False).astype(np.float64)
            for name in ("frequency", "recency", "age", "valued_count", "valued_fen")
        )
        numbers = [chance_alive(self.purchases, x, recency, age) * PPM]
        numbers += [expected_purchases(self.purchases, x, recency, age, float(days)) * PPM for days in AHEAD_DAYS]
        columns = [pa.array(np.rint(each).astype(np.int64)) for each in numbers]
        value = pa.nulls(len(batch), pa.int64())
        if self.spending:
            mean = fen / np.maximum(bought, 1)
            value = pa.array(np.rint(expected_value(self.spending, bought, mean)).astype(np.int64))
        return pa.RecordBatch.from_arrays([batch["user_id"], *columns, value], names=["user_id", *NAMES])
