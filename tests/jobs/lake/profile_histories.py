"""Random histories of people, told in steps: who did what, when it arrived, and what was known of things by then.

One history is one user and what was done on their phone before anybody logged in; all run in one job. A few log in on
the phone of the user before them, so that it is shared, perhaps from a late step on. A fact belongs to the step it
arrived with; entities are whatever their events that have arrived make of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from tests.jobs.stories import FIRST_DAY, ZONE

Row = dict[str, Any]
STEPS = (1, 2, 3)
LAST = FIRST_DAY + timedelta(days=200)
AS_OF = {1: LAST - timedelta(days=7), 2: LAST - timedelta(days=7), 3: LAST}  # days pass before the last step
BACK = (95, 91, 90, 89, 40, 31, 30, 29, 16, 14, 13, 8, 7, 6, 5, 2, 1, 0, 0, 0, -1)  # days before LAST, at the edges
CLOCKS = ("00:00:00", "00:05:00", "00:29:59", "00:30:01", "12:00:00", "12:30:00", "12:30:01", "23:40:00", "23:59:59")
LIKES = (
    "like",
    "unlike",
    "favourite",
    "unfavourite",
    "follow",
    "unfollow",
    "comment",
    "share",
    "add_to_cart",
    "remove_from_cart",
    "not_interested",
    "report",
)
PROVENANCE = {"scene": "short_video", "source": "recommend"}


class Histories:
    """`count` random users and the things they meet, from one seed."""

    def __init__(self, count: int, seed: int) -> None:
        self.chance = np.random.default_rng(seed)
        self.users = [f"k:{number:04d}" for number in range(count)]
        self.changes = self._things()
        facts = [fact for place, user in enumerate(self.users) for fact in self._life(user, place)]
        self.facts = [row | {"event_id": f"{place:06d}"} for place, row in enumerate(facts)]

    def silver(self, step: int) -> dict[str, list[Row]]:
        """The silver tables once everything up to `step` has arrived."""
        known = [fact for fact in self.facts if fact["ingest_seq"] <= step]
        tables = {name: [_bare(fact) for fact in known if fact["of"] == name] for name in ("views", "likes", "orders")}
        return tables | {name: versions(self.changes[name], step) for name in ("users", "videos", "products")}

    def pick(self, options: Iterable[Any]) -> Any:
        """One of them."""
        among = list(options)
        return among[int(self.chance.integers(len(among)))]

    def _things(self) -> dict[str, list[Row]]:
        """Changes of videos, products and users: some learnt late, some about long ago, some tombstones."""
        videos = [
            {
                "video_id": f"v{n % 5}",
                "category": self.pick("abc"),
                "creator_id": self.pick("xyz"),
                "tags": list("pq"[: n % 3]),
                "is_advertisement": self.pick((True, False, False, None)),
                "duration_ms": 20_000,
            }
            for n in range(9)
        ]
        products = [
            {
                "product_id": f"p{n % 4}",
                "category": self.pick("ab"),
                "list_price_fen": self.pick((None, 100, 2_000, 99_999_999)),
            }
            for n in range(7)
        ]
        users = [
            {
                "user_id": user,
                "birth_year": self.pick((None, 1700, 1950, 1985, 2000, 2015, 3000)),
                "consent": self.pick(
                    (None, [], ["sharing", "marketing"], ["personalisation"], ["personalisation", "marketing"])
                ),
                "registered_at": self._at(self.pick((150, 60, 3))),
            }
            for user in self.users
            for _ in range(self.pick((0, 1, 1, 2)))
        ]
        return {"videos": self._dated(videos), "products": self._dated(products), "users": self._dated(users)}

    def _dated(self, changes: list[Row]) -> list[Row]:
        return [
            change
            | {
                "event_id": f"e{place}",
                "at": self._at(self.pick((190, 120, 30, 7, 3))),
                "step": self.pick((1, 1, 2, 3)),
                "is_deleted": self.chance.random() < 0.08,
            }
            for place, change in enumerate(changes)
        ]

    def _life(self, user: str, place: int) -> list[Row]:
        acts = [
            *(self._view(user) for _ in range(int(self.chance.integers(0, 8)))),
            *(self._like(user) for _ in range(int(self.chance.integers(0, 8)))),
            *(step for order in range(int(self.chance.integers(0, 4))) for step in self._order(user, f"o{order}")),
        ]
        phone = f"d:{place - self.pick((0, 0, 0, 0, 1)):04d}"
        for act in acts:
            act["device_id"] = self.pick((phone, phone, None))
        looks = [self._view(phone) for _ in range(self.pick((0, 2, 6)))] + [self._like(phone)] * self.pick((0, 0, 1))
        return acts + [look | {"device_id": phone} for look in looks]

    def _view(self, user: str) -> Row:
        watch, length = (
            self.pick((None, 0, 2_999, 3_000, 18_000, 19_000, 2**62)),
            self.pick((None, 0, 20_000, 8_000, 2**62)),
        )
        what = {
            "video_id": self.pick(("v0", "v1", "v2", None)),
            "product_id": self.pick(("p0", "p1", None)),
            "watch_ms": watch,
        }
        kind = self.pick(("impression", "play", "play", "product_view", "live_enter", "search"))
        return self._fact("views", user, kind) | what | {"duration_ms": length}

    def _like(self, user: str) -> Row:
        what = {
            "video_id": self.pick(("v0", "v3", None)),
            "product_id": self.pick(("p0", "p2")),
            "creator_id": self.pick(("x", None)),
        }
        return self._fact("likes", user, self.pick(LIKES)) | what

    def _order(self, user: str, order_id: str) -> Iterable[Row]:
        """An order's steps in any order and number: paid twice or never, refunded in parts or above the payment."""
        for kind in self.pick(
            (
                ["placed"],
                ["placed", "paid"],
                ["paid", "paid"],
                ["paid", "cancelled"],
                ["cancelled", "paid"],
                ["paid", "refunded"],
                ["paid", "refunded", "refunded", "returned"],
                ["refunded"],
                ["paid", "cancelled", "refunded"],
            )
        ):
            step = self._fact("orders", user, kind) | {"order_id": order_id}
            if kind in ("placed", "paid"):
                step |= {
                    "freight_fen": self.pick((None, 0, 500)),
                    "lines": [self._line("l1"), self._line("l2")][: self.pick((1, 2))],
                }
            if kind == "refunded":
                lines = [("l1", self.pick((1, 2, 2**62)), 100), ("l1", 1, 100), ("l2", 2, 5)][: self.pick((0, 1, 3))]
                step |= {"refund_fen": self.pick((None, 0, 150, 2_000, 2**62)), "refund_lines": lines or None}
            yield step

    def _line(self, line_id: str) -> tuple[Any, ...]:
        price = self.pick((0, 100, 1_999, 50_000, 2**61))
        return (
            line_id,
            self.pick(("p0", "p1", "p3", "unknown")),
            "m",
            self.pick((1, 2)),
            price,
            self.pick((None, 0, 50, 300)),
        )

    def _fact(self, of: str, user: str, kind: str) -> Row:
        local = self._local(self.pick(BACK))
        return (
            {
                "of": of,
                "user_id": user,
                "kind": kind,
                "event_time": local.astimezone(UTC),
                "event_date": local.date(),
                "ingest_seq": self.pick(STEPS),
            }
            | PROVENANCE
            | {"scene": self.pick(("short_video", "live", "mall", "search"))}
        )

    def _local(self, back: int) -> datetime:
        return datetime.fromisoformat(f"{LAST - timedelta(days=back)}T{self.pick(CLOCKS)}").replace(tzinfo=ZONE)

    def _at(self, back: int) -> datetime:
        return self._local(back).astimezone(UTC)


def versions(changes: list[Row], step: int) -> list[Row]:
    """Slowly changing rows as of a step; a row's `ingest_seq` is the step that last changed it."""
    rows = _versions_at(changes, step)
    for earlier in range(step - 1, 0, -1):
        before = {_row_key(row): row for row in _versions_at(changes, earlier)}
        for row in rows:
            same = before.get(_row_key(row))
            if row["ingest_seq"] == earlier + 1 and same is not None and same["valid_to"] == row["valid_to"]:
                row["ingest_seq"] = earlier
    return rows


def _versions_at(changes: list[Row], step: int) -> list[Row]:
    known = sorted((c for c in changes if c["step"] <= step), key=lambda c: (c["at"], c["event_id"]))
    rows, next_at = [], dict[str, datetime]()
    for change in reversed(known):
        until = next_at.get(_key(change))
        next_at[_key(change)] = change["at"]
        row = {name: value for name, value in change.items() if name not in ("at", "step")}
        row |= {"valid_from": change["at"], "valid_to": until, "is_current": until is None, "ingest_seq": step}
        rows.append(row | {"is_superseded": until == change["at"]})
    return rows[::-1]


def _key(change: Row) -> str:
    return str(change.get("user_id") or change.get("video_id") or change.get("product_id"))


def _row_key(row: Row) -> str:
    return f"{_key(row)} {row['event_id']}"


def _bare(fact: Row) -> Row:
    return {name: value for name, value in fact.items() if name != "of"}
