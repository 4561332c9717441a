"""`reelhouse alerts`: every promise is held against what the ledger and the broker say, and people hear of changes."""

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import topics
from jobs.lake.contracts import contract
from jobs.lake.errors import BrokerError, PromiseError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import ROOT, Settings
from jobs.lake.watch import alerting
from jobs.lake.watch.measuring import Measured, measure, record
from tests.jobs.serve.filled import filled

AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
FUNNELS = [f"gold.funnel_{name}" for name in ("attempts", "conversions", "daily", "openings", "paths")]
Row = dict[str, Any]


class Shop:
    """A lake whose ledger is written by hand, and a broker that is a table of offsets."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.ledger = settings, Ledger(settings)
        self.ends: topics.Offsets = {"views": {0: 100}}
        self.oldest: datetime | None = None
        self.is_up = True
        self.is_leaving = False

    def put(self, table: str, *rows: Row) -> None:
        self.ledger.append(table, [filled(self.settings, table, row) for row in rows])

    def batch(self, seq: int, at: datetime, *days: date, **counts: Any) -> None:
        """Batch `seq` of ten records of views/0, booked at `at`."""
        line = {"ingest_seq": seq, "topic": "views", "offset_from": seq * 10, "offset_to": seq * 10 + 10,
                "received": 10, "accepted": 10, "balanced": True, "recorded_at": at} | counts  # fmt: skip
        self.ledger.append("ops.books", [filled(self.settings, "ops.books", line)], app="ingest", version=seq)
        new = {"ingest_seq": seq, "table": "silver.views", "cause": "new_facts", "rows": 5, "recorded_at": at}
        self.put("ops.touched", *(new | {"day": day} for day in days))

    def release(self, seq: int, at: datetime) -> None:
        """All funnel tables as they are after batch `seq`."""
        line = {"release_id": "funnels-000001", "family": "funnels", "ingest_seq": seq, "known_from": at}
        schemas = self.settings.schemas_dir
        self.put(
            "ops.publications",
            *(line | {"table": table, "contract_version": contract(table, schemas).version} for table in FUNNELS),
        )

    def check(self, check: str, at: datetime, day: date | None = None, *, success: bool, seq: int = 0) -> None:
        self.put("ops.check_results", {
            "family": "funnels", "table": "gold.funnel_daily", "check": check, "severity": "critical", "slice": day,
            "success": success, "ingest_seq": seq, "recorded_at": at,
            "contract_version": contract("gold.funnel_daily", self.settings.schemas_dir).version,
        })  # fmt: skip

    def measured(self, at: datetime = AT) -> Measured:
        return measure(self.settings, at, "r")

    def found(self, table: str, name: str, at: datetime = AT) -> tuple[float, bool]:
        rows = [row for row in self.measured(at).promises if (row["table"], row["property"]) == (table, name)]
        return (rows[0]["measured"], rows[0]["is_kept"]) if rows else (-1.0, True)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    made = Shop(Settings(home=tmp_path))

    def ends(settings: Settings) -> topics.Offsets:
        if made.is_leaving:
            raise BrokerError("Kafka is away")
        return made.ends

    def times(settings: Settings, places: dict[tuple[str, int], int]) -> dict[tuple[str, int], datetime]:
        return {place: made.oldest for place in places if made.oldest}

    monkeypatch.setattr(topics, "is_reachable", lambda _: made.is_up)
    monkeypatch.setattr(topics, "end_offsets", ends)
    monkeypatch.setattr(topics, "times_of", times)
    monkeypatch.setattr(topics, "topic_ids", lambda *_: {})
    return made


def test_a_stream_is_late_by_the_oldest_record_that_was_not_read(shop: Shop) -> None:
    shop.batch(0, AT - HOUR)
    shop.oldest = AT - timedelta(minutes=20)
    (row,) = shop.measured().lag
    assert (row["end_offset"], row["next_offset"], row["behind"]) == (100, 10, 90)
    assert shop.found("silver.views", "latency") == (1200.0, False)
    shop.ends = {"views": {0: 10}}
    assert shop.found("silver.views", "latency") == (0.0, True)


def test_silence_and_breakage_differ(shop: Shop) -> None:
    """Two partitions: canaries come through both, then no record comes in one, then the other's canary is not read."""
    shop.batch(0, AT - 3 * HOUR)
    assert shop.found("silver.views", "availability") == (-1.0, True), "without canaries nothing is said"
    shop.ends = {"views": {0: 21, 1: 2}}

    def sent(ago: timedelta, **offsets: int) -> None:
        common = {"canary_sent_at": AT - ago, "topic": "views", "topic_id": ""}
        shop.put(
            "ops.canaries", *(common | {"partition": int(part[1:]), "kafka_offset": at} for part, at in offsets.items())
        )

    def states(at: datetime = AT) -> list[str]:
        return [row["state"] for row in shop.measured(at).lag]

    sent(2 * HOUR, p0=10, p1=0)
    assert states(AT - 2 * HOUR + timedelta(minutes=1)) == ["waiting", "waiting"]
    assert states() == ["broken", "broken"]
    read = {"recorded_at": AT - 2 * HOUR, "topic": "views", "topic_id": "", "run_id": "r", "balanced": True}
    more = {"canary": 1, "ingest_seq": 1}
    lines = [{"partition": 0, "offset_from": 10, "offset_to": 20, "received": 10, "accepted": 9},
             {"partition": 1, "offset_from": 0, "offset_to": 1, "received": 1}]  # fmt: skip
    rows = [filled(shop.settings, "ops.books", read | more | line) for line in lines]
    shop.ledger.append("ops.books", rows, app="ingest", version=1)
    assert states() == ["flowing", "silent"]
    assert shop.found("silver.views", "availability") == (100.0, True)
    sent(timedelta(minutes=14), p0=20, p1=1)
    assert states() == ["flowing", "silent"], "they are on their way"
    assert states(AT + timedelta(minutes=2)) == ["broken", "broken"]
    lines = [{"partition": 0, "offset_from": 20, "offset_to": 20}, {"partition": 1, "offset_from": 1, "offset_to": 2}]
    counts = [{"ingest_seq": 2, "canary": 0}, {"ingest_seq": 2, "received": 1, "accepted": 1, "canary": 0}]
    rows = [filled(shop.settings, "ops.books", read | line | n) for line, n in zip(lines, counts, strict=True)]
    shop.ledger.append("ops.books", rows, app="ingest", version=2)
    first, second = shop.measured().lag
    assert (first["state"], second["state"]) == ("flowing", "broken")
    assert second["state_reason"] == "the canary at offset 1 was passed over, and is in no books"
    (promise,) = [
        row for row in shop.measured().promises if row["table"] == "silver.views" and row["property"] == "availability"
    ]
    assert (promise["measured"], promise["runbook"]) == (50.0, "docs/runbooks/canaries.md")
    assert promise["detail"].startswith("1 of 2 partitions answer, 0 are silent: views/1: the canary at offset 1")
    shop.ends = {"views": {0: 22, 1: 2}}
    sent(timedelta(minutes=1), p0=21)
    line = read | {"partition": 0, "received": 1, "canary": 1}
    for seq, offset in ((3, 20), (4, 21)):
        assert shop.measured().lag[0]["state"] == "flowing", "records need not come with each"
        row = filled(
            shop.settings, "ops.books", line | {"ingest_seq": seq, "offset_from": offset, "offset_to": offset + 1}
        )
        shop.ledger.append("ops.books", [row], app="ingest", version=seq)
    assert shop.measured().lag[0]["state"] == "silent"


def test_a_broker_that_is_away_breaks_its_own_promise_and_says_nothing_of_streams(shop: Shop) -> None:
    shop.batch(0, AT - HOUR)
    shop.is_up = False
    assert shop.found("ops.lag", "availability") == (0.0, False)
    assert shop.found("silver.views", "latency") == (-1.0, True)
    assert shop.measured().lag == []
    shop.is_up, shop.is_leaving = True, True
    assert shop.found("ops.lag", "availability") == (0.0, False)
    shop.is_leaving = False
    assert shop.found("ops.lag", "availability") == (100.0, True)


def test_gold_is_late_by_the_oldest_touch_that_was_not_released(shop: Shop) -> None:
    shop.batch(0, AT - 9 * HOUR, MONDAY)
    assert shop.found("gold.funnel_daily", "latency") == (9 * 3600.0, False)
    shop.release(0, AT - 8 * HOUR)
    assert shop.found("gold.funnel_daily", "latency") == (0.0, True)
    shop.batch(1, AT - HOUR, TUESDAY)
    shop.batch(2, AT, MONDAY)
    assert shop.found("gold.funnel_daily", "latency") == (3600.0, True)
    assert shop.found("gold.funnel_daily", "latency", AT + 2 * HOUR) == (3 * 3600.0, False)


def test_a_day_that_is_held_is_late_since_its_check_failed_and_missing_until_it_is_released(shop: Shop) -> None:
    shop.batch(0, AT - 9 * HOUR, MONDAY, TUESDAY)
    shop.check("funnel_narrows", AT - 5 * HOUR, MONDAY, success=False)
    shop.check("nothing_below_zero", AT - 5 * HOUR, success=True)
    shop.release(0, AT - 5 * HOUR)
    assert shop.found("gold.funnel_daily", "latency") == (5 * 3600.0, False)
    assert shop.found("gold.funnel_daily", "completeness") == (50.0, False)
    assert shop.found("gold.funnel_daily", "quality") == (50.0, False)
    shop.check("funnel_narrows", AT - HOUR, MONDAY, success=True)
    kept = [shop.found("gold.funnel_daily", name) for name in ("latency", "completeness", "quality")]
    assert kept == [(0.0, True), (100.0, True), (100.0, True)]


def test_a_stream_is_complete_by_the_share_of_a_days_records_that_were_not_refused(shop: Shop) -> None:
    shop.batch(0, AT - 25 * HOUR, accepted=0, quarantined=10)
    shop.batch(1, AT - HOUR, accepted=8, duplicate=1, quarantined=1)
    assert shop.found("silver.views", "completeness") == (90.0, False)
    assert shop.found("silver.likes", "completeness") == (100.0, True)


def test_books_that_are_off_break_the_promise_of_the_books(shop: Shop) -> None:
    shop.batch(0, AT - HOUR)
    assert shop.found("ops.books", "quality") == (100.0, True)
    shop.batch(1, AT, offset_from=11, received=9, accepted=9)
    assert shop.found("ops.books", "quality") == (50.0, False)


def numbers(seq: int, at: datetime, first: int, last: int, by: str = "u-Canary") -> Row:
    """A run of numbers that a batch received."""
    return {"ingest_seq": seq, "producer_id": by, "producer_epoch": 1, "first_seq": first, "last_seq": last,
            "record_count": last - first + 1, "recorded_at": at}  # fmt: skip


def test_numbers_that_are_lost_break_a_promise_for_a_day_or_until_they_come(shop: Shop) -> None:
    key = ("ops.sequences", "completeness")
    assert shop.found(*key) == (100.0, True)
    shop.put("ops.sequences", numbers(0, AT - 26 * HOUR, 0, 9), numbers(1, AT - HOUR, 20, 29))
    assert shop.found(*key) == (50.0, False)
    (row,) = shop.measured().broken
    assert row["detail"] == "10 numbers of 1 epochs lost, 0 came again in 24 h"
    assert row["runbook"] == "docs/runbooks/books.md"
    assert "Canary" not in str(row)
    assert shop.found(*key, AT + 25 * HOUR)[1], "it was told for a day"
    shop.put("ops.sequences", numbers(2, AT - HOUR / 2, 10, 19))
    assert shop.found(*key) == (100.0, True)


def test_an_old_number_that_comes_again_does_not_make_what_history_has_a_loss(shop: Shop) -> None:
    shop.put("ops.sequences", numbers(0, AT - 100 * HOUR, 0, 99), numbers(1, AT - HOUR, 7, 7), numbers(2, AT, 100, 101))
    assert shop.found("ops.sequences", "completeness") == (100.0, True)
    assert shop.measured().numbers.repeated == 1
    shop.put("ops.sequences", numbers(3, AT, 103, 103))
    assert shop.measured().numbers.lost == 1


def test_as_many_lost_numbers_pass_as_refused_records_bear_none(shop: Shop) -> None:
    bare = {"ingest_seq": 1, "topic": "views", "record_count": 9, "recorded_at": AT}
    shop.batch(1, AT, received=10, accepted=8, quarantined=2)
    shop.put(
        "ops.sequences", numbers(0, AT, 0, 9), numbers(1, AT, 12, 19), bare | {"producer_id": None, "first_seq": None}
    )
    assert shop.found("ops.sequences", "completeness") == (100.0, True)
    shop.put("ops.sequences", numbers(2, AT, 21, 21))
    value, is_kept = shop.found("ops.sequences", "completeness")
    assert (round(value, 1), is_kept) == (95.0, False)
    (row,) = (row for row in shop.measured().promises if row["table"] == "ops.sequences")
    assert row["detail"].endswith("; up to 2 of the lost may be among refused records without a number")


def test_what_is_measured_is_noted_as_the_contracts_say(shop: Shop) -> None:
    shop.batch(0, AT - HOUR, MONDAY)
    measured = shop.measured()
    record(shop.ledger, measured)
    promised = {row["table"] for row in measured.freshness}
    assert {"silver.views", "silver.users", "silver.sessions", "gold.user_scores", "gold.funnel_daily"} <= promised
    for table, rows in (("lag", measured.lag), ("rates", measured.rates), ("freshness", measured.freshness),
                        ("promises", measured.promises)):  # fmt: skip
        assert shop.ledger.read(f"ops.{table}").num_rows == len(rows) > 0
    assert all((ROOT / row["runbook"]).is_file() for row in measured.promises)


def views(shop: Shop, at: datetime) -> Row:
    """What a measuring says of views; it is noted."""
    measured = shop.measured(at)
    record(shop.ledger, measured)
    return next(row for row in measured.rates if row["topic"] == "views")


def test_each_batch_counts_in_the_rates_of_one_measuring_whenever_it_is_booked(shop: Shop) -> None:
    shop.batch(0, AT - 30 * HOUR)
    shop.batch(1, AT - HOUR)
    first = views(shop, AT)
    assert (first["received_count"], first["measured_from"], first["counted_seq"]) == (10, AT - 24 * HOUR, 1)
    minute = timedelta(minutes=1)
    shop.batch(2, AT - timedelta(milliseconds=1), accepted=4, quarantined=6)  # stamped before, there after
    shop.batch(3, AT + minute)
    second = views(shop, AT + 2 * minute)
    assert (second["measured_from"], second["received_count"], second["quarantined_count"]) == (AT, 20, 6)
    assert (second["received_per_second"], second["accepted_per_second"]) == (20 / 120, 14 / 120)
    third = views(shop, AT + 3 * minute)
    assert (third["received_count"], third["received_per_second"], third["counted_seq"]) == (0, 0.0, 3)
    assert views(shop, AT + 40 * HOUR)["measured_from"] == AT + 16 * HOUR


def run(*words: str) -> Any:
    return CliRunner().invoke(build_app(), ["alerts", *words])


def test_the_command_prints_what_is_broken_and_fails_with_it(shop: Shop, tmp_path: Path) -> None:
    shop.is_up = False
    said = run("--format", "json", "--result", str(tmp_path / "result.json"))
    (row,) = json.loads(said.stdout)
    assert (row["table"], row["property"], row["measured"]) == ("ops.lag", "availability", 0.0)
    assert isinstance(said.exception, PromiseError)
    assert said.exception.exit_code == 1
    for words in ("ops.lag: availability", "promised 100 %, measured 0 %", "docs/runbooks/broker.md"):
        assert words in str(said.exception)
    assert json.loads((tmp_path / "result.json").read_text())["error"] == "PromiseError"
    shop.is_up = True
    kept = run("--format", "json")
    assert (kept.exit_code, json.loads(kept.stdout)) == (0, [])
    assert "0 of" in kept.stderr
    assert "promises are broken" in run().stdout
    assert not shop.ledger.exists("ops.promises")  # nothing is noted unless asked for


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the webhook got."""
    sent: list[str] = []
    answer = requests.Response()
    answer.status_code = 200

    def post(url: str, data: str, **how: Any) -> requests.Response:
        sent.append(json.loads(data)["text"])
        return answer

    monkeypatch.setattr(requests, "post", post)
    monkeypatch.setenv("REELHOUSE_ALERT_WEBHOOK", "http://127.0.0.1:9/services/secret-token")
    return sent


def test_people_hear_once_when_a_promise_breaks_and_once_when_it_is_kept_again(shop: Shop, posted: list[str]) -> None:
    def told() -> list[tuple[str, str]]:
        lines = (shop.settings.home / "alerts" / "alerts.jsonl").read_text().splitlines()
        return [(line["table"], line["state"]) for line in map(json.loads, lines)]

    shop.is_up = False
    assert [run("--record").exit_code for _ in range(2)] == [1, 1]
    assert told() == [("ops.lag", "broken")]
    shop.is_up = True
    assert [run("--record").exit_code for _ in range(2)] == [0, 0]
    assert told() == [("ops.lag", "broken"), ("ops.lag", "kept again")]
    assert [text.split(":")[1].strip() for text in posted] == ["availability broken", "availability kept again"]
    assert len(shop.ledger.read("ops.promises", ["measured_at"])["measured_at"].unique()) == 4


def test_a_webhook_that_does_not_answer_breaks_nothing_and_its_address_is_told_nowhere(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("REELHOUSE_ALERT_WEBHOOK", "http://127.0.0.1:9/services/secret-token")
    shop.is_up = False
    said = run("--record")
    assert isinstance(said.exception, PromiseError)
    assert "did not take the message: ConnectionError" in caplog.text
    assert "secret-token" not in caplog.text + said.output + (shop.settings.home / "alerts/alerts.jsonl").read_text()


def test_news_is_what_changed_since_a_promise_was_last_measured(shop: Shop) -> None:
    row = {"table": "silver.views", "property": "latency", "promised": 900.0, "measured": 1.0, "unit": "s",
           "detail": "so", "runbook": "x", "run_id": "r"}  # fmt: skip
    late, whole = ("silver.views", "latency"), ("silver.views", "completeness")
    for age, name, is_kept in ((25, "quality", False), (3, "completeness", False), (2, "latency", False),
                               (1, "completeness", True)):  # fmt: skip
        shop.put("ops.promises", row | {"property": name, "measured_at": AT - age * HOUR, "is_kept": is_kept})
    assert alerting.broken_before(shop.ledger, AT) == {late}  # not measured an hour ago: the broker was silent
    now_kept = row | {"measured_at": AT, "is_kept": True}
    assert [one["state"] for one in alerting.changes([now_kept], {late})] == ["kept again"]
    assert alerting.changes([now_kept], {whole}) == []
    assert [one["state"] for one in alerting.changes([now_kept | {"is_kept": False}], set())] == ["broken"]


def test_a_published_table_leads_to_other_pages_than_a_stream(shop: Shop) -> None:
    shop.batch(0, AT - HOUR, MONDAY)
    pages = {(row["table"], row["property"]): row["runbook"] for row in shop.measured().promises}
    assert pages["silver.views", "latency"] == "docs/runbooks/ingest.md"
    assert pages["silver.views", "completeness"] == "docs/runbooks/quarantine.md"
    assert pages["silver.sessions", "latency"] == pages["gold.user_days", "latency"] == "docs/runbooks/late.md"
    assert pages["ops.books", "quality"] == "docs/runbooks/books.md"
