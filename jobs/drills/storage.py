"""The drill of hurt files: a checkpoint and a newest commit that are torn."""

import json
from pathlib import Path

from jobs.drills.arrivals import plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch
from jobs.lake.doctor import Verdict
from jobs.lake.ledger import Ledger
from jobs.lake.mending import newest_of_log
from jobs.lake.scanning import LOG

HURT = ("silver.likes", "silver.views")


def corrupt_log(stage: Scratch, report: Report) -> None:
    """The checkpoint of one table and the newest commit of another are torn off in the middle."""
    stage.put([*plays(stage.now, range(30)), *plays(stage.now, range(100, 120), "likes")])
    ended_well(report, stage.ingest())
    report.did("30 views and 20 likes sent; ingest")
    tear(checkpoint_of(stage, "silver.views"))
    tear(newest_of_log(Ledger(stage.settings), "silver.likes"))
    report.did("silver.views: its checkpoint cut in half; silver.likes: the newest file of its log cut in half")
    examined(stage, report, 1, *HURT)
    for table in HURT:
        done = stage.run("repair", table, "--format", "json")
        report.did(f"reelhouse repair {table}")
        report.equal("exit code of repair", 0, done.code)
        set_aside = [file for row in json.loads(done.printed or "[]") for file in row["set_aside"]]
        report.equal(f"files of {table} are set aside", True, bool(set_aside))
    examined(stage, report, 0)
    stage.put(plays(stage.now, range(120, 130), "likes"))
    ended_well(report, stage.ingest())
    report.did("10 more likes sent; ingest")
    account(stage, report, compared=HURT, received=60, accepted=60, duplicate=0, quarantined=0)


def examined(stage: Scratch, report: Report, code: int, *hurt: str) -> None:
    """Expect `reelhouse doctor --lake` to name these tables and no others, and to end with a code."""
    done = stage.run("doctor", "--lake", "--format", "json")
    found = {row["subject"] for row in json.loads(done.printed or "[]") if row["verdict"] == Verdict.blocks}
    report.did("reelhouse doctor --lake")
    report.equal("exit code of doctor", code, done.code)
    report.equal("what doctor finds hurt", sorted(hurt), sorted(found))


def checkpoint_of(stage: Scratch, table: str) -> Path:
    """Make a checkpoint of a table, as its tenth commit would, and give its file."""
    from deltalake import DeltaTable

    path = stage.settings.table_path(table)
    DeltaTable(path).create_checkpoint()
    return max((Path(path) / LOG).glob("*.checkpoint*.parquet"))


def tear(file: Path) -> None:
    """Leave the first half of a file."""
    held = file.read_bytes()
    file.write_bytes(held[: len(held) // 2])
