"""`reelhouse ingest`: batch after batch until everything is read, or for ever."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar

from jobs.lake.ingest.counting import Counts, landed_plan, received
from jobs.lake.ingest.planning import Plan, notes_of, plan
from jobs.lake.ingest.progress import sound_progress
from jobs.lake.ingest.small_batches import by_topic, may_end, may_land
from jobs.lake.ingest.steps import Done
from jobs.lake.kill_points import reach
from jobs.lake.leases import Lease, Leases
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings
from jobs.lake.small_runs import INGEST, on_engine

if TYPE_CHECKING:
    from jobs.lake.ingest.erased import Place
    from jobs.lake.tables import Lake

LEASE = "ingest"
TRIGGER_SECONDS = 1.0
T = TypeVar("T")
ENDED = 143  # what a process says that SIGTERM ended

INGEST_CONF = {
    # One method for all the rules of a topic is larger than what the JVM compiles; without it each rule is one.
    "spark.sql.codegen.wholeStage": "false",
    # A few open files a task spare the sort by day.
    "spark.sql.maxConcurrentOutputFileWriters": "16",
}


@dataclass
class Ingest:
    """One run of ingest over one lake; Spark is opened with the first batch that needs it.

    `accept_new` names topics that may be read on as new ones if they are no longer what was read, once; `accept_loss`
    lets what retention took be booked as lost, once.
    """

    settings: Settings
    run_id: str
    now: Callable[[], datetime]
    open_spark: Callable[[Settings], Any]
    accept_loss: bool = False
    accept_new: frozenset[str] = frozenset()
    between: Callable[[], None] = lambda: None  # done between batches by one that goes on for ever
    stop: threading.Event = field(default_factory=threading.Event)
    spark: Any = None

    notes: list[str] = field(default_factory=list)  # what else is to be known of how it ended

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.settings)
        self.leases = Leases(self.ledger, self.now)

    def until_caught_up(self, max_batches: int | None = None) -> list[Done]:
        """Do batches until there is nothing new, or so many."""
        done: list[Done] = []
        with self.leases.held(LEASE, self.run_id) as lease:
            self.refuse_gone()
            while max_batches is None or len(done) < max_batches:
                batch = self.once(lease)
                if batch is None:
                    break
                done.append(batch)
        return done

    def forever(self, told: Callable[[Done], None]) -> None:
        """Do batches as they come, looking once a second, until `stop` is set; a batch begun is ended."""
        with self.leases.held(LEASE, self.run_id) as lease:
            self.refuse_gone()
            while not self.stop.is_set():
                batch = self.once(lease)
                if batch is None:
                    self.stop.wait(TRIGGER_SECONDS)
                else:
                    told(batch)
                self.between()

    def refuse_gone(self) -> None:
        """DamageError, before anything is read, where a table of silver is not there any more."""
        from jobs.lake.owing import refuse_gone

        refuse_gone(self.ledger)

    def once(self, lease: Lease) -> Done | None:
        """End the batch that was begun, or do the next, and note what it cost; null when there is nothing."""
        from jobs.lake.costs import note_batch, stopwatch

        seconds = stopwatch()
        done = self._once(lease)
        if done is not None:
            note_batch(self.ledger, self.run_id, done, seconds(), self.now())
        return done

    def _once(self, lease: Lease) -> Done | None:
        reached = sound_progress(self.ledger)
        if reached.is_unfinished:
            # More than one, when the books lost their newest lines: each in its turn.
            return self.finish(landed_plan(self.ledger, reached.complete + 1), lease)
        planned = plan(self.settings, reached, accept_loss=self.accept_loss, accept_new=self.accept_new)
        anew = planned.begins_lives(reached)
        self.notes += notes_of(planned, reached, anew)
        if not planned.over:  # what becomes of a topic later is another matter, and so is what is lost later
            self.accept_new = frozenset()
            self.accept_loss = self.accept_loss and not planned.lost
        return self.begin(planned, lease) if planned.size or planned.lost or anew else None

    def begin(self, planned: Plan, lease: Lease) -> Done:
        """Land a batch in bronze, then take it to its end."""
        is_for_few = may_land(self.settings, self.ledger, planned)
        self.on_engine(is_for_few, lambda lake: self._land(lake, planned, lease), lease)
        reach("ingest.after_bronze")
        # What lies there under this number may be an orphan's: the server went on with what a killed run had begun,
        # and Delta then skips ours. Its plan is the one that was carried out; what is beyond it comes next.
        return self.finish(landed_plan(self.ledger, planned.ingest_seq), lease)

    def _land(self, lake: "Lake", planned: Plan, lease: Lease) -> None:
        from jobs.lake.ingest.landing import land

        reach("ingest.before_bronze")
        self.leases.check(lease)
        land(lake, planned)

    def finish(self, planned: Plan, lease: Lease) -> Done:
        """Take a batch that lies in bronze to its end."""
        from jobs.lake.identity import ensure_key_file
        from jobs.lake.ingest.erased import erased_of

        ensure_key_file(self.settings.keys_path)
        found = received(self.ledger, planned.ingest_seq)
        erased = erased_of(self.ledger, planned.ingest_seq)
        is_for_few = may_end(self.settings, self.ledger, planned, by_topic(found[0]))
        return self.on_engine(is_for_few, lambda lake: self._end(lake, planned, found, erased, lease), lease)

    def _end(
        self, lake: "Lake", planned: Plan, found: tuple[Counts, Counts], erased: "tuple[Place, ...]", lease: Lease
    ) -> Done:
        from jobs.lake.identity import pseudonym_function
        from jobs.lake.ingest.batch import Batch
        from jobs.lake.ingest.forgetting import carry_out
        from jobs.lake.ingest.steps import run_batch

        counts, canaries = found
        pseudonym = pseudonym_function(self.settings.keys_path)
        batch = Batch(lake, self.ledger, planned, self.run_id, counts, pseudonym, erased=erased, canaries=canaries)
        if planned.erasure:
            return carry_out(batch, planned.erasure, self.now, lambda: self.leases.check(lease))
        return run_batch(batch, self.now, lambda: self.leases.check(lease))

    def on_engine(self, is_for_few: bool, do: "Callable[[Lake], T]", lease: Lease) -> T:
        """Do a step of a batch without Spark where that may be (docs/adr/0026), else with it, if the lease is ours."""

        def by_spark() -> "Lake":
            self.leases.check(lease)
            lake: Lake = self.lake()
            return lake

        return on_engine(self.settings, INGEST, is_for_few, do, by_spark)

    def lake(self) -> Any:
        """The lake with a Spark session, opened at first need; its jobs carry the run's tag."""
        from jobs.lake.tables import Lake

        if self.spark is None:
            self.spark = self.open_spark(self.settings)
            for key, value in INGEST_CONF.items():
                self.spark.conf.set(key, value)
            self.spark.addTag(self.tag)
        return Lake(self.settings, self.spark)

    @property
    def tag(self) -> str:
        """The name under which Spark knows this run's jobs."""
        return f"ingest-{self.run_id}".replace(",", "_")

    def interrupt(self) -> None:
        """End this run's jobs, on a Spark Connect server too."""
        if self.spark is not None:
            self.spark.interruptTag(self.tag)


@contextmanager
def ended_by_sigterm(ingest: Ingest, *, gently: bool) -> Iterator[None]:
    """Turn SIGTERM into the end of the run: after the batch (`gently`), or at once; the second time always at once."""

    def end(number: int, frame: FrameType | None) -> None:
        if gently and not ingest.stop.is_set():
            ingest.stop.set()
            return
        raise SystemExit(ENDED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except SystemExit:
        ingest.interrupt()
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
