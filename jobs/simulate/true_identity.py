"""Whose anonymous views are, as far as anybody can know: the simulator's own reading of docs/profiles.md, Identity.

It shares nothing with the platform's edges on purpose: the two are compared by `reelhouse score`.
"""

from collections.abc import Mapping

import numpy as np

from jobs.simulate.columns import NONE, Columns, Ints, take
from jobs.simulate.period import DAY
from jobs.simulate.true_profiles import OWN_STEPS

REACH = 30 * DAY  # before the first log-in
NEVER = np.iinfo(np.int64).max


def counted_for(good: Mapping[str, Columns], views: Columns, users: int) -> Ints:
    """For each of the `views` the user in whose profile it counts, by the good events; `NONE` for nobody's."""
    owner, since = owners(good, users)
    device, time = views["device"], views["time"]
    is_before = (time < since[device]) & (time >= since[device] - REACH)
    return np.where(views["is_anonymous"] != 1, views["user"], np.where(is_before, owner[device], NONE))


def owners(good: Mapping[str, Columns], users: int) -> tuple[Ints, Ints]:
    """By device its only user, `NONE` where there are more or none, and the first act of any user on it."""
    orders = take(good["orders"], np.isin(good["orders"]["kind"], OWN_STEPS))
    views = take(good["views"], good["views"]["is_anonymous"] != 1)
    device, user, time = (
        np.concatenate([acts[name] for acts in (views, good["likes"], orders)]) for name in ("device", "user", "time")
    )
    least, most, since = np.full(2 * users, users), np.full(2 * users, NONE), np.full(2 * users, NEVER)
    np.minimum.at(least, device, user)
    np.maximum.at(most, device, user)
    np.minimum.at(since, device, time)
    return np.where(least == most, least, NONE), since


def of_people(views: Columns, counts_for: Ints) -> Columns:
    """The views that count in a profile, under that user."""
    return take({**views, "user": counts_for}, counts_for != NONE)


def visitors(views: Columns, users: int) -> tuple[Columns, Ints]:
    """The views under who they go by, and the devices that go by themselves: the first of them is user `users`."""
    is_anonymous = views["is_anonymous"] == 1
    devices = np.unique(views["device"][is_anonymous])
    goer = np.where(is_anonymous, users + np.searchsorted(devices, views["device"]), views["user"])
    return {**views, "user": goer}, devices
