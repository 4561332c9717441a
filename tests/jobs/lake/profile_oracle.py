"""What profiles must say, in plain Python over plain rows: no code shared with the jobs, only the words of the docs."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import date, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.jobs.stories import ZONE

Row = dict[str, Any]
OWN_STEPS = {"placed", "paid", "return_requested", "reviewed"}
NOT_OWN = {"cancelled", "shipped", "delivered", "returned", "refunded"}
WEIGHTS = {
    "live_enter": 5,
    "product_view": 5,
    "like": 20,
    "comment": 25,
    "favourite": 30,
    "share": 40,
    "add_to_cart": 50,
    "follow": 60,
    "not_interested": -40,
    "report": -60,
}
UNDO = {"unlike": "like", "unfavourite": "favourite", "unfollow": "follow", "remove_from_cart": "add_to_cart"}
HALF_LIFE = {"category": 30, "creator": 14, "tag": 7, "price_band": 60}
BANDS = [
    (20_00, "under_20_yuan"),
    (50_00, "20_to_50_yuan"),
    (100_00, "50_to_100_yuan"),
    (300_00, "100_to_300_yuan"),
    (1_000_00, "300_to_1000_yuan"),
    (float("inf"), "from_1000_yuan"),
]
OBJECTS = {"follow": ("creator_id", "video_id", "product_id"), "add_to_cart": ("product_id",)}
LIMIT = 10**12


def version(rows: list[Row], key: str, name: Any, at: datetime) -> Row:
    """The row that held then; {} for none."""
    held = [
        r for r in rows if r[key] == name and r["valid_from"] <= at and (r["valid_to"] is None or at < r["valid_to"])
    ]
    return held[0] if held and not held[0]["is_deleted"] else {}


def by_user(rows: list[Row]) -> dict[str, list[Row]]:
    """Rows of each user."""
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row["user_id"]].append(row)
    return found


def of_people(silver: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The same tables, anonymous views and likes under the name of the one user whose phone it was to become."""
    firsts = log_ins(silver)
    return silver | {name: [row for act in silver[name] for row in _told(act, firsts)] for name in ("views", "likes")}


def log_ins(silver: dict[str, list[Row]]) -> dict[str, dict[str, datetime]]:
    """Device → user → the first own act of that user on it."""
    acts = [act for name in ("views", "likes", "orders") for act in silver[name] if _is_somebodys(act)]
    own = [act for act in acts if act["device_id"] and act["kind"] not in NOT_OWN]
    firsts: dict[str, dict[str, datetime]] = defaultdict(dict)
    for act in sorted(own, key=lambda act: act["event_time"], reverse=True):
        firsts[act["device_id"]][act["user_id"]] = act["event_time"]
    return firsts


def edges(silver: dict[str, list[Row]]) -> dict[tuple[str, str], tuple[datetime, int, bool]]:
    """(user, device) → the user's first act on it, how many users it has, whether that is too many to tie."""
    return {(user, device): (first, len(users), len(users) > 1)
            for device, users in log_ins(silver).items() for user, first in users.items()}  # fmt: skip


def _is_somebodys(act: Row) -> bool:
    return bool(act["user_id"] != act["device_id"])


def _told(act: Row, firsts: dict[str, dict[str, datetime]]) -> list[Row]:
    """The act under the name of whoever did it; nothing where nobody knows."""
    if _is_somebodys(act):
        return [act]
    users = firsts.get(act["device_id"], {})
    return [act | {"user_id": user, "was_anonymous": True} for user, first in users.items()
            if len(users) == 1 and first - timedelta(days=30) <= act["event_time"] < first]  # fmt: skip


def activity(silver: dict[str, list[Row]], day: date) -> dict[str, Row]:
    """Per user: acts, active days and sessions of the last 7, 30 and 90 days, watch seconds, completed views."""
    told = {}
    own = silver["views"] + silver["likes"] + [row for row in silver["orders"] if row["kind"] in OWN_STEPS]
    for user, acts in by_user(own).items():
        acts.sort(key=lambda act: act["event_time"])
        gap = timedelta(minutes=30)
        starts = [
            act["event_date"]
            for before, act in zip([None, *acts], acts, strict=False)
            if before is None or act["event_time"] - before["event_time"] > gap
        ]
        known = [act for act in acts if act["event_date"] <= day]
        if not known:
            continue
        told[user] = {
            "event_count": len(known),
            "first_seen_at": known[0]["event_time"],
            "last_seen_at": known[-1]["event_time"],
        }
        for window in (7, 30, 90):
            inside = [act for act in known if act["event_date"] > day - timedelta(days=window)]
            told[user] |= {
                f"active_days_{window}d": len({act["event_date"] for act in inside}),
                f"session_count_{window}d": sum(day - timedelta(days=window) < start <= day for start in starts),
                f"watch_seconds_{window}d": sum(_watched(act) for act in inside) // 1000,
                f"unlike_count_{window}d": sum(act["kind"] == "unlike" for act in inside),
            }
        told[user]["habit_hour"] = _habit([a for a in known if a["event_date"] > day - timedelta(days=90)])
    return told


def _watched(act: Row) -> int:
    return min(act["watch_ms"] or 0, 86_400_000) if act["kind"] in ("play", "live_enter") else 0


def _habit(acts: list[Row]) -> int | None:
    hours = Counter(act["event_time"].astimezone(ZONE).hour for act in acts)
    return min(hours, key=lambda hour: (-hours[hour], hour)) if hours else None


def settled(orders: list[Row]) -> list[Row]:
    """Every order with its money."""
    found = []
    steps: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in orders:
        steps[row["user_id"], row["order_id"]].append(row)
    for (user, _), rows in steps.items():
        rows.sort(key=lambda row: (row["event_time"], row["event_id"]))
        payment = next((row for row in rows if row["kind"] == "paid"), None)
        back = sum(min(row.get("refund_fen") or 0, LIMIT) for row in rows if row["kind"] == "refunded")
        order: Row = {"user_id": user, "payment": payment, "back": back, "believable": False}
        if payment:
            gross = (payment["freight_fen"] or 0) + sum(
                q * price - (off or 0) for _, _, _, q, price, off in payment["lines"]
            )
            cancelled = any(row["kind"] == "cancelled" and row["event_time"] >= payment["event_time"] for row in rows)
            refunded = min(back, gross)
            net = 0 if cancelled and refunded == 0 else max(gross - refunded, 0)
            quantities: Counter[str] = Counter()
            for row in rows:
                for line_id, quantity, _ in row.get("refund_lines") or []:
                    quantities[line_id] += quantity
            order |= {
                "gross": gross,
                "net": net,
                "over": back > gross,
                "day": payment["event_date"],
                "at": payment["event_time"],
                "believable": 0 <= gross <= LIMIT,
                "kept": not cancelled and (net > 0 or gross == 0),
                "given": quantities,
                "returned": any(row["kind"] == "returned" for row in rows),
            }
        found.append(order)
    return found


def money(silver: dict[str, list[Row]], day: date) -> dict[str, Row]:
    """Per user with orders: what they paid, what is left, and what is odd."""
    told = {}
    for user, orders in by_user(settled(silver["orders"])).items():
        paid = [o for o in orders if o["believable"] and o["day"] <= day]
        odd = [o for o in orders if o["payment"] and not o["believable"] and o["day"] <= day]
        lost = [o for o in orders if not o["payment"] and o["back"] > 0]
        days = sorted(o["day"] for o in paid)
        told[user] = {
            "order_count": len(paid),
            "gross_gmv_fen": sum(o["gross"] for o in paid),
            "net_gmv_fen": sum(o["net"] for o in paid),
            "returned_order_count": sum(o["returned"] for o in paid),
            "over_refunded_order_count": sum(o["over"] for o in paid),
            "unbelievable_order_count": len(odd),
            "unmatched_refund_count": len(lost),
            "average_order_value_fen": sum(o["gross"] for o in paid) // len(paid) if paid else None,
            "order_span_days": (days[-1] - days[0]).days if days else None,
            "is_repeat_buyer": len(days) > 1 and (days[1] - days[0]).days <= 90,
            **{
                f"net_gmv_fen_{w}d": sum(o["net"] for o in paid if o["day"] > day - timedelta(days=w))
                for w in (7, 30, 90)
            },
        }
    return told


def interests(silver: dict[str, list[Row]], day: date) -> dict[tuple[str, str, str], Fraction]:
    """(user, kind, topic) → decayed interest as a real number; of everybody, whatever their consent."""
    sums: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    for act in _weighed(silver):
        for kind, topic in _topics(act, silver):
            age = (day - act["day"]).days
            if 0 <= age <= 20 * HALF_LIFE[kind]:
                sums[act["user_id"], kind, topic] += act["weight"] * Fraction(2 ** (-age / HALF_LIFE[kind]))
    return sums


def _weighed(silver: dict[str, list[Row]]) -> list[Row]:
    acts = [
        row | {"day": row["event_date"], "at": row["event_time"], "weight": _view_weight(row, silver)}
        for row in silver["views"]
    ]
    acts += [
        like | {"day": like["event_date"], "at": like["event_time"], "weight": WEIGHTS[like["kind"]]}
        for like in _standing(silver["likes"])
    ]
    for order in settled(silver["orders"]):
        if order["believable"] and order["kept"]:
            for line_id, product, _, quantity, price, _ in order["payment"]["lines"]:
                if order["given"][line_id] < quantity:
                    acts.append(
                        {
                            "user_id": order["user_id"],
                            "day": order["day"],
                            "at": order["at"],
                            "weight": 100,
                            "product_id": product,
                            "paid": price,
                        }
                    )
    return [act for act in acts if act["weight"]]


def _view_weight(row: Row, silver: dict[str, list[Row]]) -> int:
    if row["kind"] != "play":
        return WEIGHTS.get(row["kind"], 0)
    video = version(silver["videos"], "video_id", row["video_id"], row["event_time"])
    watch, length = row["watch_ms"], row["duration_ms"] if row["duration_ms"] is not None else video.get("duration_ms")
    if watch is None or not length or video.get("is_advertisement") or not (watch >= 3_000 or watch * 3 >= length):
        return 0
    weight = min(watch, length) * 10
    return weight // length if weight < 2**63 else 0


def _standing(likes: list[Row]) -> list[Row]:
    groups: dict[tuple[str, ...], list[Row]] = defaultdict(list)
    for row in likes:
        act = UNDO.get(row["kind"], row["kind"])
        order = OBJECTS.get(act, ("video_id", "product_id", "creator_id"))
        thing = next(f"{name} {row[name]}" for name in order if row[name])
        groups[row["user_id"], act, thing].append(row)
    standing = []
    for (_, act, _), rows in groups.items():
        rows.sort(key=lambda row: (row["event_time"], row["event_id"]))
        undone = max((place for place, row in enumerate(rows) if row["kind"] in UNDO), default=-1)
        rest = rows[undone + 1 :]
        standing += rest[:1] if act in UNDO.values() else rest
    return standing


def _topics(act: Row, silver: dict[str, list[Row]]) -> set[tuple[str, str]]:
    video = version(silver["videos"], "video_id", act.get("video_id"), act["at"])
    product = version(silver["products"], "product_id", act.get("product_id"), act["at"])
    price = act.get("paid", product.get("list_price_fen"))
    found = {("category", video.get("category")), ("category", product.get("category"))}
    found |= {("creator", act.get("creator_id") or video.get("creator_id"))} | {
        ("tag", tag) for tag in video.get("tags") or []
    }
    found |= {("price_band", next(band for below, band in BANDS if price < below))} if price is not None else set()
    return {(kind, topic) for kind, topic in found if topic}
