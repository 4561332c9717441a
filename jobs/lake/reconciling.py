"""Whether gold adds up to silver: what the tables of a staging were made from, counted again, beside what they hold.

Which numbers must be equal, each table declares beside its `build` (`postings`); a family's module says of which rows.
Here they are only summed up, in one job, and compared; the release books them (`jobs/lake/reconciliations.py`).
"""

import logging
from collections.abc import Iterable, Iterator
from datetime import date
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pyarrow.compute as pc

from jobs.definitions.postings import IN, OUT, ledger_of
from jobs.lake.becoming import Becoming
from jobs.lake.expectations import Expected
from jobs.lake.ingest.progress import TOUCHED, progress
from jobs.lake.ledger import Ledger
from jobs.lake.publications import latest
from jobs.lake.staging import Line, Manifest, Staging
from jobs.lake.work import DISPLACED, ERASED, RETRACTED

if TYPE_CHECKING:
    from types import ModuleType

    from jobs.lake.quality import Finding
    from jobs.lake.tables import Lake

PATIENCE_SECONDS = 30.0
ROWS_WENT = "rows went from silver since the build"  # why a line that does not add up may be nobody's fault
log = logging.getLogger(__name__)


def reconciled(lake: "Lake", family: "ModuleType", staging: Staging, manifest: Manifest) -> list[Line]:
    """One line per table, equation, part and day that must add up; none for a family that declares none."""
    declared = getattr(family, "postings", None)
    if declared is None or not manifest.tables:
        return []
    ledger = Ledger(lake.settings)
    postings = list(declared(Becoming(lake, staging, manifest, latest(ledger, manifest.family))))
    if not postings:
        return []
    sides: dict[tuple[str, str, str, date | None], dict[str, int]] = {}
    for row in ledger_of(postings).collect():
        key = (row["table"], row["equation"], row["part"], row["slice"])
        sides.setdefault(key, {})[row["side"]] = int(row["rows"] or 0)
    lines = [_line(*key, sides[key]) for key in sorted(sides, key=str)]
    if all(line.adds_up for line in lines) or not rows_went(ledger, manifest):
        return lines
    log.warning("%s: not all was compared with silver, from which rows went since it was built", manifest.family)
    return [line if line.adds_up else line.model_copy(update={"not_compared": ROWS_WENT}) for line in lines]


def rows_went(ledger: Ledger, manifest: Manifest) -> bool:
    """Whether a batch that the build does not count took rows from silver, which the build could no longer see.

    The batch that is begun may be such a one: that is known when it has ended, for which there is some patience.
    """
    begun, until = progress(ledger), monotonic() + PATIENCE_SECONDS
    while begun.is_unfinished and progress(ledger).complete <= begun.complete:
        if monotonic() > until:
            return True
        sleep(1)
    since = min(manifest.released_seq, manifest.ingest_seq_to)
    lost = (pc.field("ingest_seq") > since) & pc.field("cause").isin([DISPLACED, RETRACTED, ERASED])
    return ledger.exists(TOUCHED) and ledger.read(TOUCHED, ["table"], lost).num_rows > 0


def _line(table: str, equation: str, part: str, day: date | None, sides: dict[str, int]) -> Line:
    left_out = {side: rows for side, rows in sorted(sides.items()) if side not in (IN, OUT) and rows}
    return Line(
        table=table, equation=equation, part=part, slice=day, input_rows=sides.get(IN, 0), left_out=left_out,
        output_rows=sides.get(OUT, 0),
    )  # fmt: skip


def findings_of(lake: "Lake", lines: Iterable[Line]) -> "Iterator[Finding]":
    """A critical finding for each line that does not add up, and a good one for each equation that does throughout.

    Of lines that are not compared nothing is found.
    """
    from jobs.lake.quality import Finding

    good: dict[tuple[str, str], bool] = {}
    for line in (each for each in lines if not each.not_compared):
        good[line.table, line.equation] = good.get((line.table, line.equation), True) and line.adds_up
        if line.is_off:
            day = line.slice if lake.contract(line.table).slice_column else None
            yield Finding(line.table, rule_of(line.equation), False, line.words, None, day)
    for (table, equation), adds_up in good.items():
        if adds_up:
            yield Finding(table, rule_of(equation), True, None, None)


def rule_of(equation: str) -> Expected:
    """An equation as an expectation like those of a contract."""
    words = "what the table was made from is what it holds; see docs/runbooks/books.md"
    return Expected(f"{equation}_add_up", "critical", words, kind="")
