"""One person's profile, newest or as it was known at a past time, as a row and as a card a person can read."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.asked import quoted, rows_of
from jobs.serve.labelled import HISTORY, profiles_as_of, pseudonyms
from jobs.serve.profile_more import devices, devices_then, more, outlook, versions_of_more, visits
from jobs.serve.tables import published_version

Row = dict[str, Any]
NEWEST, INTERESTS = "gold.user_profiles", "gold.user_interests"
KNOWN_NOW = "SELECT * FROM gold.user_profiles WHERE user_id = $user"
LIKED_NOW = "SELECT * EXCLUDE (user_id) FROM gold.user_interests WHERE user_id = $user ORDER BY topic_kind, rank"
WINDOWS = (7, 30, 90)
BAR = 20
COUNTED = {  # what the card shows by window, of what user_profiles counts
    "active days": "active_days",
    "sessions": "session_count",
    "watched": "watch_seconds",
    "completed views": "completed_view_count",
    "likes": "like_count",
    "favourites": "favourite_count",
    "comments": "comment_count",
    "shares": "share_count",
    "follows": "follow_count",
    "put into the cart": "add_to_cart_count",
    "orders paid": "order_count",
    "gross": "gross_gmv_fen",
    "net of refunds": "net_gmv_fen",
}
FLAGS = {
    "is_suspected_bot": "suspected bot",
    "is_minor": "minor",
    "is_staff": "staff",
    "is_repeat_buyer": "repeat buyer",
}
ODD = {
    "over_refunded_order_count": "orders refunded above their payment",
    "unbelievable_order_count": "orders left out: no order can come to that",
    "unmatched_refund_count": "refunds without a payment",
}


def find_profile(settings: Settings, user: str, as_of: datetime | None) -> Row:
    """The profile of a raw id or a pseudonym, its topics under `interests`; UsageError when there is none.

    As of a past time it is the last row known by then, with the `devices` as published then; interests in numbers,
    `sessions` and `scores` are of now only.
    """
    table = HISTORY if as_of else NEWEST
    published_version(settings, table, None, None)  # before the key is asked for: a new lake has neither
    (pseudonym,) = pseudonyms([user], settings)
    found = _known_then(settings, pseudonym, as_of) if as_of else _known_now(settings, pseudonym)
    if found is None and as_of and (since := _known_since(settings, pseudonym)):
        raise UsageError(
            f"no profile of {pseudonym} known at {as_of.isoformat()}; the first was released at {since.isoformat()}: "
            "--as-of asks what was known then, not what had happened by then"
        )
    if found is None:
        raise UsageError(f"no profile of {pseudonym}; give the id as the app sends it, or a pseudonym as printed")
    return found


def _known_then(settings: Settings, pseudonym: str, as_of: datetime) -> Row | None:
    """The last row of the history by then."""
    import pyarrow as pa

    labels = pa.table({"user_id": [pseudonym], "at": pa.array([as_of], pa.timestamp("us", "UTC"))})
    (row,) = profiles_as_of(labels, settings=settings).drop_columns("at").to_pylist()
    if row["known_from"] is None:
        return None
    known: Row = row | {"interests": [], "devices": devices_then(settings, pseudonym, as_of)}
    return known


def _known_since(settings: Settings, pseudonym: str) -> datetime | None:
    """When anything of somebody was first known."""
    query = f"SELECT min(known_from) AS since FROM {HISTORY} WHERE user_id = {quoted(pseudonym)}"  # noqa: S608 (quoted)
    since: datetime | None = rows_of(settings, HISTORY, query)[0]["since"]
    return since


def _known_now(settings: Settings, pseudonym: str) -> Row | None:
    """The newest profile, and what other tables add to it."""
    from jobs.serve.duck import connect

    there = versions_of_more(settings)
    versions = {name: published_version(settings, name, None, None) for name in (NEWEST, INTERESTS)}
    connection = connect(settings, versions | there)
    rows = _rows(connection.execute(KNOWN_NOW, {"user": pseudonym}))
    if not rows:
        return None
    interests = _rows(connection.execute(LIKED_NOW, {"user": pseudonym}))
    return rows[0] | {"interests": interests} | more(connection, there, pseudonym)


def card(profile: Mapping[str, Any], topics: int = 5) -> RenderableType:
    """The profile for people; up to `topics` of each kind of interest."""
    parts: list[RenderableType] = [
        _title(profile),
        _person(profile),
        *([] if profile["devices"] == [] else [devices(profile["devices"])]),
        _counts(profile),
        _buying(profile),
        _habits(profile),
    ]
    parts += [outlook(scores) for scores in profile.get("scores", [])]
    parts.append(_interests(profile["interests"], topics) if profile["interests"] else _named(profile))
    return Group(*parts, visits(profile["sessions"]) if profile.get("sessions") else Text(""))


def _rows(result: Any) -> list[Row]:
    rows: list[Row] = result.to_arrow_table().to_pylist()
    return rows


def _title(p: Mapping[str, Any]) -> Text:
    flags = [word for name, word in FLAGS.items() if p[name]]
    return Text(f"{p['user_id']} · as of {p['as_of_day']} · {', '.join([p['lifecycle'] or 'never seen', *flags])}")


def _person(p: Mapping[str, Any]) -> Text:
    member = f"{p['member_tier']} member" if p["member_tier"] not in (None, "none") else None
    where = _listed(p["generation"], p["region"], p["city_tier"], member)
    if not p["is_registered"]:
        return Text(f"{where} · not registered with us{_seen(p)}")
    came = _listed(
        f"registered {p['registered_on']}", p["acquisition_channel"], "invited" if p["referred_by"] else None
    )
    return Text(f"{where}\n{came} · consent: {', '.join(p['consent'] or []) or 'none'}{_seen(p)}")


def _seen(p: Mapping[str, Any]) -> str:
    if not p["first_seen_at"]:
        return ""
    first, last = (f"{p[name]:%Y-%m-%d %H:%M}" for name in ("first_seen_at", "last_seen_at"))
    return f"\nfirst seen {first}, last {last} UTC, {p['event_count']} acts"


def _counts(p: Mapping[str, Any]) -> RenderableType:
    table = Table("", *(f"{days} days" for days in WINDOWS), "ever", box=box.SIMPLE, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = "right"
    for label, name in COUNTED.items():
        values = [*(p[f"{name}_{days}d"] for days in WINDOWS), p.get(name)]
        if any(values):
            table.add_row(label, *(_amount(name, value) for value in values))
    return table if table.rows else Text("")


def _buying(p: Mapping[str, Any]) -> Text:
    odd = [f"! {p[name]} {words}" for name, words in ODD.items() if p[name]]
    if not p["order_count"]:
        return Text("\n".join(["no order paid", *odd]))
    dates = f"first paid {p['first_order_at']:%Y-%m-%d}, last {p['last_order_at']:%Y-%m-%d}"
    words = [f"average order {_yuan(p['average_order_value_fen'])}", dates]
    words.append(f"{p['returned_order_count']} of {p['order_count']} returned")
    return Text("\n".join([" · ".join(words), *odd]))


def _habits(p: Mapping[str, Any]) -> Text:
    """What needs consent; nothing without it."""
    habits = [p["preferred_scene"], f"around {p['habit_hour']}:00" if p["habit_hour"] is not None else None]
    bought = [*(p["preferred_categories"] or []), p["preferred_price_band"]]
    lines = [f"is found in {_listed(*habits)}"] if any(habits) else []
    return Text("\n".join([*lines, f"buys {_listed(*bought)}"] if any(bought) else lines))


def _interests(rows: Sequence[Mapping[str, Any]], topics: int) -> Table:
    table = Table("likes", "", "share", "", "signs", box=box.SIMPLE, pad_edge=False)
    for row in rows:
        if row["rank"] <= topics and row["share_ppm"] > 0:
            share = row["share_ppm"] / 10_000
            bar = "█" * max(1, round(share * BAR / 100))
            table.add_row(
                row["topic_kind"] if row["rank"] == 1 else "",
                row["topic_name"],
                f"{share:.1f} %",
                bar,
                str(row["tile_count"]),
            )
    return table


def _named(p: Mapping[str, Any]) -> Text:
    """Interests by name: what the history keeps of them."""
    return Text(f"likes {_listed(*p['top_interests'])}" if p["top_interests"] else "")


def _amount(name: str, value: int | None) -> str:
    if value is None:
        return ""
    if name.endswith("_fen"):
        return _yuan(value)
    if name == "watch_seconds":
        return f"{value // 3600}:{value // 60 % 60:02d}:{value % 60:02d}"
    return str(value)


def _yuan(fen: int) -> str:
    return f"¥{fen // 100:,}.{fen % 100:02d}"


def _listed(*words: str | None) -> str:
    return " · ".join(word for word in words if word)
