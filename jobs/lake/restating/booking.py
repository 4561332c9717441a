"""Booking: the restatements of every release, written once each, as soon as it is out or by the next run.

Only the newest releases are looked at: from the one after the last that is booked. A lake made before there were
restatements begins with its newest.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from jobs.definitions.causes import DEFINITION_CHANGE, ERASURE, MATURITY, REPLAY, ROLLBACK, UNEXPLAINED
from jobs.lake.clock import now
from jobs.lake.holds import rolled_back
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, families, inputs_of, release_id, releases
from jobs.lake.restating.cells import ALL_NUMBERS, ALL_ROWS, RESTATED, Change, changes
from jobs.lake.restating.splitting import split
from jobs.lake.restating.step import Parts, Step
from jobs.lake.small_runs import is_small_of
from jobs.lake.work import touched_days

if TYPE_CHECKING:
    from jobs.lake.runner import Runner
    from jobs.lake.tables import Lake

TABLE = "ops.restatements"
log = logging.getLogger(__name__)
Explain = Callable[["Lake", Step, Sequence[Change]], Parts]


def restate(runner: "Runner") -> int:
    """Book what the releases not yet booked have changed; how many lines. The family's lease must be held."""
    tables = [table for table in RESTATED if table in families(runner.settings.schemas_dir)[runner.family]]
    found = releases(runner.ledger, runner.family) if tables else []
    if not found:
        return 0
    done = runner.ledger.txn_version(TABLE, app_of(runner.family))
    if done is None:
        done = found[-1].number - 1 if len(found) > 1 else 0
    booked = 0
    if found[0].number > done:
        runner.ledger.append(TABLE, [], app=app_of(runner.family), version=found[0].number)
    for before, after in pairwise(found):
        if after.number > done:
            step = Step(before, after, rolled_back(runner.ledger, after), _until(before, after, found[-1]))
            rows = [] if step.is_the_same else list(restatements(runner, step, tables))
            runner.ledger.append(TABLE, rows, app=app_of(runner.family), version=after.number)
            booked += len(rows)
    return booked


def app_of(family: str) -> str:
    """The application id of a family's lines; their version is the release's number."""
    return f"restatements:{family}"


def restatements(runner: "Runner", step: Step, tables: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Lines of ops.restatements for one release; one for a table of which older files are gone, or hurt."""
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowException

    lines = {"release_id": step.name, "released_at": step.after.facts.known_from, "recorded_at": now()}
    found: list[Change] = []
    for table in tables:
        try:
            found += _changes(runner, step, table)
        except (DeltaError, OSError, ArrowException) as lost:
            log.warning("%s: what it changed of %s cannot be told any more: %s", step.name, table, type(lost).__name__)
            yield lines | untold(step, table)
    parts = {} if step.is_rollback or not found else _parts(runner, step, found)
    told = evidence(runner.ledger, step)
    for change, cause, part in split(step, found, parts):
        cell = {"table": change.cell.table, "row_key": change.cell.key, "measure": change.cell.measure}
        values = {"old_value": change.old, "new_value": change.new, "part": part}
        yield lines | cell | values | {"cause": cause, "evidence": told(cause)}


def untold(step: Step, table: str) -> dict[str, Any]:
    """The line that says of a whole table that its numbers may have changed: which, and by how much, nobody knows."""
    before = release_id(step.before.family, step.before.number)
    words = f"files of {before} are gone or hurt, so what this release changed cannot be told"
    return {"table": table, "row_key": ALL_ROWS, "measure": ALL_NUMBERS, "old_value": None, "new_value": None,
            "cause": UNEXPLAINED, "part": 0, "evidence": words}  # fmt: skip


def _parts(runner: "Runner", step: Step, found: Sequence[Change]) -> Parts:
    """By how much each cause changed the cells; few news are looked up without Spark."""
    explain = _explain(runner.family)
    return runner.on_engine(_is_small(runner, step), lambda lake: explain(lake, step, found))


def _is_small(runner: "Runner", step: Step) -> bool:
    """Whether few rows say why the cells changed: few news, and all changed days named, or little there at all."""
    inputs, until = inputs_of(runner.family, runner.settings.schemas_dir), step.after.facts.ingest_seq
    news, ever = (touched_days(runner.ledger, inputs, since, until)[1] for since in (step.since, -1))
    are_named = all(step.days(table) for table in step.after.versions if table in RESTATED)
    return is_small_of(runner.family, news if are_named else ever, ever, runner.settings)


def evidence(ledger: Ledger, step: Step) -> Callable[[str], str]:
    """Cause → what of the ledger shows it, in words."""
    before, after = step.before.facts, step.after.facts
    batches = f"batches {step.since + 1} to {max(after.ingest_seq, step.since + 1)}"
    words = {
        ROLLBACK: f"run {after.run_id} put an older release back, from {release_id(before.family, step.before.number)}",
        MATURITY: f"watermark {_instant(before.watermark)} to {_instant(after.watermark)}",
        DEFINITION_CHANGE: f"built anew; contract {before.contract_version} to {after.contract_version}",
        ERASURE: f"{batches}; ops.erasures",
        REPLAY: f"{batches}; patches {', '.join(_patches(ledger)) or 'none'}",
    }
    return lambda cause: words.get(cause, batches)


def _until(before: Release, after: Release, newest: Release) -> int | None:
    """The newest batch in a release that was followed by another; days done by hand book no batch."""
    read = after.facts.ingest_seq
    return None if after == newest or read == before.facts.ingest_seq else read


def _patches(ledger: Ledger) -> list[str]:
    """Names and versions of the patches that records were sent again with."""
    rows = ledger.read("ops.replays", ["patch", "patch_version"]).to_pylist()
    return sorted({f"{row['patch']} {row['patch_version']}" for row in rows})


def _changes(runner: "Runner", step: Step, table: str) -> Iterator[Change]:
    if not step.versions(table):
        return iter(())
    versions = (step.before.versions, step.after.versions)
    return changes(runner.settings, table, *versions, step.days(table), with_new_days=runner.tells_new_days)


def _explain(family: str) -> Explain:
    """How the causes of a family's changes are found; it takes long to import, so only when there is something."""
    from jobs.lake.restating import causes

    return {"funnels": causes.of_funnels, "scores": causes.of_scores}[family]


def _instant(at: datetime | None) -> str:
    return "none" if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}"
