"""Drills of what is published: a killed release, and a backfill that is killed and then run twice at once."""

import json
from pathlib import Path
from typing import Any

from jobs.drills.arrivals import plays
from jobs.drills.evidence import account, ended_well
from jobs.drills.report import Report
from jobs.drills.scratch import Scratch, begin, ended
from jobs.drills.stage import KILLED
from jobs.lake.digest import PER_RUN
from jobs.lake.kill_points import VARIABLE
from jobs.lake.ledger import Ledger
from jobs.serve import open_table

FAMILY = "funnels"
SEEN = ("gold.funnel_attempts", "gold.funnel_daily")


def release_killed(stage: Scratch, report: Report) -> None:
    """SIGKILL between the commits of a release and the line that makes them visible."""
    first_release(stage, report)
    old = seen(stage)
    stage.put(plays(stage.now, range(60, 90), user_id="a newcomer"))
    ended_well(report, stage.ingest())
    steps(stage, report, "build", "check")
    killed = stage.run("release", FAMILY, **{VARIABLE: "release.before_publications"})
    report.did("30 views of a newcomer; build, check, and a release killed after its commits to the tables")
    report.equal("exit code of the killed release", KILLED, killed.code)
    report.equal("readers see the old release", True, seen(stage) == old)
    steps(stage, report, "release")
    report.did("release once more")
    report.equal("readers see the new release", True, seen(stage) != old)
    new = seen(stage)
    steps(stage, report, "build --full", "check", "release")
    report.did("everything built anew from silver and released")
    report.equal("which changes no number", True, seen(stage) == new)
    account(stage, report, received=100, accepted=100, duplicate=0, quarantined=0)


def double_backfill(stage: Scratch, report: Report) -> None:
    """A backfill is killed half-way, the live run goes on, and then two people take it up at the same moment."""
    first_release(stage, report)
    old, file = seen(stage), str(request(stage.folder))
    killed = stage.run("backfill", "run", file, **{VARIABLE: "backfill.after_slice"})
    report.did("a backfill of everybody in two slices, killed after the first of them")
    report.equal("exit code of the killed one", KILLED, killed.code)
    report.equal("readers see what they saw", True, seen(stage) == old)
    stage.put(plays(stage.now, range(60, 90), user_id="a newcomer"))
    ended_well(report, stage.ingest())
    steps(stage, report, "build", "check", "release")
    live = seen(stage)
    report.did("30 views of a newcomer; ingest; funnels built, checked and released beside it")
    twins = [begin(stage.settings, "backfill", "run", file) for _ in range(2)]
    report.did("the same backfill started twice at once")
    codes = sorted(ended(twin).code for twin in twins)
    report.equal("exit codes: one goes on, the other is told who is at work", [0, 4], codes)
    built = [row["slice_name"] for row in Ledger(stage.settings).read("ops.backfills").to_pylist() if row["slice_name"]]
    report.equal("slices that were built, each once", ["users 1 of 2", "users 2 of 2"], sorted(built))
    report.equal("nothing of the newcomer is lost", True, seen(stage) == live)
    steps(stage, report, "build --full", "check", "release")
    report.did("everything built anew from silver and released")
    report.equal("which changes no number", True, seen(stage) == live)
    account(stage, report, received=100, accepted=100, duplicate=0, quarantined=0)


def request(folder: Path) -> Path:
    """A request to judge everybody anew, in two slices."""
    file = folder / "everybody_again.yaml"
    slices = {"by": "users", "buckets": 2}
    asked = {"name": file.stem, "table": SEEN[0], "reason": "A drill.", "owner": "drills", "slices": slices}
    file.write_text(json.dumps(asked), encoding="utf-8")
    return file


def first_release(stage: Scratch, report: Report) -> None:
    """Views and orders of a moment ago, taken in and published."""
    stage.put([*plays(stage.now, range(60)), *plays(stage.now, range(200, 210), "orders")])
    ended_well(report, stage.ingest())
    steps(stage, report, "build", "check", "release")
    report.did("60 views and 10 orders; ingest; funnels built, checked and released")


def steps(stage: Scratch, report: Report, *names: str) -> None:
    """Run steps of the family; each must end well."""
    for name in names:
        step, *options = name.split()
        done = stage.run(step, FAMILY, *options)
        if done.code:
            report.says(name, "exit code 0", f"exit code {done.code}: {done.said}")


def seen(stage: Scratch) -> dict[str, list[str]]:
    """The rows that readers get of the published tables, in a stable order."""
    found: dict[str, Any] = {table: open_table(table, "arrow", settings=stage.settings) for table in SEEN}
    return {
        table: sorted(
            repr({name: value for name, value in row.items() if name not in PER_RUN}) for row in rows.to_pylist()
        )
        for table, rows in found.items()
    }
