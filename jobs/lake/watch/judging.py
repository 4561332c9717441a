"""What the promises are measured by: waiting for latency, refused records, lost numbers and held days for completeness.

docs/watching.md says it in words.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from jobs.lake.balance import first_of, judged
from jobs.lake.holds import CHECKS, owed
from jobs.lake.ingest.progress import BOOKS, SEQUENCES
from jobs.lake.ledger import Ledger
from jobs.lake.publications import families, inputs_of
from jobs.lake.settings import Settings
from jobs.lake.topics import TOPICS
from jobs.lake.work import touched_days
from jobs.ops.canaries import State
from jobs.ops.lag import broken
from jobs.ops.missing import Numbers
from jobs.ops.promises import AVAILABILITY, COMPLETENESS, LATENCY, QUALITY, Key, Measure

Rows = Iterable[Mapping[str, Any]]
LAG = "ops.lag"
COUNTED = timedelta(hours=24)  # what is told of the books is told of their last day
RUNBOOKS = "docs/runbooks"
PAGES = {  # what helps when a promise is broken
    LATENCY: "late.md",
    COMPLETENESS: "red-check.md",
    QUALITY: "red-check.md",
    AVAILABILITY: "broker.md",
    (BOOKS, QUALITY): "books.md",
    (SEQUENCES, COMPLETENESS): "books.md",
    (LAG, AVAILABILITY): "broker.md",
}
STREAM_PAGES = {
    LATENCY: "ingest.md",
    COMPLETENESS: "quarantine.md",
    AVAILABILITY: "canaries.md",
}  # of a table that ingest writes


def measures(
    ledger: Ledger,
    settings: Settings,
    freshness: Rows,
    lag: Sequence[Mapping[str, Any]],
    numbers: Numbers,
    at: datetime,
) -> dict[Key, Measure]:
    """Everything that could be measured; what nobody asked to be promised is measured all the same.

    Without any lag the broker was silent.
    """
    import pyarrow.compute as pc

    found = {(LAG, AVAILABILITY): broker(is_broker_up=bool(lag))}
    found |= {(row["table"], LATENCY): waited(row) for row in freshness}
    lines = ledger.read(BOOKS, filter=pc.field("recorded_at") > at - COUNTED).to_pylist(maps_as_pydicts="strict")
    found[BOOKS, QUALITY] = balanced(lines)
    found[SEQUENCES, COMPLETENESS] = numbered(numbers, lines)
    found |= {(f"silver.{topic}", COMPLETENESS): accepted(lines, topic) for topic in TOPICS}
    found |= {(f"silver.{topic}", AVAILABILITY): told for topic in TOPICS if (told := answering(lag, topic))}
    for family in families(settings.schemas_dir):
        found |= of_family(ledger, settings, family)
    return found


def runbooks(keys: Iterable[Key], settings: Settings) -> dict[Key, str]:
    """The page that helps when a promise is broken."""
    published = {table for tables in families(settings.schemas_dir).values() for table in tables}
    return {key: f"{RUNBOOKS}/{_page(key, is_published=key[0] in published)}" for key in keys}


def broker(*, is_broker_up: bool) -> Measure:
    """Whether the broker could be asked."""
    return (
        Measure(100.0, "the broker answers")
        if is_broker_up
        else Measure(0.0, "the broker does not answer, or has no topics")
    )


def answering(lag: Rows, topic: str) -> Measure | None:
    """The share of a topic's partitions whose canaries come through; None where none was sent."""
    mine = [row for row in lag if row["topic"] == topic and row["state"] != State.untold]
    if not mine:
        return None
    named, silent = broken(mine), [row for row in mine if row["state"] == State.silent]
    answer = len(mine) - len(named)
    words = f"{answer} of {len(mine)} partitions answer, {len(silent)} are silent"
    return Measure(share(answer, len(mine)), words + (f": {first_of(named)}" if named else ""))


def waited(row: Mapping[str, Any]) -> Measure:
    """How long the oldest thing has waited."""
    since = row["waiting_since"]
    words = f"waits since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "nothing waits"
    return Measure(float(row["waiting_seconds"]), words)


def balanced(lines: Iterable[dict[str, Any]]) -> Measure:
    """The share of the books' lines that balance."""
    wrong = [not line["balanced"] for line in judged(lines)]
    return Measure(
        share(len(wrong) - sum(wrong), len(wrong)), f"{sum(wrong)} of {len(wrong)} lines of 24 h do not balance"
    )


def accepted(lines: Iterable[Mapping[str, Any]], topic: str) -> Measure:
    """The share of a topic's records that made a row or repeat one."""
    mine = [line for line in lines if line["topic"] == topic]
    received, refused, canaries = (
        sum(line[name] or 0 for line in mine) for name in ("received", "quarantined", "canary")
    )
    received -= canaries
    return Measure(share(received - refused, received), f"{refused} of {received} records refused in 24 h")


def numbered(numbers: Numbers, lines: Iterable[Mapping[str, Any]]) -> Measure:
    """The share of producers' numbers that were received; as many lost ones pass as refused records that bear none."""
    refused = Counter[str]()
    for line in lines:
        refused[line["topic"]] += line["quarantined"]
    nameless = sum(min(bare, max(refused[topic], 0)) for topic, bare in numbers.bare.items())
    perhaps = min(numbers.lost, nameless)
    words = f"{numbers.lost} numbers of {numbers.epochs} epochs lost, {numbers.repeated} came again in 24 h"
    words += f"; up to {perhaps} of the lost may be among refused records without a number" if perhaps else ""
    return Measure(share(numbers.received, numbers.received + numbers.lost - perhaps), words)


def of_family(ledger: Ledger, settings: Settings, family: str) -> dict[Key, Measure]:
    """Completeness and quality of a family's tables; nothing before their first check."""
    import pyarrow.compute as pc

    is_critical = (pc.field("family") == family) & (pc.field("severity") == "critical")
    told = ledger.read(CHECKS, ["table", "check"], is_critical).group_by(["table", "check"]).aggregate([])
    known: dict[str, set[str]] = {}
    for row in told.to_pylist():
        known.setdefault(row["table"], set()).add(row["check"])
    holds = owed(ledger, family)
    days, _ = touched_days(ledger, inputs_of(family, settings.schemas_dir), -1, 2**62)
    found: dict[Key, Measure] = {}
    for table, checks in known.items():
        failed = {hold.check for hold in holds if hold.table == table}
        named = f": {', '.join(sorted(failed))}" if failed else ""
        words = f"{len(failed)} of {len(checks)} critical checks fail{named}"
        found[table, QUALITY] = Measure(share(len(checks) - len(failed), len(checks)), words)
        found[table, COMPLETENESS] = released({hold.day for hold in holds}, len(days))
    return found


def released(held: set[Any], days: int) -> Measure:
    """The share of a family's days that no failed check keeps from its readers; a failure without a day keeps all."""
    if None in held:
        return Measure(0.0, "all that is new is held")
    return Measure(share(days - len(held), days), f"{len(held)} of {days} days are held")


def share(part: int, whole: int) -> float:
    """Percent; all of nothing is 100."""
    return 100.0 * part / whole if whole else 100.0


def _page(key: Key, *, is_published: bool) -> str:
    name = key[1]
    if key in PAGES:
        return PAGES[key]
    return PAGES[name] if is_published else STREAM_PAGES.get(name, PAGES[name])
