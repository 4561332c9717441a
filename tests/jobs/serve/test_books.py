"""`reelhouse books`: added up again from the lines, by range, and red with the line's name when anything is off."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake import balance
from jobs.lake.balance import refuse_difference
from jobs.lake.errors import BooksError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.serve.book_hours import Happened, book_hours
from jobs.serve.books import Asked, book_ranges, streams, totals
from jobs.serve.heartbeats import heartbeats

AT = datetime(2026, 6, 8, 1, tzinfo=UTC)
EVE = AT.date() - timedelta(days=1)
Lake = Callable[..., Settings]


def line(seq: int, start: int, end: int, fates: tuple[int, int, int], **other: Any) -> dict[str, Any]:
    """One batch of views/0 with its accepted, duplicate and quarantined; booked a day after the batch before."""
    accepted, duplicate, quarantined = fates
    return {
        "ingest_seq": seq, "run_id": "r", "topic": "views", "topic_id": "v1", "partition": 0, "offset_from": start,
        "offset_to": end, "received": accepted + duplicate + quarantined, "accepted": accepted, "duplicate": duplicate,
        "conflict": 0, "quarantined": quarantined, "reason_counts": {}, "balanced": True,
        "recorded_at": AT + timedelta(days=seq),
    } | other  # fmt: skip


GOOD = [
    line(0, 0, 10, (8, 1, 1), conflict=1, reason_counts={"conflict": 1}),
    line(1, 10, 10, (0, 0, 0)),
    line(2, 10, 30, (15, 1, 3), reason_counts={"missing:scene": 2, "malformed_json": 1, "duplicate_field:u-Canary": 1}),
    line(3, 35, 40, (5, 0, 0), reason_counts={"lost_to_retention": 5}),
    line(0, 0, 4, (4, 0, 0), topic="likes", topic_id="l1", partition=1),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Make a lake whose books and watermarks have these lines."""

    def make(*lines: dict[str, Any], said: tuple[dict[str, Any], ...] = ()) -> Settings:
        made = Settings(home=tmp_path)
        monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
        Ledger(made).append("ops.books", lines)
        Ledger(made).append("ops.watermarks", said)
        return made

    return make


def released(name: str, table: str, day: date | None, rows: tuple[int, int], **left_out: int) -> dict[str, Any]:
    """A line of a release: rows in and out."""
    family, (came, made) = name.rpartition("-")[0], rows
    return {
        "release_id": name, "run_id": "r", "family": family, "table": table, "equation": "acts", "day": day,
        "rows_in": came, "left_out": left_out, "rows_used": came - sum(left_out.values()), "rows_out": made,
        "ingest_seq": 1, "recorded_at": AT,
    }  # fmt: skip


def test_gold_is_shown_beside_what_it_was_made_from_for_the_newest_release_of_each_family(lake: Lake) -> None:
    ledger = Ledger(lake())
    ledger.append("ops.reconciliations", [
        released("profiles-000001", "gold.user_days", AT.date(), (9, 9)),
        released("profiles-000002", "gold.user_days", AT.date(), (12, 11), of_nobody=1),
        released("profiles-000002", "silver.views", None, (5, 5)),
        released("profiles-000002", "bronze.events", None, (6, 6)),
        released("profiles-000003", "gold.user_days", AT.date(), (1, 1)),  # killed before it was published
        released("sessions-000001", "silver.sessions", AT.date(), (7, 7)),
        released("sessions-000001", "silver.sessions", EVE, (9, 7)) | {"not_compared": "rows went"},
    ])  # fmt: skip
    for name in ("profiles-000001", "profiles-000002", "sessions-000001"):
        line = {"release_id": name, "family": name.rpartition("-")[0], "table": "gold.user_days", "version": 1}
        facts = {"slices": [], "ingest_seq": 1, "contract_version": "1.0.0", "verdict": "passed", "run_id": "r"}
        ledger.append("ops.publications", [{**line, **facts, "known_from": AT, "rows": 1}])
    shown = CliRunner().invoke(build_app(), ["books", "--gold"])
    assert shown.exit_code == 0
    assert "1 of_nobody" in shown.stdout
    assert "NO" not in shown.stdout
    assert "not compared: rows went" in shown.stdout
    rows = json.loads(CliRunner().invoke(build_app(), ["books", "--gold", "--format", "json"]).stdout)
    assert [(row["release_id"], row["table"], row["rows_out"], row["adds_up"]) for row in rows] == [
        ("profiles-000002", "bronze.events", 6, True), ("profiles-000002", "silver.views", 5, True),
        ("profiles-000002", "gold.user_days", 11, True), ("sessions-000001", "silver.sessions", 7, None),
        ("sessions-000001", "silver.sessions", 7, True),
    ]  # fmt: skip
    assert isinstance(CliRunner().invoke(build_app(), ["books", "--gold", "--topic", "views"]).exception, UsageError)
    ledger.append("ops.reconciliations", [released("sessions-000001", "silver.sessions", None, (7, 6))])
    odd = CliRunner().invoke(build_app(), ["books", "--gold"]).exception
    assert isinstance(odd, BooksError)
    assert "sessions-000001 silver.sessions" in str(odd)


def test_batches_that_follow_on_are_one_range_and_a_loss_begins_another(lake: Lake) -> None:
    likes, first, second = book_ranges(lake(*GOOD), Asked())
    assert (likes["topic"], likes["partition"], likes["offset_to"]) == ("likes", 1, 4)
    assert (first["offset_from"], first["offset_to"], first["batches"]) == (0, 30, [0, 2])
    counts = ("received", "accepted", "duplicate", "quarantined", "conflict", "lost")
    assert [first[name] for name in counts] == [29, 23, 2, 4, 1, 0]
    assert first["reasons"] == {
        "conflict": 1, "missing:scene": 2, "malformed_json": 1, "duplicate_field:(unknown field)": 1,
    }  # fmt: skip
    assert (second["offset_from"], second["lost"], second["reasons"], second["balanced"]) == (35, 5, {}, True)


def test_totals_are_the_sums_of_a_topic(lake: Lake) -> None:
    found = {each["topic"]: each for each in totals(book_ranges(lake(*GOOD), Asked()))}
    counts = ("received", "accepted", "duplicate", "quarantined", "conflict", "lost", "balanced")
    assert [found["views"][name] for name in counts] == [34, 28, 2, 4, 1, 5, True]
    assert found["likes"]["received"] == 4


def replayed(offset: int, run_id: str, partition: int = 0) -> dict[str, Any]:
    """A refused record that was sent again."""
    return {"patch": "p", "patch_version": 1, "topic": "views", "kafka_topic_id": "v1", "kafka_partition": partition,
            "kafka_offset": offset, "event_id": "e", "run_id": run_id, "recorded_at": AT}  # fmt: skip


def test_what_was_sent_again_and_undone_is_told_of_the_range_it_was_refused_in(lake: Lake) -> None:
    """Twice replayed is one record; undone is what no replay that stands has sent; other partitions are not ours."""
    settings = lake(*GOOD, line(0, 0, 10, (9, 0, 1), partition=1))
    sent = [(9, "p-1.1"), (9, "p-1.2"), (12, "p-1.1"), (29, "p-1.2"), (29, "p-1.1"), (36, "p-1.1"), (40, "p-1.2")]
    rows = [replayed(offset, run_id) for offset, run_id in sent] + [replayed(9, "p-1.1", partition=1)]
    Ledger(settings).append("ops.replays", rows)
    back = {"replay_id": "p-1.1", "topic": "views", "records": 3, "why": "wrong", "recorded_at": AT}
    Ledger(settings).append("ops.retractions", [back])
    ranges = book_ranges(settings, Asked())
    assert [(each["replayed"], each["undone"]) for each in ranges] == [(0, 0), (3, 1), (1, 1), (1, 1)]
    assert all(each["balanced"] for each in ranges)
    found = {each["topic"]: each for each in totals(ranges)}
    assert [found["views"][name] for name in ("received", "replayed", "undone")] == [44, 5, 3]
    done = CliRunner().invoke(build_app(), ["books", "--topic", "views"])
    assert "sent again since by `reelhouse quarantine replay`" in done.stdout
    rows = json.loads(CliRunner().invoke(build_app(), ["books", "--format", "json"]).stdout)
    assert [(row["replayed"], row["undone"]) for row in rows if row["part"] == "total"] == [(0, 0), (5, 3)]


@pytest.mark.parametrize(
    ("asked", "ranges"),
    [
        (Asked("views"), [(0, 30), (35, 40)]),
        (Asked(partition=1), [(0, 4)]),
        (Asked("views", first="30"), [(35, 40)]),
        (Asked("views", first="10", last="35"), [(10, 30)]),
        (Asked("views", last="10"), [(0, 10)]),
        (Asked(first="2026-06-10", last="2026-06-10"), [(10, 30)]),
        (Asked(last="2026-06-07"), []),
    ],
)
def test_only_what_is_asked_for(lake: Lake, asked: Asked, ranges: list[tuple[int, int]]) -> None:
    found = book_ranges(lake(*GOOD), asked)
    assert [(each["offset_from"], each["offset_to"]) for each in found] == ranges
    assert all(each["balanced"] for each in found)  # a bound makes no gap


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (Asked("vews"), "no topic 'vews'; there are .*likes.*views"),
        (Asked("views", 7), "no partition 7 of views; there are 0"),
        (Asked(first="10"), "add --topic"),
        (Asked("views", last="monday"), "--to 'monday' is neither an offset nor a day"),
        (Asked("views", first="30", last="30"), "--from 30 is not before --to 30"),
        (Asked(first="2026-06-09", last="2026-06-08"), "--from 2026-06-09 is not before --to 2026-06-08"),
    ],
)
def test_what_is_not_there_is_refused(lake: Lake, asked: Asked, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        book_ranges(lake(*GOOD), asked)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (
            line(1, 10, 20, (8, 0, 1), received=10),
            "received 10, but accepted + duplicate + quarantined + erased + canary is 9",
        ),
        (line(1, 10, 20, (9, 0, 1), balanced=False), "was booked as not balanced"),
        (line(1, 10, 20, (9, 0, 1), conflict=2), "2 conflicts, but only 1 quarantined"),
        (line(1, 10, 15, (9, 0, 1)), "received 10 of 5 offsets"),
        (line(1, 12, 20, (8, 0, 0)), "begins at 12, but the range before ended at 10"),
        (line(1, 8, 20, (12, 0, 0)), "begins at 8, but the range before ended at 10"),
        (line(1, 15, 20, (5, 0, 0), reason_counts={"lost_to_retention": 3}), "ended at 10 and 3 were lost"),
    ],
)
def test_a_line_that_is_off_is_named_and_stands_alone(lake: Lake, bad: dict[str, Any], words: str) -> None:
    lake(line(0, 0, 10, (10, 0, 0)), bad, line(2, bad["offset_to"], 40, (1, 0, 0)))
    said = CliRunner().invoke(build_app(), ["books"])
    assert isinstance(said.exception, BooksError)
    assert said.exception.exit_code == 3
    told = str(said.exception)
    assert f"1 lines do not balance: views/0 offsets {bad['offset_from']}–{bad['offset_to']} (batch 1): " in told
    assert words in told
    assert "balanced: " not in said.output


def test_reasons_below_zero_are_made_up_for_by_lines_that_come_later(lake: Lake) -> None:
    """An undoing comes before what it took back, where the topic was made anew under an id that sorts later."""
    undone = line(1, 4, 4, (0, 0, 0), topic_id="v0", conflict=-1, reason_counts={"conflict": -1, "retracted": 1})
    first = line(0, 0, 4, (3, 0, 1), conflict=1, reason_counts={"conflict": 1})
    (sums,) = totals(book_ranges(lake(first, undone), Asked()))
    assert (sums["conflict"], sums["quarantined"], sums["reasons"]) == (0, 1, {"retracted": 1})


def test_what_is_erased_may_have_been_booked_as_something_else(lake: Lake) -> None:
    """A conflict of a replay that was undone in a later batch, then erased: it goes as refused for being taken back."""
    anew = line(0, 0, 1, (0, 0, 0), received=1, conflict=1, erased=1, reason_counts={"conflict": 1, "retracted": -1})
    undone = line(1, 1, 1, (0, 0, 0), conflict=-1, reason_counts={"conflict": -1, "retracted": 1})
    assert all(each["balanced"] for each in book_ranges(lake(anew, undone), Asked()))


def test_a_topic_made_anew_begins_anew(lake: Lake) -> None:
    anew = line(1, 0, 3, (3, 0, 0), topic_id="v2")
    assert all(each["balanced"] for each in book_ranges(lake(line(0, 0, 10, (10, 0, 0)), anew), Asked()))


def said(seq: int, source: str, hour: int, *, is_reached: bool = True, is_final: bool = False) -> dict[str, Any]:
    return {"ingest_seq": seq, "source": source, "topic": "views", "complete_until": AT + timedelta(hours=hour),
            "is_final": is_final, "offsets_reached": is_reached, "recorded_at": AT}  # fmt: skip


def test_streams_tell_the_last_word_reached_and_the_one_that_waits(lake: Lake) -> None:
    words = (said(0, "app", 1), said(0, "log", 4), said(1, "app", 2), said(2, "app", 3, is_reached=False))
    settings = lake(*GOOD, said=words)
    app, log = streams(settings)
    assert app["complete_until"] == AT + timedelta(hours=2)
    assert app["waiting_until"] == AT + timedelta(hours=3)
    assert (log["complete_until"], log["waiting_until"]) == (AT + timedelta(hours=4), None)
    assert {app["topic_complete_until"], log["topic_complete_until"]} == {AT + timedelta(hours=2)}
    assert streams(settings, "likes") == []


def test_canaries_tell_up_to_when_a_topic_is_read(lake: Lake) -> None:
    """Of two partitions the one that is behind; not by a canary that waits, or is of a topic of before."""
    settings = lake()
    lines = [
        line(0, 0, 10, (9, 0, 0), canary=1, received=10),
        line(0, 0, 3, (2, 0, 0), canary=1, received=3, partition=1),
    ]
    Ledger(settings).append("ops.books", [*lines, GOOD[-1]], app="ingest", version=0)
    assert heartbeats(settings) == []

    def sent(minute: int, partition: int, offset: int, topic_id: str = "v1") -> None:
        row = {"topic": "views", "topic_id": topic_id, "partition": partition, "kafka_offset": offset, "run_id": "r"}
        Ledger(settings).append("ops.canaries", [row | {"canary_sent_at": AT + timedelta(minutes=minute)}])

    sent(1, 0, 9)
    (views,) = heartbeats(settings)
    assert (views["read_until"], views["partitions"], views["with_canary"]) == (None, 2, 1)
    sent(2, 1, 2)
    sent(3, 0, 10)
    sent(4, 1, 1, "v0")
    (views,) = heartbeats(settings)
    assert views["read_until"] == AT + timedelta(minutes=1)
    printed = CliRunner().invoke(build_app(), ["books", "--topic", "views"])
    assert "2026-06-08 01:01:00" in printed.output
    (told,) = (row for row in rows_of_all() if row["part"] == "heartbeat")
    assert (told["topic"], told["with_canary"]) == ("views", 2)


def test_the_command_prints_ranges_totals_reasons_streams_and_producers(lake: Lake) -> None:
    settings = lake(*GOOD, said=(said(0, "app", 1, is_final=True),))
    runs = [{"producer_id": "ios", "producer_epoch": 1, "first_seq": at, "last_seq": at + 4} for at in (0, 10)]
    runs += [{"topic": "likes", "source_uri": "app:u-Canary"}]
    counts = {"record_count": 6, "refused_count": 0, "recorded_at": AT}
    Ledger(settings).append("ops.sequences", [each | counts | {"ingest_seq": 0} for each in runs])
    printed = CliRunner().invoke(build_app(), ["books"])
    assert printed.exit_code == 0, printed.output
    for words in ("35–40", "missing:scene", "5 offsets before it were lost unread", "2026-06-08 02:00 (final)",
                  "5–9", "5 lost between the first and last received (up to 5 may be", "2 repeated",
                  "balanced: 3 ranges, 38"):  # fmt: skip
        assert words in printed.output
    assert "Canary" not in printed.output
    rows = json.loads(CliRunner().invoke(build_app(), ["books", "--topic", "views", "--format", "json"]).output)
    assert [row["part"] for row in rows] == ["range", "range", "total", "stream"]
    (ios,) = (row for row in rows_of_all() if row["part"] == "sequence")
    told = {name: ios[name] for name in ("producer", "epoch", "received", "repeated", "lost", "missing")}
    assert told == {"producer": "ios", "epoch": 1, "received": 12, "repeated": 2, "lost": 5, "missing": [[5, 9]]}


def rows_of_all() -> list[dict[str, Any]]:
    """All parts, as JSON."""
    found = CliRunner().invoke(build_app(), ["books", "--format", "json"])
    return list(json.loads(found.output))


def hour(seq: int, at: datetime | None, fates: tuple[int, int, int], **other: Any) -> dict[str, Any]:
    """What one batch of views/0 has of an hour."""
    whole = line(seq, 0, 0, fates)
    names = (
        "ingest_seq",
        "topic",
        "topic_id",
        "partition",
        "received",
        "accepted",
        "duplicate",
        "conflict",
        "quarantined",
    )
    return {name: whole[name] for name in names} | {"event_hour": at, "erased": 0, "reason_counts": {}} | other


TOLD = (
    hour(2, AT, (10, 0, 1), reason_counts={"missing:scene": 1}),
    hour(2, AT - timedelta(hours=1), (5, 1, 0)),
    hour(2, None, (0, 0, 2), reason_counts={"missing:scene": 1, "malformed_json": 1, "duplicate_field:u-Canary": 1}),
    hour(3, AT, (6, 0, 0)),
    hour(3, None, (-1, 0, 0)),
)


def test_the_hours_of_batches_are_told_with_their_sums(lake: Lake) -> None:
    """Batches 0 and 1 were booked before there were hours."""
    Ledger(lake(*GOOD)).append("ops.book_hours", TOLD)
    printed = CliRunner().invoke(build_app(), ["books", "--by-hour", "--topic", "views"])
    assert printed.exit_code == 0, printed.output
    for words in ("2026-06-08 00:00", "none", "missing:scene", "2 batches were booked before hours were",
                  "balanced: 3 hours, 24 records"):  # fmt: skip
        assert words in printed.output
    assert "Canary" not in printed.output
    asked = ["books", "--by-hour", "--topic", "views", "--from", "30", "--format", "json"]
    rows = json.loads(CliRunner().invoke(build_app(), asked).output)
    assert [(row["part"], row["event_hour"], row["accepted"]) for row in rows] == [
        ("hour", None, -1), ("hour", rows[1]["event_hour"], 6), ("total", None, 5)]  # fmt: skip


def terms(printed: str) -> list[list[int]]:
    """Of each line of the tables that tell what was received: that, and its terms."""
    found, after, others = [], 0, 0
    for words in map(str.split, printed.splitlines()):
        if not words or "received" in words:  # a table is between empty lines
            after = len(words) - words.index("received") if words else 0
            others = len({"lost", "ok"}.intersection(words))
        elif after and words[0] in ("views", "likes"):
            found.append([int(word) for word in words[-after : len(words) - others]])
    return found


def test_what_was_received_is_the_sum_of_the_terms_of_each_printed_line(lake: Lake) -> None:
    """A conflict is a term of its own, of ranges, topics and hours; JSON has it beside both of them together."""
    bare = lake(*GOOD)
    printed = CliRunner().invoke(build_app(), ["books"])
    assert [sum(each) for _, *each in terms(printed.output)] == [4, 29, 5, 4, 34]
    assert "conflict" in printed.output
    assert "erased" not in printed.output, "it is nobody's fate"
    settings = lake(line(4, 40, 46, (1, 1, 3), conflict=2, erased=1, received=6))
    assert settings == bare
    Ledger(settings).append("ops.book_hours", (*TOLD, hour(4, AT, (1, 1, 3), conflict=2, erased=1, received=6)))
    for words, lines in (([], 5), (["--by-hour"], 4)):
        printed = CliRunner().invoke(build_app(), ["books", *words])
        found = terms(printed.output)
        assert len(found) == lines, printed.output
        assert [received for received, *_ in found] == [sum(each) for _, *each in found]
    rows = rows_of_all() + json.loads(
        CliRunner().invoke(build_app(), ["books", "--by-hour", "--format", "json"]).output
    )
    told = [row for row in rows if row["part"] in ("range", "total", "hour")]
    assert sum(row["conflict"] for row in told) == 2 * 3 + 2 * 2
    assert all(row["quarantined"] == row["conflict"] + row["refused"] for row in told)


@pytest.mark.parametrize(
    ("first", "last", "accepted"),
    [
        ("2026-06-08", "", [5, 16]),
        ("", "2026-06-08", [5, 16]),
        ("2026-06-08T01", "2026-06-08T01", [16]),
        ("", "2026-06-08T00:00Z", [5]),
        ("2026-06-08T09:00+08:00", "", [16]),
        ("2026-06-09", "", []),
    ],
)
def test_hours_are_chosen_by_when_events_happened(lake: Lake, first: str, last: str, accepted: list[int]) -> None:
    """A bound leaves out what tells no time; whether all hours add up is judged all the same."""
    settings = lake(*GOOD)
    Ledger(settings).append("ops.book_hours", TOLD)
    told = book_hours(settings, Asked("views"), Happened(first, last))
    assert [each["accepted"] for each in told.hours] == accepted
    assert told.off == []
    asked = ["books", "--by-hour", "--event-from", first, "--event-to", last, "--format", "json"]
    rows = json.loads(CliRunner().invoke(build_app(), asked).output)
    assert [row["accepted"] for row in rows if row["part"] == "hour"] == accepted
    assert sum(row["accepted"] for row in rows if row["part"] == "total") == sum(accepted)


@pytest.mark.parametrize(
    ("words", "refused"),
    [
        (["--by-hour", "--event-from", "monday"], "--event-from 'monday' is neither a day nor a full hour"),
        (["--by-hour", "--event-to", "2026-06-08T01:30"], "neither a day nor a full hour; write 2026-11-27"),
        (["--by-hour", "--event-from", "2026-06-09", "--event-to", "2026-06-08T23"], "exchange them"),
        (["--event-from", "2026-06-09"], "choose among hours; add --by-hour"),
        (["--gold", "--event-from", "2026-06-09"], "leave the other options out"),
        (["--gold", "--by-hour"], "leave the other options out"),
        (["--gold", "--partition", "0"], "leave the other options out"),
    ],
)
def test_bounds_of_events_that_cannot_be_meant_are_refused(lake: Lake, words: list[str], refused: str) -> None:
    lake(*GOOD)
    told = CliRunner().invoke(build_app(), ["books", *words]).exception
    assert isinstance(told, UsageError)
    assert refused in str(told)


@pytest.fixture
def waited(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long a difference was waited with before it was looked at again; in tests it takes no time."""
    waits: list[float] = []
    monkeypatch.setattr(balance, "sleep", waits.append)
    return waits


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (TOLD[1:], "views/0 offsets 10–30 (batch 2): received 19, by hour 8; accepted 15, by hour 5"),
        ((*TOLD, hour(3, AT, (1, 0, 0))), "offsets 35–40 (batch 3): received 5, by hour 6; accepted 5, by hour 6"),
        (TOLD[:4], "offsets 35–40 (batch 3): received 5, by hour 6"),
        ((*TOLD[:2], TOLD[2] | {"reason_counts": {}}, *TOLD[3:]), "(batch 2): other reasons by hour"),
        ((*TOLD, hour(3, AT, (1, 0, 0), partition=7)), "there are hours of topic id v1, partition 7"),
    ],
    ids=["an hour is gone", "one stands twice", "one that takes away is gone", "reasons are gone", "of no line"],
)
def test_hours_that_do_not_add_up_stop_whoever_reads_or_releases_them(
    lake: Lake, told: tuple[dict[str, Any], ...], words: str, waited: list[float]
) -> None:
    ledger = Ledger(lake(*GOOD))
    ledger.append("ops.book_hours", told)
    with pytest.raises(BooksError, match="ops.book_hours: .*Nothing was released; run `reelhouse repair") as refused:
        refuse_difference(ledger, 0)
    assert waited == [*balance.WAITS]
    assert words in str(refused.value)
    said = CliRunner().invoke(build_app(), ["books", "--by-hour"])
    if "partition 7" not in words:  # nobody asks for what the books do not have
        assert isinstance(said.exception, BooksError)
        assert said.exception.exit_code == 3
        assert words in str(said.exception)
        assert "balanced: " not in said.output


@pytest.mark.parametrize("looks", [1, 2])
def test_hours_and_lines_that_an_erasure_writes_one_after_the_other_are_no_difference(
    lake: Lake, looks: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its hours are there, and the line of the books is still to come when they are looked at for the first times."""
    ledger, left = Ledger(lake(*GOOD)), [looks]
    moved = hour(3, AT, (5, 0, 0)), hour(3, None, (-1, 0, 0), received=0, erased=1)
    ledger.append("ops.book_hours", [*TOLD[:3], *moved])

    def meanwhile(_: float) -> None:
        left[0] -= 1
        if not left[0]:
            lines = ledger.read("ops.books").to_pylist(maps_as_pydicts="strict")
            (mine,) = [line for line in lines if (line["topic"], line["ingest_seq"]) == ("views", 3)]
            mine |= {"accepted": mine["accepted"] - 1, "erased": 1}
            ledger.replace("ops.books", lines, on_version=ledger.version("ops.books"))

    monkeypatch.setattr(balance, "sleep", meanwhile)
    refuse_difference(ledger, 0)
    assert left == [0]


@pytest.mark.usefixtures("waited")
def test_a_release_judges_the_hours_of_new_batches(lake: Lake) -> None:
    ledger = Ledger(lake(*GOOD))
    refuse_difference(ledger, 0)  # a lake that has no hours yet
    ledger.append("ops.book_hours", TOLD[1:])
    with pytest.raises(BooksError, match="by hour"):
        refuse_difference(ledger, 2)
    refuse_difference(ledger, 3)


def test_an_empty_lake_has_no_books(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    printed = CliRunner().invoke(build_app(), ["books"])
    assert printed.exit_code == 0
    assert "the books have no such line" in printed.output
    assert "no source has said" in printed.output
