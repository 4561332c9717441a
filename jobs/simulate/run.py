"""One simulation from end to end: block after block of users, made, sent, and told truly."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date

import numpy as np

from jobs.simulate.bodies import Writer
from jobs.simulate.catalogue import Catalogue, make_catalogue
from jobs.simulate.columns import Columns
from jobs.simulate.deliver import Destination
from jobs.simulate.envelope import source_of
from jobs.simulate.misbehaviour import misbehaviour
from jobs.simulate.period import Period
from jobs.simulate.records import FATES, LOST, plan_records
from jobs.simulate.shipment import Packer, event_ids, waves
from jobs.simulate.truth import TruthFolder, World, truth_of
from jobs.simulate.vocabulary import catalogue_words
from jobs.simulate.world import FACTS, TOPICS, make_block

EVENTS_A_DAY = 21.5  # of one user, at the usual rate
BLOCK_EVENTS = 1_000_000  # users are taken in blocks of about so many events: memory stays flat


@dataclass(frozen=True)
class Plan:
    """What to simulate; `events` is the total to aim for, or None for what so many people do by themselves."""

    users: int
    days: int
    seed: int
    last_day: date
    zone: str
    misbehave: str = "mild"
    events: int | None = None

    @property
    def rate(self) -> float:
        """How much more or less active than usual people are."""
        return self.events / self._usual if self.events else 1.0

    @property
    def block_users(self) -> int:
        """Users per block."""
        return max(1, min(self.users, int(BLOCK_EVENTS * self.users / max(1.0, self._usual * self.rate))))

    @property
    def _usual(self) -> float:
        return self.users * self.days * EVENTS_A_DAY

    @property
    def period(self) -> Period:
        """Its days."""
        return Period(self.days, self.last_day, self.zone)


@dataclass
class Outcome:
    """What came out: records by (topic, fate), and the CPU seconds it took to make them (sending not counted)."""

    records: Counter[tuple[str, str]] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def sent(self) -> int:
        """Physical records, without the lost ones."""
        return sum(count for (_, fate), count in self.records.items() if fate != FATES[LOST])

    @property
    def rate(self) -> float:
        """Records made in a second of one core, truth included."""
        return self.sent / self.seconds if self.seconds else 0.0


def simulate(
    plan: Plan, destination: Destination, truth: TruthFolder, on_sent: Callable[[int], None] | None = None
) -> Outcome:
    """Make the whole world; the truth is put in place only when everything was sent."""
    outcome, period = Outcome(), plan.period
    started = time.process_time()
    catalogue = make_catalogue(plan.seed, plan.users, period)
    outcome.seconds += time.process_time() - started
    for first in range(0, plan.users, plan.block_users):
        _one_block(plan, catalogue, first, destination, truth, outcome, on_sent or (lambda count: None))
    destination.announce(dict.fromkeys(FACTS, period.end), is_final=True)
    destination.close()
    truth.finish(_world(plan, period), {"sent": outcome.sent})
    return outcome


def _one_block(
    plan: Plan,
    catalogue: Catalogue,
    first: int,
    destination: Destination,
    truth: TruthFolder,
    outcome: Outcome,
    on_sent: Callable[[int], None],
) -> None:
    started = time.process_time()
    period = plan.period
    block = make_block(plan.seed, first, min(plan.block_users, plan.users - first), catalogue, period, plan.rate)
    records = plan_records(plan.seed, block, misbehaviour(plan.misbehave), period)
    ids = event_ids(plan.seed, block, records)
    writer = Writer(block.people, catalogue, catalogue_words(catalogue))
    truth.add(first, truth_of(block, catalogue, records, ids, period))
    _count(outcome, records)
    packer = Packer(plan.seed, block, records, ids, writer, period)
    outcome.seconds += time.process_time() - started
    for day, wave in enumerate(waves(records, period)):
        started = time.process_time()
        for shipment in packer.shipments(wave):
            outcome.seconds += time.process_time() - started
            destination.take(shipment)
            on_sent(shipment.table.num_rows)
            started = time.process_time()
        outcome.seconds += time.process_time() - started
        # the wave before the first day only tells of entities
        if plan.block_users == plan.users and 1 <= day <= period.days:
            destination.announce(dict.fromkeys(FACTS, int(period.midnights[day])), is_final=False)


def _count(outcome: Outcome, records: Columns) -> None:
    table = np.bincount(records["topic"] * len(FATES) + records["fate"], minlength=len(TOPICS) * len(FATES))
    for cell, count in enumerate(table.tolist()):
        if count:
            outcome.records[TOPICS[cell // len(FATES)], FATES[cell % len(FATES)]] += count


def _world(plan: Plan, period: Period) -> World:
    return World(
        plan.seed, plan.users, plan.days, str(plan.last_day), plan.zone, plan.misbehave, source_of(plan.seed),
        period.start, period.end,
    )  # fmt: skip
