"""The drill of hurt files: a checkpoint and a newest commit that are torn."""

from pathlib import Path

from jobs.drills.arrivals import plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.report import Report
from jobs.drills.stage import Stage
from jobs.lake.ailments import ailments
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log
from jobs.lake.repairing import mend
from jobs.lake.scanning import LOG

HURT = ("silver.likes", "silver.views")


def corrupt_log(stage: Stage, report: Report) -> None:
    """The checkpoint of one table and the newest commit of another are torn off in the middle."""
    stage.put([*plays(stage.now, range(30)), *plays(stage.now, range(100, 120), "likes")])
    ended_well(report, stage.ingest())
    report.did("30 views and 20 likes sent; ingest")
    tear(checkpoint_of(stage, "silver.views"))
    tear(newest_of_log(Ledger(stage.settings), "silver.likes"))
    report.did("silver.views: its checkpoint cut in half; silver.likes: the newest file of its log cut in half")
    report.equal("tables that doctor finds hurt", sorted(HURT), hurt(stage))
    for table in HURT:
        done = mend(stage.settings, table, "drill")
        report.equal(f"files of {table} set aside", True, done is not None and bool(done.set_aside))
        report.did(f"reelhouse repair {table}")
    report.equal("tables that doctor finds hurt", [], hurt(stage))
    stage.put(plays(stage.now, range(120, 130), "likes"))
    ended_well(report, stage.ingest())
    report.did("10 more likes sent; ingest")
    account(stage, report, compared=HURT, received=60, accepted=60, duplicate=0, quarantined=0)


def hurt(stage: Stage) -> list[str]:
    """The tables in which anything is wrong."""
    return sorted({found.table for found in ailments(stage.settings)})


def checkpoint_of(stage: Stage, table: str) -> Path:
    """Make a checkpoint of a table, as its tenth commit would, and give its file."""
    from deltalake import DeltaTable

    path = stage.settings.table_path(table)
    DeltaTable(path).create_checkpoint()
    return max((Path(path) / LOG).glob("*.checkpoint*.parquet"))


def tear(file: Path) -> None:
    """Leave the first half of a file."""
    held = file.read_bytes()
    file.write_bytes(held[: len(held) // 2])
