"""The verdict on a schedule: each record has the fate the truth says, and silver and gold are an undisturbed run's."""

from collections import Counter
from dataclasses import dataclass

from jobs.drills.chance.fates import ACCEPTED, BOOKED, Fate, Place, fates, tally
from jobs.drills.chance.playing import changes
from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.evidence import books, off_balance, refused, rows
from jobs.drills.report import Report
from jobs.lake.ledger import Ledger
from jobs.lake.remaking.from_arrivals import due
from jobs.lake.settings import Settings
from jobs.serve.books import Asked, book_ranges
from jobs.serve.sequences import sequences

SILVER = ("silver.views", "silver.likes", "silver.orders", "silver.users")
COMPARED = (*SILVER, "silver.quarantine")
FATES = ("received", "accepted", "duplicate", "quarantined", "canary")
SHOWN = 5


@dataclass(frozen=True)
class Counts:
    """Records sent, accepted ones that are nowhere, rows too many, and records that the books do not know."""

    sent: int
    lost: int
    doubled: int
    unaccounted: int


def settle_up(sandbox: Sandbox) -> None:
    """Whatever was begun is ended, undisturbed: ingest, then all that waits to be published."""
    sandbox.ingest()
    sandbox.retry()


def judge(sandbox: Sandbox, report: Report) -> Counts:
    """Compare with the truth."""
    truth = fates(sandbox.producers.sent)
    report.books = books(sandbox.settings)
    report.equal("lines of the books that do not balance", [], off_balance(sandbox.settings))
    booked = by_place(sandbox.settings)
    report.equal("what the books say other than the truth", {}, differing(tally(truth), booked))
    found = accepted(sandbox.settings)
    wanted = {place for place, fate in truth.items() if fate == ACCEPTED}
    lost, more = wanted - set(found), sum(found.values()) - len(wanted & set(found))
    report.equal("accepted records that are not in silver", [], sorted(lost)[:SHOWN])
    report.equal("rows of silver too many", 0, more)
    aside = {place: fate for place, fate in truth.items() if fate not in BOOKED}
    report.equal("records with another fate than they should have", {}, off(aside, refused(sandbox.settings)))
    uncounted = [batch for batch, *_ in due(Ledger(sandbox.settings))]
    report.equal("batches whose producers' numbers are not counted whole", [], uncounted)
    received = sum(n for (*_, what), n in booked.items() if what == "received")
    return Counts(len(truth), len(lost), more, abs(len(truth) - received))


def compare(sandbox: Sandbox, report: Report) -> None:
    """Compare with a lake that took in the same records undisturbed."""
    clean = sandbox.undisturbed
    settle_up(clean)
    silver = changes(
        {table: rows(clean.settings, table) for table in COMPARED},
        {table: rows(sandbox.settings, table) for table in COMPARED},
    )
    report.equal("tables of silver that differ from an undisturbed run's", {}, silver)
    numbers = [str(sequences(each.settings)) for each in (clean, sandbox)]
    report.equal("producers' numbers, lost and repeated", *numbers)
    gold = changes(clean.seen(), sandbox.seen())
    report.equal("published tables that differ from an undisturbed run's", {}, gold)


def by_place(settings: Settings) -> Counter[tuple[str, int, str]]:
    """What the books say, as `fates.tally` has it."""
    counts: Counter[tuple[str, int, str]] = Counter()
    for line in book_ranges(settings, Asked()):
        for what in FATES:
            counts[line["topic"], line["partition"], what] += line[what]
    return +counts


def accepted(settings: Settings) -> Counter[Place]:
    """The places of the rows in silver."""
    ledger, places = Ledger(settings), Counter[Place]()
    for table in SILVER:
        topic = table.split(".", 1)[1]
        for row in ledger.read(table, ["kafka_partition", "kafka_offset"]).to_pylist():
            places[topic, row["kafka_partition"], row["kafka_offset"]] += 1
    return places


def differing(wanted: Counter[tuple[str, int, str]], found: Counter[tuple[str, int, str]]) -> dict[str, str]:
    """Where two tallies differ: place and fate → what it should be and what it is."""
    keys = sorted(key for key in wanted | found if wanted[key] != found[key])
    return {f"{topic}/{part} {what}": f"{wanted[topic, part, what]} not {found[topic, part, what]}"
            for topic, part, what in keys[:SHOWN]}  # fmt: skip


def off(wanted: dict[Place, Fate], found: dict[Place, tuple[str, ...]]) -> dict[str, str]:
    """Records that are in quarantine for other reasons than they should be, or not, or should not be."""
    keys = sorted(place for place in wanted | found if wanted.get(place) != found.get(place))
    return {"/".join(map(str, place)): f"{wanted.get(place)} not {found.get(place)}" for place in keys[:SHOWN]}
