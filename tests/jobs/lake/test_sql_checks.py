"""The SQL checks of contracts can be asked of their tables, and find the row they are there to find."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from jobs.lake.contracts import all_tables, contract
from jobs.lake.settings import ROOT

SCHEMAS = ROOT / "schemas"
NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)
FOUR, NINE = Decimal(4), Decimal(9)
OPEN = {"valid_from": NOON, "is_current": True, "is_deleted": False, "is_superseded": False}
OWN_LAYERS = ("bronze.", "silver.", "ops.")
ORDER = {"event_id": "019caeb0-7a80-7004-8a5b-0242ac120004", "user_id": "k1:0a", "source_uri": "app:ios"}
WRONG = {  # check -> rows of which exactly one, or one key, is wrong
    ("silver.views", "ids_are_v7"): [
        {"event_id": "019caeb0-7a80-4004-8a5b-0242ac120004"},
        {"event_id": ORDER["event_id"]},
    ],
    ("silver.views", "users_are_pseudonyms"): [{"user_id": "u-1"}, {"user_id": "k1:0a"}],
    ("silver.views", "not_ahead_of_the_broker"): [
        {"source_uri": "app:ios", "event_time": NOON + timedelta(minutes=11), "kafka_time": NOON},
        {"source_uri": "replay:olist", "event_time": NOON + timedelta(minutes=11), "kafka_time": NOON},
        {"source_uri": "app:ios", "event_time": NOON + timedelta(minutes=10), "kafka_time": NOON},
    ],
    ("silver.views", "watch_not_negative"): [{"watch_ms": -1}, {"watch_ms": 0}, {}],
    ("silver.likes", "acts_have_an_object"): [{}, {"video_id": "v"}, {"creator_id": "c"}],
    ("silver.orders", "bought_things_are_listed"): [{"kind": "paid", "lines": []}, {"kind": "shipped"}],
    ("silver.orders", "money_not_negative"): [{"freight_fen": -1}, {"refund_fen": 0}, {}],
    ("silver.users", "validity_in_order"): [
        {"valid_from": NOON, "valid_to": NOON - timedelta(1)},
        {"valid_from": NOON},
    ],
    ("silver.users", "current_is_open"): [
        OPEN,
        OPEN | {"is_current": False},
        OPEN | {"valid_to": NOON, "is_current": False},
    ],
    ("silver.users", "one_open_row"): [
        OPEN | {"user_id": "k1:a"},
        OPEN | {"user_id": "k1:a"},
        OPEN | {"user_id": "k1:b"},
    ],
    ("silver.quarantine", "always_a_reason"): [{"reasons": []}, {"reasons": ["tombstone"]}],
    ("silver.quarantine", "conflicts_name_their_twin"): [
        {"reasons": ["conflict"]},
        {"reasons": ["conflict"], "twin": (0, 5)},
    ],
    ("silver.sessions", "ends_after_it_began"): [
        {"started_at": NOON, "ended_at": NOON, "event_count": 1},
        {"started_at": NOON, "ended_at": NOON - timedelta(1), "event_count": 1},
    ],
    ("silver.sessions", "pauses_are_long"): [
        {"user_id": "k1:a", "started_at": NOON, "ended_at": NOON},
        {"user_id": "k1:a", "started_at": NOON + timedelta(minutes=30), "ended_at": NOON + timedelta(minutes=40)},
        {"user_id": "k1:a", "started_at": NOON + timedelta(minutes=71), "ended_at": NOON + timedelta(minutes=71)},
        {"user_id": "k1:b", "started_at": NOON + timedelta(minutes=72), "ended_at": NOON + timedelta(minutes=72)},
    ],
    ("silver.identity_edges", "pseudonyms_of_two"): [
        {"user_id": "k1:a", "device_id": "k1:a"},
        {"user_id": "k1:a", "device_id": "k1:d"},
    ],
    ("silver.identity_edges", "all_users_of_a_device"): [
        {"user_id": "k1:a", "device_id": "k1:d", "device_user_count": 2},
        {"user_id": "k1:a", "device_id": "k1:e", "device_user_count": 2},
        {"user_id": "k1:b", "device_id": "k1:e", "device_user_count": 2},
    ],
    ("silver.identity_edges", "shared_from_two_users_on"): [
        {"device_user_count": 2, "is_shared": False},
        {"device_user_count": 2, "is_shared": True},
        {"device_user_count": 1, "is_shared": False},
    ],
    ("silver.identity_edges", "seen_in_order"): [
        {"first_seen_at": NOON, "last_seen_at": NOON - timedelta(1)},
        {"first_seen_at": NOON, "last_seen_at": NOON},
    ],
    ("ops.books", "books_balance"): [
        {"received": 3, "accepted": 1, "duplicate": 1, "quarantined": 1, "balanced": True},
        {"received": 4, "accepted": 1, "duplicate": 1, "quarantined": 1, "balanced": True},
    ],
    ("ops.books", "conflicts_are_quarantined"): [{"conflict": 2, "quarantined": 1}, {"conflict": 1, "quarantined": 1}],
    ("ops.book_hours", "hours_balance"): [
        {"received": 3, "accepted": 4, "duplicate": -1, "quarantined": 0, "erased": 0},
        {"received": 4, "accepted": 4, "duplicate": -1, "quarantined": 0, "erased": 0},
    ],
    ("ops.canaries", "the_broker_took_it"): [{"kafka_offset": -1}, {"kafka_offset": 0}],
    ("ops.book_hours", "canaries_have_no_hour"): [
        {"received": 1, "canary": 1, "event_hour": NOON},
        {"received": 1, "canary": 1, "event_hour": None},
    ],
    ("ops.book_hours", "the_erased_have_no_hour"): [
        {"received": 1, "erased": 1, "event_hour": NOON},
        {"received": 1, "erased": 1, "event_hour": None},
    ],
    ("ops.sequences", "every_number_was_received"): [
        {"first_seq": 3, "last_seq": 5, "record_count": 2},
        {"first_seq": 3, "last_seq": 5, "record_count": 4},
        {"record_count": 0},
    ],
    ("ops.file_digests", "a_digest_is_whole"): [{"digest": "0f" * 31}, {"digest": "0f" * 32}],
    ("ops.sequences", "a_number_or_a_topic"): [
        {"producer_id": "app-1", "first_seq": 3, "topic": "views"},
        {"producer_id": "app-1", "first_seq": 3},
        {"topic": "views"},
    ],
    ("ops.lag", "never_ahead"): [
        {"end_offset": 1, "next_offset": 2, "behind": -1},
        {"end_offset": 3, "behind": 1, "next_offset": 2},
    ],
    ("ops.rates", "some_time_passed"): [
        {"measured_from": NOON, "measured_at": NOON},
        {"measured_from": NOON - timedelta(1), "measured_at": NOON},
    ],
    ("ops.promises", "kept_is_what_the_numbers_say"): [
        {"property": "latency", "promised": 9.0, "measured": 10.0, "is_kept": True},
        {"property": "latency", "promised": 9.0, "measured": 8.0, "is_kept": True},
        {"property": "quality", "promised": 100.0, "measured": 99.0, "is_kept": False},
    ],
    ("ops.costs", "nothing_below_zero"): [
        {"milliseconds": 1, "rows": 0, "files": -1, "bytes": 0},
        {"milliseconds": 1, "rows": 0, "files": 0, "bytes": 0},
    ],
    ("ops.reconciliations", "in_is_out"): [{"rows_used": 2, "rows_out": 1}, {"rows_used": 2, "rows_out": 2}],
    ("ops.backfills", "events_known"): [{"event": "ended"}, {"event": "released"}],
    ("ops.restatements", "parts_add_up"): [
        {"release_id": "f-2", "row_key": "{}", "measure": name, "old_value": old, "new_value": NINE, "part": part}
        for name, old, parts in (("m", FOUR, (FOUR, Decimal(1))), ("n", None, (FOUR, FOUR)))
        for part in parts
    ],
    ("ops.books", "ranges_in_order"): [{"offset_from": 5, "offset_to": 4}, {"offset_from": 5, "offset_to": 5}],
    ("ops.check_results", "severities_known"): [{"severity": "error"}, {"severity": "info"}],
    ("bronze.events", "offsets_not_negative"): [{"offset": -1}, {"offset": 0}],
}


def query_of(table, name):
    """The query of one check."""
    return next(check.query for check in contract(table, SCHEMAS).checks if check.name == name)


@pytest.mark.parametrize("name", all_tables(SCHEMAS))
def test_every_sql_check_knows_the_columns_it_asks_for(spark, table, name):
    table(name, []).createOrReplaceTempView("asked")
    for check in contract(name, SCHEMAS).checks:
        if check.query:
            assert len(spark.sql(check.query.replace("{table}", "asked")).columns) == 1, check.name


@pytest.fixture(scope="module")
def counts(spark, table):
    """How many rows each check of `WRONG` finds, in one job."""
    asked = []
    for number, ((name, check), rows) in enumerate(WRONG.items()):
        table(name, rows).createOrReplaceTempView(f"wrong_{number}")
        asked.append(query_of(name, check).replace("{table}", f"wrong_{number}"))
    found = [row[0] for row in spark.sql(" UNION ALL ".join(f"({query})" for query in asked)).collect()]
    return dict(zip(WRONG, found, strict=True))


@pytest.mark.parametrize("case", WRONG, ids=".".join)
def test_a_check_finds_the_wrong_row_and_no_other(counts, case):
    assert counts[case] == 1


def test_every_check_of_silver_and_ops_is_tried():
    """Shared checks once: those of the three facts on views, of the four entities on users."""
    tried = {name for _, name in WRONG}
    own = [name for name in all_tables(SCHEMAS) if name.startswith(OWN_LAYERS)]
    assert {check.name for name in own for check in contract(name, SCHEMAS).checks if check.query} == tried
