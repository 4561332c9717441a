"""Drills of what comes in: broken records, wrong clocks, a missing hour, everything sent twice."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from jobs.drills.broker import LARGEST
from jobs.drills.corpus import Case, cases
from jobs.drills.evidence import account, ended_well, refused
from jobs.drills.records import Record, body_of, micros, record
from jobs.drills.report import Report
from jobs.drills.stage import Stage
from jobs.lake.ingest.progress import TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.watermark import watermark

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def plays(now: datetime, numbers: Iterable[int], topic: str = "views", **fields: object) -> list[Record]:
    """Good events of nine users, one for each number."""
    return [record(topic, body_of(topic, n, now, **({"user_id": f"u{n % 9}"} | fields)), at=now) for n in numbers]


def sent_twice(stage: Stage, report: Report) -> None:
    """A producer sends everything again, and a faulty one other content under ids that are taken."""
    first = plays(stage.now, range(40))
    stage.put([*first, *first[:5]])
    ended_well(report, stage.ingest())
    report.did("40 views sent, 5 of them twice in one batch; ingest")
    stage.put([*first, *plays(stage.now, range(3), watch_ms=7)])
    ended_well(report, stage.ingest())
    report.did("all 40 sent again, and 3 of their ids with another watch_ms; ingest")
    watched = Ledger(stage.settings).read("silver.views", ["watch_ms"])["watch_ms"].to_pylist()
    report.equal("the first arrival stands: sum of watch_ms", 40 * 4000, sum(watched))
    account(stage, report, received=88, accepted=40, duplicate=45, quarantined=3, conflict=3)


def poison_batch(stage: Stage, report: Report) -> None:
    """Every kind of bad record we know in one batch, among good ones."""
    known = [case for case in cases(stage.now) if len(case.record.value or b"") < LARGEST]
    stage.put([case.record for case in known])
    ended_well(report, stage.ingest())
    report.did(f"{len(known)} records, {sum(1 for case in known if case.reasons)} of them bad; ingest")
    found = refused(stage.settings)
    wrong = [case.name for place, case in placed(known) if found.get(place, ()) != tuple(sorted(case.reasons))]
    report.equal("records with another fate or other reasons than they should have", [], wrong)
    repeated = sum(1 for case in known if case.fate == "duplicate")
    bad = sum(1 for case in known if case.reasons)
    good = len(known) - bad - repeated
    account(stage, report, received=len(known), accepted=good, duplicate=repeated, quarantined=bad)


def placed(known: list[Case]) -> Iterator[tuple[tuple[str, int, int], Case]]:
    """Where each record lies on topics that were empty before."""
    ends: dict[tuple[str, int], int] = {}
    for case in known:
        part = (case.record.topic, case.record.partition)
        yield (*part, ends.get(part, 0)), case
        ends[part] = ends.get(part, 0) + 1


def clock_skew(stage: Stage, report: Report) -> None:
    """Telephones whose clocks are hours slow, a day fast or in 2099, and one that reports from the future."""
    now = stage.now
    clocks = {"right": timedelta(), "3 hours slow": -3 * HOUR, "a day fast": DAY, "in 2099": 73 * 365 * DAY}
    stage.put(by_clock(n, name, now, now + wrong) for n, (name, wrong) in enumerate(clocks.items()))
    honest = body_of("views", 10, now, event_time=micros(now - 2 * HOUR), video_id="kept for 2 hours")
    ahead = body_of("views", 11, now, event_time=micros(now + DAY))
    stage.put([record("views", honest, at=now), record("views", ahead, at=now)])
    ended_well(report, stage.ingest())
    report.did(f"one view by each clock ({', '.join(clocks)}), one kept for 2 hours, one of tomorrow; ingest")
    rows = Ledger(stage.settings).read("silver.views", ["video_id", "event_time"]).to_pylist()
    off = {row["video_id"]: round((row["event_time"] - now) / HOUR) for row in rows}
    wanted = dict.fromkeys(clocks, 0) | {"kept for 2 hours": -2}
    report.equal("hours between the sending and the time in silver", wanted, off)
    report.equal("what says it happened tomorrow", [("future_time",)], list(refused(stage.settings).values()))
    account(stage, report, received=6, accepted=5, duplicate=0, quarantined=1)


def by_clock(number: int, name: str, now: datetime, clock: datetime) -> Record:
    """A view of a telephone that stamps everything by its own clock."""
    body = body_of("views", number, now, event_time=micros(clock), sent_time=micros(clock), video_id=name)
    return record("views", body, at=now)


def hour_missing(stage: Stage, report: Report) -> None:
    """An hour of views stays behind in a producer that is cut off, and comes after the hours that follow it."""
    now = stage.now
    start = now.replace(minute=0, second=0, microsecond=0) - 30 * DAY
    before, missing, after = (of_hour(now, start + n * HOUR, 20 * n) for n in range(3))
    stage.put([*before, *after, word(now, 100, start + HOUR, 20), word(now, 101, start + 3 * HOUR, 60)])
    ended_well(report, stage.ingest())
    report.did("hours 1 and 3 sent; the source says that all three are complete with 60 records, 40 are there; ingest")
    ledger = Ledger(stage.settings)
    report.equal("views are complete until the missing hour", start + HOUR, watermark(ledger, ["views"]))
    seen = ledger.version(TOUCHED)
    stage.put(missing)
    ended_well(report, stage.ingest())
    report.did("the missing hour sent, 30 days late; ingest")
    report.equal("views are complete until the end", start + 3 * HOUR, watermark(ledger, ["views"]))
    days = sorted({row["day"] for row in ledger.read(TOUCHED).to_pylist() if row["ingest_seq"] == 1})
    zone = ZoneInfo(stage.settings.business_zone)
    report.equal("days to build again", [(start + HOUR).astimezone(zone).date()], days)
    report.equal("the late hour was booked as touched", True, ledger.version(TOUCHED) > seen)
    account(stage, report, compared=["silver.views"], received=62, accepted=62, duplicate=0, quarantined=0)


def of_hour(now: datetime, hour: datetime, first: int) -> list[Record]:
    """Twenty views of an hour, three minutes apart, all sent now."""
    times = [(n, hour + n * timedelta(minutes=3)) for n in range(20)]
    return [record("views", body_of("views", first + n, now, event_time=micros(at)), at=now) for n, at in times]


def word(now: datetime, number: int, until: datetime, next_offset: int) -> Record:
    """The source says that views are complete before `until`, once the offsets below `next_offset` are read."""
    reach = [{"partition": 0, "next_offset": next_offset}]
    body = body_of("control", number, now, complete_until=micros(until), offsets=reach)
    return record("control", body, at=now)
