"""What came in since the last measuring: the batches that no measuring has counted, so that each counts once."""

from datetime import datetime, timedelta
from typing import Any

from jobs.lake.ingest.progress import BOOKS
from jobs.lake.ledger import Ledger
from jobs.lake.topics import TOPICS
from jobs.ops import rates

RATES = "ops.rates"
LONGEST = timedelta(days=1)
LINE = ["topic", "ingest_seq", *rates.COUNTED]


def measure_rates(ledger: Ledger, at: datetime, run_id: str) -> list[dict[str, Any]]:
    """Rows of ops.rates from the measuring before, if that was within a day, else of the last day."""
    import pyarrow.compute as pc

    seen = ledger.read(RATES, ["measured_at", "counted_seq"], pc.field("measured_at") > at - LONGEST).to_pylist()
    last = max(seen, key=lambda row: row["measured_at"], default=None)
    new = pc.field("ingest_seq") > last["counted_seq"] if last else pc.field("recorded_at") > at - LONGEST
    lines = ledger.read(BOOKS, LINE, new).to_pylist()
    counted = max((line["ingest_seq"] for line in lines), default=last["counted_seq"] if last else -1)
    window = rates.Window(last["measured_at"] if last else at - LONGEST, at, counted)
    return rates.build(lines, TOPICS, window, run_id=run_id)
