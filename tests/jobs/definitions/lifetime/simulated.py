"""Buyers of the simulator's world as BG/NBD knows them, read off its true orders: no table of the lake, no Spark."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from jobs.simulate import words
from jobs.simulate.catalogue import make_catalogue
from jobs.simulate.columns import NONE, Flags, Ints
from jobs.simulate.people import People
from jobs.simulate.run import Plan
from jobs.simulate.world import make_block

ADULT_AGE = 18


def purchase_days(plan: Plan) -> tuple[Ints, Ints]:
    """(user, index of the local day) of each day on which somebody paid, by user and day; minors are left out."""
    period, found = plan.period, []
    catalogue = make_catalogue(plan.seed, plan.users, period)
    for first in range(0, plan.users, plan.block_users):
        size = min(plan.block_users, plan.users - first)
        block = make_block(plan.seed, first, size, catalogue, period, plan.rate)
        orders = block.events["orders"]
        counts = (orders["kind"] == words.PAID_ORDER) & ~_is_minor(block.people, plan)[orders["user"]]
        found.append((first + orders["user"][counts]) * plan.days + period.day_of(orders["time"][counts]))
    both = np.unique(np.concatenate(found))
    return both // plan.days, both % plan.days


def histories(user: Ints, day: Ints, known_until: int) -> pa.Table:
    """How many (`count`) have each frequency, recency and age by the day `known_until`, and their `later` purchases."""
    is_known = day <= known_until
    who, start, count = np.unique(user[is_known], return_index=True, return_counts=True)
    first, last = day[is_known][start], day[is_known][start + count - 1]
    later = user[~is_known & np.isin(user, who)]
    columns = {
        "frequency": count - 1,
        "recency": last - first,
        "age": known_until - first,
        "later": np.bincount(np.searchsorted(who, later), minlength=len(who)),
    }
    alike = pa.table(columns).group_by(["frequency", "recency", "age"])
    counted = alike.aggregate([([], "count_all"), ("later", "sum")])
    return counted.rename_columns({"count_all": "count", "later_sum": "later"})


def _is_minor(people: People, plan: Plan) -> Flags:
    """By calendar years; who told no year of birth is none."""
    born = people.who["birth_year"]
    minor: Flags = (born != NONE) & (plan.last_day.year - born < ADULT_AGE)
    return minor
