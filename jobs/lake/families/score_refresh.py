"""What a run must do to the scores, as a pure plan. They depend on everybody, so all are worked out anew each time."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from jobs.definitions.lifetime import fitting
from jobs.definitions.lifetime.fitting import Decile, Fitted
from jobs.definitions.lifetime.in_arrow import Predicting
from jobs.definitions.lifetime.in_spark import buyers, by_history, by_value, purchase_days, with_later
from jobs.definitions.lifetime.purchases import PurchaseModel
from jobs.definitions.lifetime.spending import SpendingModel
from jobs.gold.user_scores import set_apart
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

Keep = Callable[[DataFrame], DataFrame]


@dataclass(frozen=True)
class Population:
    """Who bought what by `day`: `days` of purchase, and the `people`, as gold.user_scores takes them."""

    days: DataFrame
    people: DataFrame
    day: date


@dataclass(frozen=True)
class Fits:
    """Both models, and the proof of the first: what was foretold from `known_until` on."""

    purchases: Fitted | None
    spending: Fitted | None
    known_until: date
    deciles: tuple[Decile, ...]

    @property
    def predicting(self) -> Predicting | None:
        """What can be predicted with."""
        model = fitting.purchase_model(self.purchases)
        return Predicting(model, fitting.spending_model(self.spending)) if model else None


def population(orders: DataFrame, profiles: DataFrame, day: date, keep: Keep = DataFrame.persist) -> Population:
    """silver.orders and gold.user_profiles in. `keep` makes a frame that is used again cheap."""
    days = keep(purchase_days(orders, day))
    return Population(days, keep(set_apart(buyers(days, day), profiles)), day)


def fits(of: Population, profiles: DataFrame) -> Fits | None:
    """Both models fitted to those who count, and a calibration; None before the first purchase."""
    first = of.days.agg(F.min("day")).first()
    if first is None or first[0] is None:
        return None
    known_until = fitting.hold_out_from(first[0], of.day)
    counted = of.people.where("is_counted")
    before = set_apart(buyers(of.days, known_until), profiles).where("is_counted")
    told = by_history(with_later(before, of.days, known_until)).toArrow()
    return Fits(
        fitting.fit_purchases(by_history(counted.withColumn("later", F.lit(0))).toArrow()),
        fitting.fit_spending(by_value(counted).toArrow()),
        known_until,
        fitting.calibration(told, (of.day - known_until).days),
    )


def as_rows(found: Fits, day: date) -> list[dict[str, Any]]:
    """Rows of ops.model_fits, without what names the run."""
    deciles = [asdict(decile) for decile in found.deciles]
    rows = []
    if found.purchases:
        proof = {"known_until": found.known_until, "deciles": deciles}
        rows.append(_row("bg_nbd", found.purchases, fitting.parameters(PurchaseModel, found.purchases)) | proof)
    if found.spending:
        rows.append(_row("gamma_gamma", found.spending, fitting.parameters(SpendingModel, found.spending)))
    return [row | {"as_of_day": day} for row in rows]


def _row(model: str, fitted: Fitted, parameters: dict[str, float]) -> dict[str, Any]:
    maximum = fitted.maximum
    facts = {"log_likelihood": maximum.log_likelihood, "is_found": maximum.is_found}
    return facts | {"model": model, "parameters": parameters, "people": fitted.people, "people_again": fitted.again}
