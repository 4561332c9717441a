"""Drills of what is away for a while: the broker, and room on the disk."""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import psutil

from jobs.drills.arrivals import plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.records import BODIES
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch
from jobs.lake.ledger import Ledger
from jobs.lake.services import process
from jobs.produce.producer import Producer

HALF = 2_000
ROOM = 100_000  # bytes that a file may have while the disk is full
TABLES = ("bronze.events", "silver.views", "silver.quarantine")


def broker_restart(stage: Scratch, report: Report) -> None:
    """The broker is killed while a producer sends, stays away for an ingest, and comes back."""
    with Producer(stage.settings, source="app:drill", spool=stage.folder / "spool", patience_seconds=120) as producer:
        send(producer, range(HALF))
        stage.broker.kill()
        send(producer, range(HALF, 2 * HALF))
        report.did(f"{2 * HALF} views given to a producer; the broker killed in the middle; ingest meanwhile")
        away = stage.ingest()
        report.equal("exit code of ingest while the broker is away", 5, away.code)
        stage.broker.up()
    report.did("the broker started again; the producer has sent what waited on its disk")
    ended_well(report, stage.ingest())
    seen = Ledger(stage.settings).read("silver.views", ["video_id"])["video_id"]
    report.equal("different views in silver", 2 * HALF, len(seen.unique()))
    account(stage, report, accepted=2 * HALF, quarantined=0)


def send(producer: Producer, numbers: range) -> None:
    """Give one view for each number to the producer."""
    for number in numbers:
        producer.send("views", BODIES["views"] | {"video_id": f"v{number}"})


def disk_full(stage: Scratch, report: Report) -> None:
    """Files stop growing in the middle of a write, as on a full disk, until there is room again."""
    stage.put(record for n in range(500) for record in plays(stage.now, range(n, n + 1), note=noise(n)))
    with no_room([*process.members(stage.server.folder), psutil.Process()]):  # what we start has our limit
        failed = stage.ingest()
    report.did(f"500 views of about 2 KB sent; ingest while it and Spark may write no file over {ROOM // 1000} KB")
    report.equal("ingest failed", True, failed.code != 0)
    report.equal("rows of bronze while the disk was full", 0, Ledger(stage.settings).read(TABLES[0]).num_rows)
    ended_well(report, stage.ingest())
    report.did("room again; ingest")
    account(stage, report, compared=TABLES, received=500, accepted=500, duplicate=0, quarantined=0)


def noise(number: int) -> str:
    """2 KB that no compression makes small, the same for the same number."""
    return "".join(hashlib.sha256(b"%d %d" % (number, part)).hexdigest() for part in range(32))


@contextmanager
def no_room(found: Iterable[psutil.Process]) -> Iterator[None]:
    """Let no file of these processes grow beyond ROOM while the block lasts: what a full disk does, to them alone."""
    before = {}
    for each in found:
        with suppress(psutil.NoSuchProcess):  # one of Spark's workers that has ended needs no room
            before[each] = each.rlimit(psutil.RLIMIT_FSIZE)
            each.rlimit(psutil.RLIMIT_FSIZE, (ROOM, before[each][1]))
    try:
        yield
    finally:
        for each, limits in before.items():
            with suppress(psutil.NoSuchProcess):
                each.rlimit(psutil.RLIMIT_FSIZE, limits)
