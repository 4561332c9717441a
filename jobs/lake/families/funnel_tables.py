"""The tables of the family `funnels` as plans take them: names, inputs, what is published, and how far data reach."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import reduce

from jobs.definitions.funnel.model import Definition
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

Keep = Callable[[DataFrame], DataFrame]
ATTEMPTS, OPENINGS, DAILY = "gold.funnel_attempts", "gold.funnel_openings", "gold.funnel_daily"
CONVERSIONS, PATHS = "gold.funnel_conversions", "gold.funnel_paths"
USER = ["user_id"]


@dataclass(frozen=True)
class Silver:
    """The inputs, each at one version."""

    views: DataFrame
    likes: DataFrame
    orders: DataFrame
    users: DataFrame
    videos: DataFrame

    @property
    def facts(self) -> tuple[DataFrame, DataFrame, DataFrame]:
        """Views, likes, orders."""
        return self.views, self.likes, self.orders


@dataclass(frozen=True)
class Gold:
    """The family's own tables as they stand."""

    attempts: DataFrame
    openings: DataFrame
    daily: DataFrame
    conversions: DataFrame
    paths: DataFrame


@dataclass(frozen=True)
class Level:
    """How far streams are complete, now and at the last release; the days of the data by zone; the business zone."""

    watermark: datetime | None
    last_watermark: datetime | None
    days: Mapping[str, Sequence[date]]
    business_zone: str


def is_current(definitions: Sequence[Definition]) -> Column:
    """The row belongs to one of the definitions."""
    return reduce(
        Column.__or__,
        [(F.col("funnel") == one.name) & (F.col("funnel_version") == one.version) for one in definitions],
        F.lit(False),
    )
