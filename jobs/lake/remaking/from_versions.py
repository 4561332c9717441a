"""The profiles' history: rows of hurt files come back from files of older versions, which upkeep leaves for a week.

What no file has any more is lost: what became known when is told nowhere else. From the next release of all profiles
on the history says again what is known; of before that it says, for who lost a row, what was known until then.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from pyspark.sql import functions as F

from jobs.lake.ailments import HISTORY, is_whole, known_files
from jobs.lake.aside import Mended
from jobs.lake.erasures import micros
from jobs.lake.errors import WriteError
from jobs.lake.file_digests import Known
from jobs.lake.leases import Leases
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, families, latest
from jobs.lake.releasing import republish
from jobs.lake.remaking.wounds import Wound, heal, is_of_repair, proven, standing, wound_of
from jobs.lake.runner import lease_name, runner_of
from jobs.lake.settings import Settings
from jobs.lake.settling import settle
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from deltalake import DeltaTable
    from pyspark.sql import DataFrame

NEXT = "reelhouse build profiles --full"
ROUNDED = 1000  # µs: Delta's logs tell times to the millisecond


def recall(settings: Settings, run_id: str, open_spark: Callable[[Settings], Any], *, accept_loss: bool) -> Mended:
    """Put the rows of the hurt files back and publish the table so, under the family's lease.

    WriteError, with nothing changed, when they are lost and that is not accepted.
    """
    runner = runner_of(settings, HISTORY, run_id)
    ledger = runner.ledger
    with Leases(ledger).held(lease_name(runner.family), run_id) as lease:
        last = latest(ledger, runner.family)
        if not is_begun(ledger, last):
            settle(ledger, families(settings.schemas_dir)[runner.family], last)
        lake, wound = Lake(settings, open_spark(settings)), wound_of(settings, HISTORY)
        rows = older(lake, wound) if wound.lost else None
        note = loss_of(wound) if wound.lost and rows is None else ""
        if note and not accept_loss:
            raise WriteError(
                f"{note}; nothing was changed. Put the files back from a copy, or book the loss with `reelhouse repair "
                f"{HISTORY} --accept-loss`; see docs/runbooks/lake.md"
            )
        Leases(ledger).check(lease)
        moved = heal(lake, wound, rows, run_id)
        if last is not None:
            republish(ledger, runner.staging, last, {HISTORY: ledger.version(HISTORY)})
        done = proven(ledger, HISTORY, wound.standing + (wound.lost if rows is not None else 0), moved, note)
        return replace(done, next_step=NEXT if note else "")


def publish_recalled(settings: Settings, run_id: str) -> Mended | None:
    """Publish what a repair had put back that was killed before it could; None when there is no such."""
    runner = runner_of(settings, HISTORY, run_id)
    ledger = runner.ledger
    if not is_begun(ledger, latest(ledger, runner.family)):
        return None
    with Leases(ledger).held(lease_name(runner.family), run_id):
        last = latest(ledger, runner.family)
        if last is not None and is_begun(ledger, last):
            republish(ledger, runner.staging, last, {HISTORY: ledger.version(HISTORY)})
        delta = ledger.open(HISTORY)
        return Mended(HISTORY, (), delta.version(), delta.count())


def is_begun(ledger: Ledger, last: Release | None) -> bool:
    """Whether what the history has beyond what is published is of a repair that was killed, or was settled by it."""
    beyond = ledger.version(HISTORY) - (last.versions[HISTORY] if last else ledger.version(HISTORY))
    commits = ledger.open(HISTORY).history(beyond) if beyond > 0 else []  # the newest first
    settled = [commit for commit in commits if not is_of_repair(commit)]
    is_newest = bool(commits) and is_of_repair(commits[0])
    return is_newest and all(each["operation"] == "RESTORE" for each in settled)


def older(lake: Lake, wound: Wound) -> "DataFrame | None":
    """The lost rows as an older version has them in files that are whole; None when none has them.

    They are so many, and go as far. A version that has the newest of them has all that were known before, and more
    only where a release was rolled back since or a person erased: then they are too many.
    """
    from deltalake import DeltaTable

    delta, keys = DeltaTable(wound.folder), lake.contract(wound.table).grain
    there, newest = standing(lake, wound.table, wound), known_in(wound)[1]
    known = known_files(lake.settings)
    for version in range(delta.version() - 1, -1, -1):
        files = whole_at(delta, wound, known, version)
        if files:
            rows = lake.spark.read.schema(there.schema).parquet(*files)
            lost = rows.join(there.select(*keys), on=list(keys), how="left_anti")
            told = lost.agg(F.count("*"), F.max(F.unix_micros("known_from"))).first()
            if told is not None and told[0] == wound.lost and abs(told[1] - micros(newest)) <= ROUNDED:
                return lost
    return None


def whole_at(delta: "DeltaTable", wound: Wound, known: Known, version: int) -> list[str]:
    """The files of an older version, if it is known still and had none of the hurt ones; only those that are whole."""
    from deltalake.exceptions import DeltaError

    try:
        delta.load_as_version(version)
    except DeltaError:  # the log keeps a month of versions
        return []
    names = {file: file.removeprefix(f"{wound.folder}/") for file in delta.file_uris()}
    if wound.files & set(names.values()):
        return []
    return [file for file in names if is_whole(known, wound.table, wound.folder, Path(file))]


def loss_of(wound: Wound) -> str:
    """In words what is lost for good, and since when."""
    since, until = known_in(wound)
    return (
        f"{wound.table}: {wound.lost} rows are lost for good, of what became known from {since:%Y-%m-%d %H:%M} to "
        f"{until:%Y-%m-%d %H:%M} UTC; whom they were about is answered as of before, until the next release of `{NEXT}`"
    )


def known_in(wound: Wound) -> tuple[datetime, datetime]:
    """When the first and the last of what the hurt files held became known, as the log says."""
    import pyarrow as pa
    from deltalake import DeltaTable

    lines = pa.table(DeltaTable(wound.folder).get_add_actions(flatten=True)).to_pylist()
    hurt = [line for line in lines if unquote(line["path"]) in wound.files]
    return min(line["min.known_from"] for line in hurt), max(line["max.known_from"] for line in hurt)
