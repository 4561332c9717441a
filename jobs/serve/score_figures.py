"""How near the lake comes to what only the simulator knows: measured and printed, for no lake can be without fault.

Tastes are shown in acts alone, bots look like people now and then, and nobody knows what will be bought.
"""

# ruff: noqa: S608 (only names of ours are put together; values come in as variables)

from collections.abc import Iterator
from dataclasses import dataclass

from jobs.serve.score_checks import PEOPLE, TRUE_LIFECYCLE

ADULT_AGE = 18
TELLING_PLAYS = 100  # of a bot; one that plays less cannot be told from a person


@dataclass(frozen=True)
class Figure:
    """One measurement: `sql` gives one row of named numbers, the first how many were compared; null is not known."""

    name: str
    needs: tuple[str, ...]
    sql: str


def figures() -> Iterator[Figure]:
    """Segments, interests, bots and what is foretold."""
    yield Figure(
        "gold.user_profiles: people in their true segment", ("gold.user_profiles", "silver.users"), _segments()
    )
    yield Figure("gold.user_interests: top category", ("gold.user_interests", "silver.users"), _interests())
    yield Figure("silver.identity_edges: anonymous views given back", ("silver.identity_edges",), _anonymous_views())
    yield Figure("gold.user_profiles: bots kept out", ("gold.user_profiles", "silver.users"), _bots())
    yield Figure(
        "gold.user_scores: lifetime value foretold and made", ("gold.user_scores", "ops.model_fits"), _lifetime_value()
    )


def _segments() -> str:
    """People whose generation, city tier or lifecycle is the true one; not everybody says when they were born."""
    return f"""
        WITH people AS ({PEOPLE}), lives AS ({TRUE_LIFECYCLE}),
        told AS (
            SELECT coalesce(have.generation = who.generation, false) AS generation,
                coalesce(have.city_tier = who.tier, false) AS city_tier,
                coalesce(have.lifecycle = lives.lifecycle, false) AS lifecycle
            FROM true_users AS who JOIN lives USING (user_id) LEFT JOIN people ON who.user_id = raw
            LEFT JOIN gold_user_profiles AS have ON have.user_id = pseudonym)
        SELECT count(*) AS people, count(*) FILTER (generation) AS generation, count(*) FILTER (city_tier) AS city_tier,
            count(*) FILTER (lifecycle) AS lifecycle,
            count(*) FILTER (generation AND city_tier AND lifecycle) AS all_three
        FROM told"""


def _interests() -> str:
    """Of those with interests (so of those who agreed): is the first category the true one, or one of three?"""
    return f"""
        WITH people AS ({PEOPLE}),
        told AS (
            SELECT raw, top_category, bool_or(rank = 1 AND topic_name = top_category) AS is_first,
                bool_or(rank <= 3 AND topic_name = top_category) AS is_among
            FROM gold_user_interests AS have JOIN people ON have.user_id = pseudonym
            JOIN true_users AS who ON who.user_id = raw
            WHERE topic_kind = 'category' AND interest > 0 GROUP BY ALL)
        SELECT count(*) AS people, count(*) FILTER (is_first) AS first_is_true,
            count(*) FILTER (is_among) AS first_three_hold_it, round(avg(is_first::INT), 3) AS share_first
        FROM told"""


def _anonymous_views() -> str:
    """Anonymous views, those that count in a profile by the rules (which checks compare), and in the right one."""
    return """
        SELECT count(*) AS views, count(counts_for) AS counted,
            count(*) FILTER (counts_for = user_id) AS counted_rightly, count(DISTINCT user_id) AS people,
            count(DISTINCT counts_for) AS people_found,
            (SELECT count(DISTINCT device_id) FROM silver_identity_edges WHERE is_shared) AS shared_devices
        FROM true_events WHERE topic = 'views' AND fate = 'good' AND goes_by <> user_id"""


def _bots() -> str:
    return f"""
        WITH people AS ({PEOPLE}),
        told AS (
            SELECT is_bot, play_count >= {TELLING_PLAYS} AS is_telling,
                coalesce(is_suspected_bot, false) AS is_suspected
            FROM true_users AS who JOIN true_profiles USING (user_id) LEFT JOIN people ON who.user_id = raw
            LEFT JOIN gold_user_profiles AS have ON have.user_id = pseudonym)
        SELECT count(*) AS people, count(*) FILTER (is_bot) AS bots,
            count(*) FILTER (is_bot AND is_telling) AS bots_with_{TELLING_PLAYS}_plays,
            count(*) FILTER (is_bot AND is_suspected) AS bots_kept_out,
            count(*) FILTER (is_suspected AND NOT is_bot) AS people_kept_out
        FROM told"""


def _lifetime_value() -> str:
    """What a fit foretold of days it did not know, beside what was bought on them; and what a purchase is worth."""
    return f"""
        WITH fit AS (
            SELECT known_until, as_of_day, list_sum(list_transform(deciles, tenth -> tenth.predicted)) AS foretold
            FROM ops_model_fits WHERE model = 'bg_nbd' ORDER BY recorded_at DESC LIMIT 1),
        bought AS (
            SELECT DISTINCT user_id, (event_time AT TIME ZONE getvariable('zone'))::DATE AS day
            FROM true_events WHERE topic = 'orders' AND kind = 'paid' AND fate = 'good'),
        buyers AS (
            SELECT DISTINCT user_id FROM bought JOIN true_users USING (user_id), fit
            WHERE day <= known_until AND NOT is_bot AND coalesce(year(as_of_day) - birth_year >= {ADULT_AGE}, true)),
        made AS (
            SELECT count(*) AS purchases FROM bought SEMI JOIN buyers USING (user_id), fit
            WHERE day > known_until AND day <= as_of_day),
        worth AS (
            SELECT (SELECT avg(expected_purchase_fen) FROM gold_user_scores) AS foretold,
                (SELECT sum(net_fen) / sum(order_count) FROM true_profiles) AS made)
        SELECT (SELECT count(*) FROM buyers) AS buyers, round(fit.foretold) AS purchases_foretold,
            made.purchases AS purchases_made, round(worth.foretold) AS purchase_fen_foretold,
            round(worth.made) AS purchase_fen_made, round(fit.foretold * worth.foretold) AS value_fen_foretold,
            round(made.purchases * worth.made) AS value_fen_made
        FROM made, worth LEFT JOIN fit ON true"""
