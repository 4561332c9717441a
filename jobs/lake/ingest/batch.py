"""One batch on its way from bronze to silver: what every step of it needs."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobs.lake.ingest.planning import Plan
from jobs.lake.ingest.progress import BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


@dataclass
class Batch:
    """A batch that has landed; `received` counts its records by (topic, partition)."""

    lake: Lake
    ledger: Ledger
    plan: Plan
    run_id: str
    received: dict[tuple[str, int], int]
    pseudonym: "Callable[[Column], Column]"
    kept: "list[DataFrame]" = field(default_factory=list)

    @property
    def seq(self) -> int:
        """The batch's number."""
        return self.plan.ingest_seq

    @property
    def topics(self) -> list[str]:
        """The topics that have records in the batch."""
        return sorted({topic for topic, _ in self.received})

    def count(self, topic: str) -> int:
        """Records of a topic in the batch."""
        return sum(n for (name, _), n in self.received.items() if name == topic)

    def records(self, *topics: str) -> "DataFrame":
        """The batch's records of these topics, as they lie in bronze."""
        from pyspark.sql import functions as F

        return self.lake.read(BRONZE).where((F.col("ingest_seq") == self.seq) & F.col("topic").isin(*topics))

    def keep(self, frame: "DataFrame") -> "DataFrame":
        """A frame that several steps read, worked out once; let go at the end of the batch."""
        self.kept.append(frame.persist())
        return self.kept[-1]

    def let_go(self) -> None:
        """Free what was kept."""
        while self.kept:
            self.kept.pop().unpersist()
