"""Drills of what breaks off: a killed run, a torn log, two runs at once, a topic made anew, records that are gone."""

import shutil

from jobs.drills.arrivals import plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.report import Report
from jobs.drills.stage import KILLED, Stage
from jobs.lake.ingest.progress import BOOKS
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log

SILVER = ("silver.views", "silver.likes", "silver.quarantine")


def kill_after_write(stage: Stage, report: Report) -> None:
    """SIGKILL after the commit to one table of a batch and before the next."""
    views, likes = plays(stage.now, range(90)), plays(stage.now, range(100, 130), "likes")
    broken = plays(stage.now, range(200, 205), watch_ms="x")
    stage.put([*views, *views[:4], *likes, *broken])
    report.did("90 views, 4 of them again, 5 broken ones and 30 likes sent")
    killed = stage.ingest(kill_at="ingest.after_views")
    report.did("ingest, killed right after its commit to silver.views, before anything else of the batch")
    report.equal("exit code of the killed run", KILLED, killed.code)
    report.equal("batches in the books", 0, batches(stage))
    ended_well(report, stage.ingest())
    report.did("ingest once more")
    account(stage, report, compared=SILVER, received=129, accepted=120, duplicate=4, quarantined=5)


def checkpoint_lost(stage: Stage, report: Report) -> None:
    """The last word on how far ingest has come is torn out of the books, and then all of the books are gone."""
    stage.put(plays(stage.now, range(30)))
    ended_well(report, stage.ingest())
    stage.put(plays(stage.now, range(20, 50)))
    ended_well(report, stage.ingest())
    report.did("30 views, ingest; 30 more, 10 of them repeats, ingest")
    torn = newest_of_log(Ledger(stage.settings), BOOKS)
    torn.unlink()
    report.did(f"deleted {torn.name} of ops.books: the second batch was never booked")
    report.equal("batches in the books", 1, batches(stage))
    stage.put(plays(stage.now, range(50, 60)))
    ended_well(report, stage.ingest())
    report.did("10 more views sent; ingest")
    report.equal("batches in the books", 3, batches(stage))
    shutil.rmtree(Ledger(stage.settings).path(BOOKS))
    report.did("deleted all of ops.books")
    ended_well(report, stage.ingest())
    report.did("ingest")
    report.equal("batches in the books", 3, batches(stage))
    account(stage, report, compared=SILVER[:1], received=70, accepted=60, duplicate=10, quarantined=0)


def two_ingests_at_once(stage: Stage, report: Report) -> None:
    """A second ingest while one is at work, and a third after that one was killed."""
    stage.put(plays(stage.now, range(25)))
    with stage.beside():
        report.did("25 views sent; one ingest at work, a second one started")
        second = stage.ingest()
        report.equal("exit code of the second", 4, second.code)
        report.says("the second", "ingest is held by", second.said)
    report.did("the first one killed, as a task is")
    stage.put(plays(stage.now, range(25, 40)))
    ended_well(report, stage.ingest())
    report.did("15 more views sent; a third ingest started at once")
    account(stage, report, received=40, accepted=40, duplicate=0, quarantined=0)


def topic_re_created(stage: Stage, report: Report) -> None:
    """A topic deleted and made again under its name, with more records than were read before, some of them the same."""
    stage.put(plays(stage.now, range(20)))
    ended_well(report, stage.ingest())
    stage.remake("views")
    stage.put(plays(stage.now, [*range(100, 150), *range(10, 20)]))
    report.did("20 views, ingest; topic views deleted and made again, 50 other views and 10 of the first sent; ingest")
    stopped = stage.ingest()
    report.equal("exit code of ingest", 3, stopped.code)
    report.says("ingest", "was deleted and made anew", stopped.said)
    account(stage, report, received=20, accepted=20, duplicate=0, quarantined=0)
    ended_well(report, stage.ingest(accept_new="views"))
    report.did("ingest --accept-new-topic views")
    account(stage, report, received=80, accepted=70, duplicate=10, quarantined=0)


def retention_gap(stage: Stage, report: Report) -> None:
    """Retention takes records that ingest had not read yet."""
    stage.put(plays(stage.now, range(20)))
    ended_well(report, stage.ingest())
    stage.put(plays(stage.now, range(20, 50)))
    stage.forget("views")
    stage.put(plays(stage.now, range(50, 55)))
    report.did("20 views, ingest; 30 more that retention takes, 5 more that stay; ingest")
    stopped = stage.ingest()
    report.equal("exit code of ingest", 3, stopped.code)
    report.says("ingest", "views/0: offsets 20 to 49 are gone", stopped.said)
    ended_well(report, stage.ingest(accept_loss=True))
    report.did("ingest --accept-loss")
    account(stage, report, received=25, accepted=25, duplicate=0, quarantined=0, lost=30)


def batches(stage: Stage) -> int:
    """How many batches the books know."""
    return len(Ledger(stage.settings).read(BOOKS, ["ingest_seq"])["ingest_seq"].unique())
