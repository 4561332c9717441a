"""What the canaries of the last day tell of each partition, by ops.canaries and the books."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from jobs.lake.ingest.progress import BOOKS, CANARIES
from jobs.lake.ledger import Ledger
from jobs.lake.promises.levels import levels
from jobs.lake.settings import Settings
from jobs.lake.topics import Offsets
from jobs.ops.canaries import Heard, Place, heard
from jobs.ops.promises import LATENCY

REMEMBERED = timedelta(days=1)
PLACE = ["topic", "topic_id", "partition"]


def hear(
    ledger: Ledger, settings: Settings, reached: Offsets, ids: Mapping[str, str], at: datetime
) -> dict[Place, Heard]:
    """By topic, its id and partition; `reached` has the offsets that ingest reads next, `ids` the topics' ids."""
    import pyarrow.compute as pc

    sent = ledger.read(CANARIES, filter=pc.field("canary_sent_at") > at - REMEMBERED).to_pylist()
    if not sent:
        return {}
    columns = [*PLACE, "offset_from", "offset_to", "received", "canary", "recorded_at"]
    lines = ledger.read(BOOKS, columns, pc.field("recorded_at") > at - REMEMBERED)
    canaries = pc.fill_null(lines["canary"], 0)
    newest = lines.filter(pc.greater(lines["received"], canaries)).group_by(PLACE).aggregate([("recorded_at", "max")])
    records = {(row["topic"], row["topic_id"], row["partition"]): row["recorded_at_max"] for row in newest.to_pylist()}
    read_to = {
        (topic, ids.get(topic, ""), part): end for topic, parts in reached.items() for part, end in parts.items()
    }
    booked = lines.filter(pc.greater(canaries, 0)).to_pylist()
    return heard(sent, booked, records, read_to, patience(settings), at)


def patience(settings: Settings) -> dict[str, timedelta]:
    """Topic → the latency that its table of silver promises."""
    promised = (each for each in levels(settings.schemas_dir) if each.property == LATENCY)
    return {each.table.partition(".")[2]: timedelta(seconds=each.level) for each in promised
            if each.table.startswith("silver.")}  # fmt: skip
