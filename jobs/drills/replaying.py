"""The drill of the quarantine desk: a field that changed its name, and a version that was not known, sent again."""

import shutil
from datetime import datetime, timedelta

from jobs.drills.arrivals import DAY, plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.records import body_of, micros
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch
from jobs.drills.versions import RENAMED, of_version, write_second_version
from jobs.lake.ledger import Ledger

REASON, PATCH = "missing:watch_ms", "watched_ms"
UNKNOWN, AS_IT_IS = "unknown_version", "views_as_they_are"
LATE = 40 * DAY


def quarantine_replay(stage: Scratch, report: Report) -> None:
    """An app renames a field; its views are refused, put right by a reviewed file, taken back, and put right anew.

    Another sends a version of the contract that nobody knows yet; its views are sent again once it is written.
    """
    now, schemas = stage.now, stage.folder / "schemas"
    shutil.copytree(stage.settings.schemas_dir, schemas)
    stage.settings = stage.settings.model_copy(update={"schemas_dir": schemas})
    renamed = plays(now, range(20, 35), watch_ms=None, watched_ms=5000, event_time=micros(now - LATE))
    newer = [of_version(2, body_of("views", n, now, watch_ms=None, **{RENAMED: 6000}), at=now) for n in range(40, 45)]
    stage.put([*plays(now, range(20)), *renamed, *newer])
    ended_well(report, stage.ingest())
    report.did("20 good views, 15 of 40 days ago under another field name, 5 of version 2; ingest")
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
    of_the_new_version(stage, report)
    account(stage, report, received=76, accepted=41, duplicate=0, quarantined=35)


def of_the_new_version(stage: Scratch, report: Report) -> None:
    """The contract of version 2 is written, and what was refused for want of it is sent again as it is."""
    tell = ("quarantine", "replay", "--reason", UNKNOWN, "--with", AS_IT_IS, "--format", "json")
    report.says("a dry run before there is a version 2", '"passing": 0', stage.printed(*tell, "--dry-run"))
    write_second_version(stage.settings.schemas_dir)
    report.did("schemas/events/views/v2.json written")
    report.says("a dry run", '"passing": 5', stage.printed(*tell, "--dry-run"))
    report.says("the replay", '"sent": 5', stage.printed(*tell))
    ended_well(report, stage.ingest())
    report.did("ingest")
    report.equal("views of version 2 in silver, under its name for watch_ms", 5, len(in_silver(stage, 6000)))
    report.says(
        "the books", '"replayed": 20, "undone": 0', stage.printed("books", "--topic", "views", "--format", "json")
    )


def in_silver(stage: Scratch, watch_ms: int = 5000) -> list[datetime]:
    """When the views happened that were watched so long, of those in silver."""
    rows = Ledger(stage.settings).read("silver.views", ["watch_ms", "event_time"]).to_pylist()
    return [row["event_time"] for row in rows if row["watch_ms"] == watch_ms]
