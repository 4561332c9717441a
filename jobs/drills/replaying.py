"""The drill of the quarantine desk: a field that changed its name, put right and sent again."""

from datetime import datetime, timedelta

from jobs.drills.arrivals import DAY, plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.records import micros
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch
from jobs.lake.ledger import Ledger

REASON, PATCH = "missing:watch_ms", "watched_ms"
LATE = 40 * DAY


def quarantine_replay(stage: Scratch, report: Report) -> None:
    """An app renames a field; its views are refused, put right by a reviewed file, taken back, and put right anew."""
    now = stage.now
    renamed = plays(now, range(20, 35), watch_ms=None, watched_ms=5000, event_time=micros(now - LATE))
    stage.put([*plays(now, range(20)), *renamed])
    ended_well(report, stage.ingest())
    report.did("20 good views and 15 of 40 days ago under another field name; ingest")
    tell = ("quarantine", "replay", "--reason", REASON, "--with", PATCH, "--format", "json")
    report.says("a dry run", '"passing": 15', stage.printed(*tell, "--dry-run"))
    report.says("the replay", '"sent": 15', stage.printed(*tell))
    report.says("the same replay again", '"sent": 0', stage.printed(*tell))
    ended_well(report, stage.ingest())
    report.did("ingest")
    mended = in_silver(stage)
    report.equal("views that were refused at first and are in silver", 15, len(mended))
    off = max((abs(at - (now - LATE)) for at in mended), default=timedelta.max)
    report.equal("at the time at which they happened", True, off < timedelta(seconds=1))
    undo = ("quarantine", "undo", f"{PATCH}-1.1", "--why", "seconds were taken for milliseconds", "--format", "json")
    report.says("the undoing", '"in_silver": 15', stage.printed(*undo))
    ended_well(report, stage.ingest())
    report.did("ingest")
    report.equal("of them in silver now", 0, len(in_silver(stage)))
    report.says("the same replay anew", '"sent": 15', stage.printed(*tell))
    ended_well(report, stage.ingest())
    report.did("ingest")
    report.equal("of them in silver in the end", 15, len(in_silver(stage)))
    account(stage, report, received=66, accepted=36, duplicate=0, quarantined=30)


def in_silver(stage: Scratch) -> list[datetime]:
    """When the views happened that the patch mends, of those in silver."""
    rows = Ledger(stage.settings).read("silver.views", ["watch_ms", "event_time"]).to_pylist()
    return [row["event_time"] for row in rows if row["watch_ms"] == 5000]
