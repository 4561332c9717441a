"""The drill of the quarantine desk: a field that changed its name, put right and sent again."""

from datetime import timedelta

from jobs.drills.arrivals import DAY, plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.records import micros
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch
from jobs.lake.ledger import Ledger

REASON, PATCH = "missing:watch_ms", "watched_ms"
LATE = 40 * DAY


def quarantine_replay(stage: Scratch, report: Report) -> None:
    """An app renames a field; its views are refused, patched by a reviewed file, and taken in after all."""
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
    rows = Ledger(stage.settings).read("silver.views", ["watch_ms", "event_time"]).to_pylist()
    mended = [row for row in rows if row["watch_ms"] == 5000]
    report.equal("views that were refused at first and are in silver", 15, len(mended))
    off = max((abs(row["event_time"] - (now - LATE)) for row in mended), default=timedelta.max)
    report.equal("at the time at which they happened", True, off < timedelta(seconds=1))
    account(stage, report, received=50, accepted=35, duplicate=0, quarantined=15)
