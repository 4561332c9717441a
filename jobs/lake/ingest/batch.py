"""One batch on its way from bronze to silver: what every step of it needs."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from jobs.definitions.events.form import Form
from jobs.definitions.events.reading import read
from jobs.lake.ingest.erased import Place, without_erased
from jobs.lake.ingest.forms import form
from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import APP, BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.topics import CANARY_KEY, TOPICS

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

    from jobs.lake.ingest.retracting import Retracted
    from jobs.lake.ingest.rowless import Rowless

SMALL = 50_000  # records


@dataclass
class Batch:
    """A batch that has landed; `received` counts its records by (topic, partition).

    `retracted` has, by topic, what statements of the batch take back; it is found before anything else is read.
    `only` names the topics that are done, where not all are: `received` counts no others then.
    `erased` has the places of its records that are nobody's any more, `canaries` counts as `received` does.
    """

    lake: Lake
    ledger: Ledger
    plan: Plan
    run_id: str
    received: dict[tuple[str, int], int]
    pseudonym: "Callable[[Column], Column]"
    kept: "list[DataFrame]" = field(default_factory=list)
    all_records: "DataFrame | None" = None
    read_once: "dict[str, DataFrame]" = field(default_factory=dict)
    retracted: "dict[str, Retracted]" = field(default_factory=dict)
    only: frozenset[str] = frozenset(TOPICS)
    erased: tuple[Place, ...] = ()
    canaries: dict[tuple[str, int], int] = field(default_factory=dict)

    @property
    def seq(self) -> int:
        """The batch's number."""
        return self.plan.ingest_seq

    @property
    def topics(self) -> list[str]:
        """The topics that have records in the batch, or lose some by it."""
        return sorted({topic for topic, _ in self.received} | self.retracted.keys())

    @property
    def note(self) -> str:
        """What a commit says of its batch, for whoever resumes it."""
        return json.dumps({"ingest_seq": self.seq, "run_id": self.run_id})

    def take_back(self, retracted: "dict[str, Retracted]") -> None:
        """From here on the batch is without what its statements take back; what was read of it before is read anew."""
        if retracted:
            self.retracted, self.all_records = retracted, None
            self.read_once.clear()

    def count(self, topic: str) -> int:
        """Records of a topic in the batch that anything is to be read of."""
        received, canaries = (
            sum(n for (name, _), n in counts.items() if name == topic) for counts in (self.received, self.canaries)
        )
        return received - canaries - sum(name == topic for name, *_ in self.erased)

    def at_most(self, topic: str) -> int:
        """Records of a topic that the batch may write or take away."""
        return self.count(topic) + (self.retracted[topic].size if topic in self.retracted else 0)

    def records(self, *topics: str) -> "DataFrame":
        """The batch's records of these topics, as they lie in bronze."""
        from pyspark.sql import functions as F

        return self.whole().where(F.col("topic").isin(*topics))

    def whole(self) -> "DataFrame":
        """All records of the batch; a small batch is read from bronze once.

        A canary is not seen, nor one that is erased or taken back in the same batch; one that is judged anew for it
        is seen again.
        """
        from pyspark.sql import functions as F

        if self.all_records is None:
            found = self.lake.read(BRONZE).where(F.col("ingest_seq") == self.seq)
            found = without_erased(self.lake, found, self.erased)
            if self.canaries:
                found = found.where(~F.col("key").eqNullSafe(F.lit(CANARY_KEY)))
            for each in self.retracted.values():
                found = each.in_place_of(found, self.seq)
            self.all_records = self.keep(found) if self.is_small else found
        return self.all_records

    @property
    def is_small(self) -> bool:
        """Whether working something out once and keeping it is cheaper than planning it again."""
        return self.is_of_few and self.lake.keeps_readings

    @property
    def is_of_few(self) -> bool:
        """Whether what it changes may be held by this process."""
        return sum(self.received.values()) + sum(each.size for each in self.retracted.values()) <= SMALL

    def expect_few(self) -> None:
        """Told that rows lose their place: an engine that cannot change rows of a table by itself may refuse many."""
        if not self.is_of_few:
            self.lake.leave_to_spark("rows lose their place in a batch of many")

    @property
    def is_large(self) -> bool:
        """Whether a second look at its bodies would take long."""
        return sum(self.received.values()) > SMALL

    @cached_property
    def rowless(self) -> "Rowless | None":
        """What of it made no row of a fact table; to be asked once silver is written."""
        from jobs.lake.ingest.rowless import rowless_of

        return rowless_of(self)

    def form(self, topic: str) -> Form:
        """How the topic's records are read, by the versions of its contract that there were when the batch landed."""
        return form(topic, self.lake.settings, self.plan.contracts)

    def readings(self, how: Form) -> "DataFrame":
        """The topic's records, parsed and judged; of a small batch once for all that ask."""
        if how.topic not in self.read_once:
            found = read(self.records(how.topic), how)
            self.read_once[how.topic] = self.keep(found) if self.is_small else found
        return self.read_once[how.topic]

    def keep(self, frame: "DataFrame") -> "DataFrame":
        """A frame that several steps read, worked out once; let go at the end of the batch."""
        self.kept.append(self.lake.hold(frame))
        return self.kept[-1]

    def append(self, table: str, rows: "DataFrame", *, at_most: int) -> None:
        """The batch's rows of a table, so many or fewer, in one commit that carries its number."""
        write = self.lake.append_few if at_most <= SMALL else self.lake.append
        write(table, rows, app=APP, version=self.seq, metadata=self.note)

    def let_go(self) -> None:
        """Free what was kept."""
        while self.kept:
            with suppress(PySparkException):  # of an engine that is gone, which must not hide why
                self.kept.pop().unpersist()
