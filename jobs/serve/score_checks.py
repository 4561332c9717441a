"""What a comparison with the truth is made of."""

# ruff: noqa: S608 (only names of ours are put together; values come in as variables)

from dataclasses import dataclass

WORLD_TOPICS = ("views", "likes", "orders", "users", "videos", "products", "merchants")
FACTS = WORLD_TOPICS[:3]
# raw users and their pseudonyms: the registration is the same event on both sides
PEOPLE = """
    SELECT DISTINCT truth.user_id AS raw, silver.user_id AS pseudonym
    FROM true_events AS truth JOIN silver_users AS silver USING (event_id)
    WHERE truth.topic = 'users' AND truth.fate = 'good'"""
# and visitors, who go by the name of their device
VISITORS = f"""{PEOPLE}
    UNION
    SELECT DISTINCT truth.goes_by, silver.user_id
    FROM true_events AS truth JOIN silver_views AS silver USING (event_id)
    WHERE truth.topic = 'views' AND truth.fate = 'good' AND truth.goes_by <> truth.user_id"""
# raw users and their lifecycle on the world's last day, by the words of docs/profiles.md
TRUE_LIFECYCLE = """
    WITH acts AS (
        SELECT counts_for AS user_id, getvariable('day') - (event_time AT TIME ZONE getvariable('zone'))::DATE AS ago
        FROM true_events
        WHERE fate = 'good' AND (topic IN ('views', 'likes')
            OR (topic = 'orders' AND kind IN ('placed', 'paid', 'return_requested', 'reviewed')))),
    days AS (
        SELECT user_id, max(ago) AS first, min(ago) AS last,
            min(ago) FILTER (ago >= 7) - max(ago) FILTER (ago < 7) AS silence FROM acts GROUP BY user_id),
    since AS (
        SELECT *, getvariable('day') - (registered_at AT TIME ZONE getvariable('zone'))::DATE AS registered
        FROM true_users LEFT JOIN days USING (user_id))
    SELECT user_id, CASE WHEN coalesce(last, registered) >= 60 THEN 'lost'
        WHEN coalesce(last, registered) >= 14 THEN 'dormant' WHEN greatest(registered, first) < 7 THEN 'new'
        WHEN coalesce(last, registered) < 7 AND silence >= 14 THEN 'waking' ELSE 'active' END AS lifecycle
    FROM since"""


@dataclass(frozen=True)
class Check:
    """One comparison: `differences` is SQL giving (what, expected, found), `compared` SQL giving one number."""

    name: str
    needs: tuple[str, ...]
    differences: str
    compared: str


def columns_differ(key: str, columns: dict[str, tuple[str, str]], expected: str, found: str) -> str:
    """SQL for one row per column that differs between two relations of one row per `key`; a missing row is one.

    `columns`: name → (expression over `expected` as e, expression over `found` as f).
    """
    joined = f"FROM ({expected}) AS e LEFT JOIN ({found}) AS f USING ({key})"
    absent = f"SELECT {key}::VARCHAR AS what, 'a row' AS expected, 'none' AS found {joined} WHERE f.{key} IS NULL"
    differ = [
        f"SELECT {key} || ' ' || '{name}', ({want})::VARCHAR, ({have})::VARCHAR {joined} "
        f"WHERE f.{key} IS NOT NULL AND ({want}) IS DISTINCT FROM ({have})"
        for name, (want, have) in columns.items()
    ]
    return " UNION ALL ".join([absent, *differ])
