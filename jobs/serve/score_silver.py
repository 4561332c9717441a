"""Comparisons of what arrived, what was accepted, and what was refused."""

# ruff: noqa: S608 (only names of ours are put together; values come in as variables)

from collections.abc import Iterator

from jobs.serve.score_checks import FACTS, PEOPLE, WORLD_TOPICS, Check

_SENT = "SELECT count(*) FROM true_events WHERE fate <> 'lost'"
_HEADER = "decode(list_filter(bronze.headers, lambda header: header.key = '{}')[1].value)"
# a record's event id as its sender wrote it: in the header, or where there are no headers, in the body
_IN_BODY = "nullif(regexp_extract(TRY(decode(bronze.value)), '\"event_id\":\"([^\"]+)', 1), '')"
_SENDERS_ID = f"coalesce({_HEADER.format('ce_id')}, {_IN_BODY})"


def arrival_checks() -> Iterator[Check]:
    """Every record that was sent is in bronze; sent again as a whole, it is there as often."""
    yield Check(
        "bronze: every record arrived",
        ("bronze.events",),
        f"""
        WITH want AS (
            SELECT topic, count(*) AS records FROM true_events
            WHERE fate <> 'lost' AND breakage IS DISTINCT FROM 'no_headers' GROUP BY topic),
        have AS (
            SELECT topic, count(*) AS records FROM bronze_events AS bronze
            WHERE {_HEADER.format("ce_source")} = getvariable('source') AND topic <> 'control' GROUP BY topic)
        SELECT topic AS what, want.records::VARCHAR AS expected, coalesce(have.records, 0)::VARCHAR AS found
        FROM want LEFT JOIN have USING (topic)
        WHERE coalesce(have.records, 0) = 0 OR have.records % want.records <> 0""",
        _SENT,
    )
    yield Check("books: counts by fate", ("ops.books",), _books(), _SENT)


def _books() -> str:
    """Only when the lake holds this world alone, sent once: the books know no sources."""
    fates = {"accepted": "good", "duplicate": "duplicate", "conflict": "conflict"}
    counted = [f"count(*) FILTER (fate = '{fate}') AS {name}" for name, fate in fates.items()]
    differ = [
        f"SELECT topic || ' {name}' AS what, want.{name}::VARCHAR AS expected, have.{name}::VARCHAR AS found "
        "FROM want LEFT JOIN have USING (topic) "
        f"WHERE have.{name} IS DISTINCT FROM want.{name} AND (SELECT * FROM once)"
        for name in (*fates, "quarantined", "received")
    ]
    topics = ", ".join(f"'{topic}'" for topic in WORLD_TOPICS)
    return f"""
        WITH want AS (
            SELECT topic, {", ".join(counted)}, count(*) AS received,
                count(*) FILTER (fate IN ('quarantined', 'conflict')) AS quarantined
            FROM true_events WHERE fate <> 'lost' GROUP BY topic),
        have AS (
            SELECT topic, {", ".join(f"sum({name}) AS {name}" for name in (*fates, "quarantined", "received"))}
            FROM ops_books WHERE topic IN ({topics}) GROUP BY topic),
        once AS (SELECT (SELECT sum(received) FROM have) <= (SELECT sum(received) FROM want))
        {" UNION ALL ".join(differ)}"""


def silver_checks() -> Iterator[Check]:
    """Good events once and as they were, nothing else; refused records in quarantine for the right reasons."""
    yield Check("silver: one pseudonym a user", ("silver.users",), _pseudonyms(), "SELECT count(*) FROM true_users")
    for topic in WORLD_TOPICS:
        yield Check(
            f"silver.{topic}: good events once",
            (f"silver.{topic}", "silver.users"),
            _good(topic),
            f"SELECT count(*) FROM true_events WHERE topic = '{topic}' AND fate = 'good'",
        )
    yield Check(
        "silver.quarantine: refused for the right reasons",
        ("silver.quarantine", "bronze.events"),
        _refused(),
        "SELECT count(*) FROM true_events WHERE fate IN ('quarantined', 'conflict')",
    )


def _pseudonyms() -> str:
    return f"""
        WITH people AS ({PEOPLE}), known AS (SELECT raw, count(*) AS names FROM people GROUP BY raw)
        SELECT user_id AS what, '1' AS expected, coalesce(names, 0)::VARCHAR AS found
        FROM true_users LEFT JOIN known ON user_id = raw WHERE names IS DISTINCT FROM 1
        UNION ALL
        SELECT pseudonym, '1 user', count(*)::VARCHAR || ' users' FROM people GROUP BY pseudonym HAVING count(*) > 1"""


def _good(topic: str) -> str:
    """Missing, doubled or unknown events; and those whose time, kind or user is not the true one.

    An anonymous view goes by the pseudonym of its device, whichever that is.
    """
    time = "event_time" if topic in FACTS else "valid_from"
    who = "user_id" if topic in (*FACTS, "users") else "NULL"
    if topic == "views":
        who = "CASE WHEN user_id = device_id THEN 'the device' ELSE user_id END"
    return f"""
        WITH people AS ({PEOPLE}),
        want AS (
            SELECT event_id, event_time AS at, CASE WHEN is_tombstone THEN NULL ELSE kind END AS kind, is_tombstone,
                CASE WHEN goes_by <> user_id THEN 'the device' ELSE pseudonym END AS who
            FROM true_events LEFT JOIN people ON user_id = raw WHERE topic = '{topic}' AND fate = 'good'),
        have AS (
            SELECT event_id, count(*) AS times, any_value({time}) AS at, any_value(kind) AS kind,
                any_value({who}) AS who
            FROM silver_{topic} WHERE source_uri = getvariable('source') GROUP BY event_id)
        SELECT event_id AS what, CASE WHEN want.event_id IS NULL THEN 'nothing' ELSE 'once' END AS expected,
            coalesce(times, 0)::VARCHAR || ' times' AS found
        FROM want FULL JOIN have USING (event_id) WHERE want.event_id IS NULL OR times IS DISTINCT FROM 1
        UNION ALL
        SELECT event_id, concat_ws(' ', want.at, want.kind, want.who), concat_ws(' ', have.at, have.kind, have.who)
        FROM want JOIN have USING (event_id)
        WHERE want.at <> have.at OR (NOT is_tombstone AND want.kind <> have.kind) OR want.who <> have.who"""


def _refused() -> str:
    return f"""
        WITH want AS (
            SELECT event_id, any_value(topic) AS topic, list_sort(any_value(reasons))::VARCHAR AS reasons
            FROM true_events WHERE fate IN ('quarantined', 'conflict') GROUP BY event_id),
        have AS (
            SELECT {_SENDERS_ID} AS event_id,
                string_agg(DISTINCT list_sort(refused.reasons)::VARCHAR, ' or ') AS reasons,
                bool_or(refused.source_uri = getvariable('source')) AS is_ours
            FROM silver_quarantine AS refused JOIN bronze_events AS bronze
                ON refused.kafka_topic_id = bronze.topic_id AND refused.kafka_partition = bronze.partition
                AND refused.kafka_offset = bronze.offset
            WHERE refused.source_uri = getvariable('source') OR refused.source_uri IS NULL GROUP BY 1)
        SELECT coalesce(want.topic || ' ', '') || event_id AS what, coalesce(want.reasons, 'accepted') AS expected,
            coalesce(have.reasons, 'not refused') AS found
        FROM want FULL JOIN have USING (event_id)
        WHERE (want.event_id IS NOT NULL OR have.is_ours) AND want.reasons IS DISTINCT FROM have.reasons"""
