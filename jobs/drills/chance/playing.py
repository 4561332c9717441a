"""Playing a schedule: each step on the sandbox, with what must be true right after it, and whether it came to pass."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from shutil import rmtree

from jobs.drills.chance.sandbox import Sandbox
from jobs.drills.chance.schedule import Schedule, Step
from jobs.drills.report import Report
from jobs.drills.scratch import begin, ended
from jobs.drills.stage import KILLED
from jobs.drills.storage import tear
from jobs.lake.clock import now
from jobs.lake.engine_process import ENGINE
from jobs.lake.errors import BrokerError, DamageError, LeaseError, UsageError, WriteError
from jobs.lake.ingest.counting import landed_plan
from jobs.lake.ingest.loop import LEASE
from jobs.lake.ingest.planning import plan
from jobs.lake.ingest.progress import BOOKS, BRONZE, progress
from jobs.lake.kill_points import VARIABLE, Killed, heard
from jobs.lake.mending import newest_of_log
from jobs.lake.publications import releases
from jobs.lake.repairing import mend
from jobs.lake.runner import lease_name
from jobs.lake.topics import TOPICS


@dataclass
class Play:
    """One schedule on one sandbox; of the faults drawn, those that happened and those that came to nothing."""

    sandbox: Sandbox
    report: Report
    last_run: str = ""
    happened: Counter[str] = field(default_factory=Counter)  # as `Step.fault` names them
    missed: Counter[str] = field(default_factory=Counter)  # a point that no run passed, or nothing there to hurt

    def all(self, schedule: Schedule) -> None:
        """Take every step in its turn."""
        for step in schedule.steps:
            self.report.did(str(step))
            self.take(step)

    def take(self, step: Step) -> None:
        """Take one step; a fault among them is counted by whether it came to pass."""
        act: Callable[[Step], bool] = getattr(self, step.kind.replace("-", "_"), self._sent)
        came_to_pass = act(step)
        if step.fault:
            (self.happened if came_to_pass else self.missed)[step.fault] += 1
        if step.fault and not came_to_pass:
            self.report.did("which came to nothing")

    def ingest(self, step: Step) -> bool:
        """Take in all there is, or be killed at a point on the way."""
        return self._killed(step.at, self.sandbox.ingest)

    def publish(self, step: Step) -> bool:
        """Build, check and release, or be killed on the way; readers see the old until the release is whole."""
        self.last_run = self.sandbox.run_id("publish")
        return self._killed(step.at, lambda: self.sandbox.publish(self.last_run), reading=True)

    def cleared(self, step: Step) -> bool:
        """The same run once more, as a cleared task is; without one it is the first."""
        is_again = bool(self.last_run)
        self.sandbox.publish(self.last_run or self.sandbox.run_id("publish"))
        return is_again

    def full(self, step: Step) -> bool:
        """Everything built anew from silver: what was published up to there does not change."""
        self.sandbox.publish()
        return self._built_anew()

    def rollback(self, step: Step) -> bool:
        """The release before the newest is put back, and the newest after it; upkeep's are none of their own."""
        found = releases(self.sandbox.ledger, self.sandbox.family)
        if len({(release.facts.run_id, release.facts.known_from) for release in found}) < 2:
            return False
        self.sandbox.publish()
        self.sandbox.runner().rollback("")
        self.sandbox.retry()
        return True

    def upkeep(self, step: Step) -> bool:
        """Compaction of every table, or a kill on the way; readers see the same afterwards."""
        before, is_anything = self.sandbox.seen(), self.sandbox.ledger.exists(BRONZE)
        was_killed = self._killed(step.at, self.sandbox.upkeep)
        self.report.equal("what upkeep changes for readers", {}, changes(before, self.sandbox.seen()))
        return was_killed if step.at else is_anything

    def second(self, step: Step) -> bool:
        """A second ingest while one is at work: it is refused."""
        return self.sandbox.at(
            step.at, lambda: self._refused("a second ingest", self.sandbox.ingest), self.sandbox.ingest
        )

    def twice(self, step: Step) -> bool:
        """A second build of the family while one is at work: it is refused, or finds nothing to do."""

        def build() -> None:
            self.sandbox.runner().build(now(), full=True)

        return self.sandbox.at(step.at, lambda: self._refused("a second build", build), self.sandbox.publish)

    def stalled(self, step: Step) -> bool:
        """An ingest stands still until its lease is gone and another has done all the work; then it goes on."""
        return self._outlived(step.at, LEASE, self.sandbox.ingest, self.sandbox.ingest)

    def overtaken(self, step: Step) -> bool:
        """The same with a run of the family; what the other published stays."""
        if step.at == "release.after_lease":
            return self._outrun(step.at)
        return self._late(step.at, self.sandbox.publish, self.sandbox.publish)

    def retried(self, step: Step) -> bool:
        """A task of Airflow's is killed, and tried again by itself: those of the run before it are done."""
        was_killed = False
        for task in self._tasks():
            if self._killed(step.at, task, reading=True):
                was_killed = True
                task()
        return was_killed

    def zombie(self, step: Step) -> bool:
        """Airflow takes a task that stands still for dead and tries it again, in the same run; then it goes on."""
        were_late = [self._late(step.at, task, task) for task in self._tasks()]  # all are done, whichever it was
        return any(were_late)

    def silent(self, step: Step) -> bool:
        """The broker falls silent before a run, or when it gave some of a batch; nothing of that is taken in."""
        topics, before = self.sandbox.producers.topics, self.sandbox.ledger.version(BRONZE)
        is_in_a_batch = step.pick % 3 and topics.folder.exists()  # else nothing was sent yet
        topics.fall_silent(max(0, min(step.count, self._unread() - 1)) if is_in_a_batch else 0)
        try:
            self.sandbox.ingest()
        except BrokerError:
            self.report.did("ended: the broker is silent")
            self.report.equal(f"version of {BRONZE}", before, self.sandbox.ledger.version(BRONZE))
            return True
        finally:
            topics.answer()
        return False

    def tidied(self, step: Step) -> bool:
        """Upkeep while an ingest is at work: its tables, if any is made yet, are refused; the ledger's are tidied."""

        def tidy() -> None:
            if self.sandbox.ledger.exists(BRONZE):
                self._refused("upkeep of what ingest writes", self.sandbox.upkeep)
            else:
                self.sandbox.upkeep()

        return self.sandbox.at(step.at, tidy, self.sandbox.ingest)

    def built(self, step: Step) -> bool:
        """The family is published while an ingest is in the middle of a batch."""
        return self.sandbox.at(step.at, self.sandbox.publish, self.sandbox.ingest)

    def starved(self, step: Step) -> bool:
        """The system ends the engine of small runs for want of memory; Spark does what that one was at."""
        killed: list[str] = []

        def starve() -> None:
            if ENGINE.process:
                ENGINE.process.kill()
                killed.append(step.at)
                self.report.did(f"the engine was killed at {step.at}")

        self.sandbox.at(step.at, starve, self.sandbox.ingest)
        return bool(killed)

    def orphan(self, step: Step) -> bool:
        """The append of a killed run goes on in the server and comes before that of the next, which planned more."""
        from jobs.lake.ingest.landing import land

        sandbox = self.sandbox
        sandbox.ingest()
        sandbox.producers.do(Step("send", step.count, step.pick))
        orphans = plan(sandbox.settings, progress(sandbox.ledger))
        sandbox.producers.do(Step("send", step.count, step.pick + 1))
        return sandbox.at("ingest.before_bronze", lambda: land(sandbox.new_ingest().lake(), orphans), sandbox.ingest)

    def unbooked(self, step: Step) -> bool:
        """The newest commit of the books is lost; where a checkpoint tells of it, nobody can write before a repair."""
        if self.sandbox.ledger.version(BOOKS) < 1:
            return False
        newest_of_log(self.sandbox.ledger, BOOKS).unlink()
        mend(self.sandbox.settings, BOOKS, self.sandbox.run_id("repair"))
        return True

    def no_books(self, step: Step) -> bool:
        """All books are lost, and written again before anything new comes; once logs are cut it takes a repair."""
        were_there = self.sandbox.ledger.exists(BOOKS)
        rmtree(self.sandbox.ledger.path(BOOKS), ignore_errors=True)
        try:
            self.sandbox.ingest()
        except DamageError:
            mend(self.sandbox.settings, BOOKS, self.sandbox.run_id("repair"), lambda _: self.sandbox.spark.newSession())
            self.sandbox.ingest()
        return were_there

    def torn(self, step: Step) -> bool:
        """The newest commit of a table is cut in half; doctor and repair mend it, or say that it takes a copy."""
        if self.sandbox.ledger.version(step.at) < 1:
            return False
        file = newest_of_log(self.sandbox.ledger, step.at)
        whole = file.read_bytes()
        tear(file)
        was_refused, mended = False, None
        try:
            mended = mend(self.sandbox.settings, step.at, self.sandbox.run_id("repair"))
        except (UsageError, WriteError):
            was_refused = True
        if mended is None:  # hidden by a checkpoint, or older than what can be done again
            file.write_bytes(whole)
        return was_refused or mended is not None

    def sigkill(self, step: Step) -> bool:
        """A process of its own is ended by SIGKILL at a point; its lease stays behind."""
        command = "ingest" if step.at.startswith("ingest.") else step.at.split(".", 1)[0]
        words = (command,) if command == "ingest" else (command, self.sandbox.family)
        done = ended(begin(self.sandbox.settings, *words, **{VARIABLE: step.at}))
        self.report.equal(f"exit code of `reelhouse {' '.join(words)}`", KILLED, done.code)
        return done.code == KILLED

    def _unread(self) -> int:
        """How many offsets the next batch would read; one that lies in bronze is ended without the broker."""
        ledger = self.sandbox.ledger
        reached = progress(ledger)
        begun = range(reached.complete + 1, reached.landed + 1)
        return plan(self.sandbox.settings, reached).size - sum(landed_plan(ledger, number).size for number in begun)

    def _sent(self, step: Step) -> bool:
        """What producers do, and whether anything came of it; nothing is repeated where nothing was sent before."""
        producers = self.sandbox.producers
        before = producers.topics.ends(TOPICS)
        producers.do(step)
        return producers.topics.ends(TOPICS) != before

    def _tasks(self) -> tuple[Callable[[], object], ...]:
        self.last_run = self.sandbox.run_id("publish")
        return self.sandbox.tasks(self.last_run)

    def _killed(self, at: str, work: Callable[[], object], *, reading: bool = False) -> bool:
        """Do some work and be killed at a point of it, if there is one and it comes by; whether it did."""
        before = self.sandbox.seen() if reading else {}

        def hear(name: str) -> None:
            if reading and name != "release.after_publications":
                self._see(name, before)
            if name == at:
                raise Killed(name)

        try:
            with heard(hear):
                work()
        except Killed:
            self.report.did(f"killed at {at}")
            return True
        return False

    def _see(self, point: str, before: dict[str, list[str]]) -> None:
        found = changes(before, self.sandbox.seen())
        if found:
            self.report.equal(f"what readers see other than before, at {point}", {}, found)

    def _refused(self, who: str, work: Callable[[], None]) -> None:
        """Expect somebody to be told that another is at work."""
        try:
            work()
        except LeaseError as refused:
            self.report.says(who, "is held by", str(refused))
        else:
            self.report.equal(f"{who} while another is at work", "refused", "done")

    def _late(self, at: str, other: Callable[[], object], work: Callable[[], object]) -> bool:
        """Stand still in a run of the family while another does its work; go on, and change nothing for readers."""
        after: list[dict[str, list[str]]] = []

        def another() -> None:
            other()
            after.append(self.sandbox.seen())

        was_late = self._outlived(at, lease_name(self.sandbox.family), another, work)
        if after:
            self.report.equal("what the run that was late changes", {}, changes(after[0], self.sandbox.seen()))
        return was_late

    def _outrun(self, at: str) -> bool:
        """Stand still where nothing looks at the lease any more, while another has built, and not yet released.

        What the late one publishes is whole, so that everything built anew changes nothing of it.
        """
        build, *others = self.sandbox.tasks(self.sandbox.run_id("publish"))
        was_late = self._outlived(at, lease_name(self.sandbox.family), build, self.sandbox.publish)
        if was_late:
            with stopped_by_lease(self.report):
                for task in others:
                    task()
            self._built_anew()
        return was_late

    def _built_anew(self) -> bool:
        """Expect a full build to change nothing of what was published; whether anything was."""
        before = self.sandbox.seen()
        self.sandbox.publish(full=True)
        self.report.equal("what a full build changes of what was published", {}, changes(before, self.sandbox.seen()))
        return any(before.values())

    def _outlived(self, at: str, lease: str, other: Callable[[], object], work: Callable[[], object]) -> bool:
        """Stand still at a point of some work until its lease is gone and another did its own; whether it came by.

        A run that lost its lease may end, or stop and say that it was lost; it may not fail in another way.
        """
        stood_still: list[str] = []

        def another() -> None:
            self.sandbox.expire(lease)
            other()
            stood_still.append(at)

        with stopped_by_lease(self.report):
            self.sandbox.at(at, another, work)
        return bool(stood_still)


@contextmanager
def stopped_by_lease(report: Report) -> Iterator[None]:
    """What a run may say that comes back to find another in its place."""
    try:
        yield
    except (LeaseError, WriteError) as stopped:
        report.did(f"stopped: {str(stopped)[:120]}")


def changes(before: dict[str, list[str]], after: dict[str, list[str]]) -> dict[str, tuple[int, int]]:
    """Table → rows that are gone and rows that are new, for tables in which any are."""
    found = {}
    for table in sorted(before | after):
        old, new = set(before.get(table, ())), set(after.get(table, ()))
        if old != new or len(before.get(table, ())) != len(after.get(table, ())):
            found[table] = (len(old - new), len(new - old))
    return found
