"""What names an erased person until gold has followed: the lines of `ops.touched`, and the staging of the builds."""

import sys
from collections.abc import Mapping

from jobs.lake.ingest.progress import TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families, latest
from jobs.lake.restating.booking import TABLE as RESTATEMENTS
from jobs.lake.restating.booking import app_of
from jobs.lake.restating.cells import RESTATED
from jobs.lake.work import ERASED

APP = "upkeep:erased"


def forget_names(ledger: Ledger) -> int:
    """Make the names of erased people null in `ops.touched` where all families have followed; how many people."""
    import pyarrow.compute as pc

    if not ledger.exists(TOUCHED):
        return 0
    lines = ledger.read(TOUCHED, ["ingest_seq", "subject"], pc.field("cause") == ERASED).to_pylist()
    until, done = followed(ledger), dict[str, int]()
    for line in lines:
        if line["subject"] is not None and line["ingest_seq"] <= until:
            done[line["subject"]] = max(done.get(line["subject"], -1), line["ingest_seq"])
    if done:
        _forget(ledger, done)
    return len(done)


def _forget(ledger: Ledger, done: Mapping[str, int]) -> None:
    """The lines of these names, up to their batches, without the name; nor does the table's log quote it."""
    import pyarrow.compute as pc

    until = max(done.values())
    told = ledger.read(TOUCHED, filter=pc.field("ingest_seq") <= until).to_pylist()
    theirs = {line["ingest_seq"] for line in told if line["ingest_seq"] <= done.get(line["subject"], -1)}
    lines = [
        line | {"subject": None if line["ingest_seq"] <= done.get(line["subject"], -1) else line["subject"]}
        for line in told
        if line["ingest_seq"] in theirs
    ]
    ledger.replace_batches(TOUCHED, lines, theirs, app=APP, version=until)


def followed(ledger: Ledger) -> int:
    """The newest batch that every released family has read, and has booked what it changed.

    Where none is released nothing needs the names: a first build reads silver alone.
    """
    schemas = ledger.settings.schemas_dir
    found = [_followed_by(ledger, family, tables) for family, tables in families(schemas).items()]
    return min((seq for seq in found if seq is not None), default=sys.maxsize)


def _followed_by(ledger: Ledger, family: str, tables: tuple[str, ...]) -> int | None:
    """The same of one family; None for one never released."""
    last = latest(ledger, family)
    if last is None:
        return None
    is_told = not set(RESTATED) & set(tables) or _booked(ledger, family) >= last.number
    return last.facts.ingest_seq if is_told else -1


def _booked(ledger: Ledger, family: str) -> int:
    """The newest release of which ops.restatements tells; -1 for none."""
    booked = ledger.txn_version(RESTATEMENTS, app_of(family))
    return -1 if booked is None else booked
