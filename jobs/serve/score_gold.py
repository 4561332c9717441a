"""Comparisons of the funnel and the profiles with what people truly did."""

# ruff: noqa: S608 (only names of ours are put together; values come in as variables)

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.serve.score_checks import PEOPLE, TRUE_LIFECYCLE, VISITORS, Check, columns_differ

ACTS = ("like", "unlike", "favourite", "unfavourite", "comment", "share", "follow", "unfollow", "add_to_cart",
        "remove_from_cart", "not_interested", "report")  # fmt: skip
WINDOW_DAYS = 90  # the widest window of a profile: it must hold all days of the world
STEPS = 5  # of the funnel
SILVER_AGE, ADULT_AGE = 60, 18
GENERATIONS = (("gen_x", 1965, 1979), ("millennial", 1980, 1994), ("gen_z", 1995, 2010), ("gen_alpha", 2011, 9999))


def funnel_checks() -> Iterator[Check]:
    """Attempts one by one, and how many people got how far."""
    attempts, people = "gold.funnel_attempts", ("silver.users", "silver.views")
    yield Check(
        "gold.funnel_attempts: each attempt",
        (attempts, *people),
        _attempts(),
        "SELECT count(*) FROM true_attempts WHERE reached > 1",
    )
    yield Check(
        "gold.funnel_attempts: who converted",
        (attempts, *people),
        _converted(),
        "SELECT count(*) FROM true_conversions WHERE is_converted",
    )
    yield Check(
        "gold.funnel_openings: attempts that went no further",
        ("gold.funnel_openings", *people),
        _openings(),
        "SELECT count(*) FROM true_attempts WHERE reached = 1",
    )
    yield Check(
        "gold.funnel_daily: people and attempts by day and step",
        ("gold.funnel_daily",),
        _daily(),
        f"SELECT {STEPS} * count(DISTINCT entry_day) FROM true_attempts",
    )


def _newest(table: str) -> str:
    """The rows of the funnel's newest version."""
    mine = "funnel = getvariable('funnel')"
    return f"{mine} AND funnel_version = (SELECT max(funnel_version) FROM {table} WHERE {mine})"


def _attempts() -> str:
    return f"""
        WITH people AS ({VISITORS}),
        want AS (
            SELECT pseudonym AS user_id, user_id AS raw, entry_at,
                concat_ws(' ', reached, entries, converted_at, CASE WHEN reached = 5 THEN first_entry_at END) AS told
            FROM true_attempts LEFT JOIN people ON user_id = raw WHERE reached > 1),
        have AS (
            SELECT user_id, entry_at,
                concat_ws(' ', reached, entry_count, converted_at,
                    CASE WHEN is_converted THEN deliberation_at END) AS told
            FROM gold_funnel_attempts WHERE {_newest("gold_funnel_attempts")})
        SELECT coalesce(want.raw, user_id) || ' ' || entry_at AS what, coalesce(want.told, 'no attempt') AS expected,
            coalesce(have.told, 'no attempt') AS found
        FROM want FULL JOIN have USING (user_id, entry_at) WHERE want.told IS DISTINCT FROM have.told"""


def _converted() -> str:
    return f"""
        WITH people AS ({VISITORS}),
        want AS (
            SELECT pseudonym AS user_id, user_id AS raw, first_converted_at AS at, conversions AS times
            FROM true_conversions LEFT JOIN people ON user_id = raw WHERE is_converted),
        have AS (
            SELECT user_id, min(converted_at) AS at, count(*) AS times FROM gold_funnel_attempts
            WHERE is_converted AND {_newest("gold_funnel_attempts")} GROUP BY user_id)
        SELECT coalesce(want.raw, user_id) AS what, concat_ws(' ', want.times, want.at) AS expected,
            concat_ws(' ', have.times, have.at) AS found
        FROM want FULL JOIN have USING (user_id)
        WHERE want.at IS DISTINCT FROM have.at OR want.times IS DISTINCT FROM have.times"""


def _openings() -> str:
    return f"""
        WITH people AS ({VISITORS}),
        want AS (
            SELECT pseudonym AS user_id, any_value(user_id) AS raw, entry_day, count(*) AS attempts,
                sum(entries) AS entries
            FROM true_attempts LEFT JOIN people ON user_id = raw WHERE reached = 1 GROUP BY pseudonym, entry_day),
        have AS (
            SELECT user_id, entry_date AS entry_day, sum(attempt_count) AS attempts, sum(entry_count) AS entries
            FROM gold_funnel_openings WHERE {_newest("gold_funnel_openings")} GROUP BY user_id, entry_date)
        SELECT coalesce(want.raw, user_id) || ' ' || entry_day AS what,
            concat_ws(' of ', want.attempts, want.entries) AS expected,
            concat_ws(' of ', have.attempts, have.entries) AS found
        FROM want FULL JOIN have USING (user_id, entry_day)
        WHERE want.attempts IS DISTINCT FROM have.attempts OR want.entries IS DISTINCT FROM have.entries"""


def _daily() -> str:
    """The total of each day and step; staff and minors are set aside, and counted so on the first step."""
    counts = {"attempts_count": "attempts", "people_count": "people"}
    aside = {"set_aside_attempts_count": "aside_attempts", "set_aside_people_count": "aside_people"}
    differ = [
        f"SELECT concat_ws(' ', day, 'step', step_number, '{name}') AS what, coalesce({true}, 0)::VARCHAR AS expected, "
        f"have.{name}::VARCHAR AS found FROM want FULL JOIN have USING (day, step_number) "
        f"WHERE have.{name} IS DISTINCT FROM coalesce({true}, 0)"
        for name, true in {**counts, **aside}.items()
    ]
    return f"""
        WITH tries AS (
            SELECT entry_day AS day, user_id, reached,
                coalesce(is_staff OR year(entry_day) - birth_year < {ADULT_AGE}, false) AS is_aside
            FROM true_attempts LEFT JOIN true_users USING (user_id)),
        want AS (
            SELECT day, step_number, count(*) FILTER (NOT is_aside) AS attempts,
                count(DISTINCT user_id) FILTER (NOT is_aside) AS people,
                count(*) FILTER (is_aside AND step_number = 1) AS aside_attempts,
                count(DISTINCT user_id) FILTER (is_aside AND step_number = 1) AS aside_people
            FROM tries JOIN (SELECT unnest(range(1, {STEPS + 1})) AS step_number) ON reached >= step_number
            GROUP BY day, step_number),
        have AS (
            SELECT entry_date AS day, * FROM gold_funnel_daily
            WHERE breakdown = 'total' AND {_newest("gold_funnel_daily")})
        {" UNION ALL ".join(differ)}"""


def profile_checks(world: Mapping[str, Any]) -> Iterator[Check]:
    """Every user's profile, column by column."""
    expected = f"""
        WITH people AS ({PEOPLE}), lives AS ({TRUE_LIFECYCLE})
        SELECT * EXCLUDE (user_id), true_users.user_id AS who, pseudonym
        FROM true_users JOIN true_profiles USING (user_id) JOIN lives USING (user_id)
        LEFT JOIN people ON true_users.user_id = raw"""
    found = f"""
        WITH people AS ({PEOPLE})
        SELECT gold_user_profiles.*, raw AS who FROM gold_user_profiles JOIN people ON user_id = pseudonym"""
    needs = ("gold.user_profiles", "silver.users")
    compared = "SELECT count(*) FROM true_users"
    for name, columns in (("who they are", _who(world)), ("what they do", _does(world)), ("what they buy", _buys())):
        yield Check(f"gold.user_profiles: {name}", needs, columns_differ("who", columns, expected, found), compared)


def _who(world: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    same = {"city_tier": "tier", "region": "region", "member_tier": "member", "acquisition_channel": "channel",
            "is_staff": "is_staff"}  # fmt: skip
    return {
        "generation": (_generation(int(world["last_day"][:4])), "f.generation"),
        **{name: (f"e.{true}", f"f.{name}") for name, true in same.items()},
    }


def _generation(year: int) -> str:
    """The generation by birth year as of a year, in the words of the profiles."""
    named = " ".join(f"WHEN e.birth_year BETWEEN {first} AND {last} THEN '{name}'" for name, first, last in GENERATIONS)
    old = f"WHEN {year} - e.birth_year >= {SILVER_AGE} THEN 'silver'"
    return f"CASE WHEN e.birth_year IS NULL THEN 'unknown' {old} {named} END"


def _does(world: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    whole = {
        "lifecycle": ("e.lifecycle", "f.lifecycle"),
        "event_count": ("e.event_count", "f.event_count"),
        "first_seen_at": ("e.first_seen", "f.first_seen_at"),
        "last_seen_at": ("e.last_seen", "f.last_seen_at"),
    }
    if int(world["days"]) >= WINDOW_DAYS:
        return whole
    counts = ["completed_view_count", *(f"{act}_count" for act in ACTS)]
    return {
        **whole,
        "active_days": ("e.active_days", f"f.active_days_{WINDOW_DAYS}d"),
        "watch_seconds": ("(e.play_watch_ms + e.live_watch_ms) // 1000", f"f.watch_seconds_{WINDOW_DAYS}d"),
        **{name: (f"e.{name}", f"f.{name}_{WINDOW_DAYS}d") for name in counts},
    }


def _buys() -> dict[str, tuple[str, str]]:
    return {
        "order_count": ("e.order_count", "f.order_count"),
        "gross_gmv_fen": ("e.gross_fen", "f.gross_gmv_fen"),
        "net_gmv_fen": ("e.net_fen", "f.net_gmv_fen"),
    }
