"""What is seen of each table that promises a latency: how new it is, and since when something waits to get in."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.lake.contracts import all_tables, contract
from jobs.lake.holds import owed
from jobs.lake.ingest.progress import BOOKS, TOUCHED
from jobs.lake.ledger import Ledger
from jobs.lake.publications import inputs_of
from jobs.lake.settings import Settings
from jobs.lake.topics import ENTITIES
from jobs.lake.watermark import TABLE as WATERMARKS
from jobs.lake.watermark import watermark
from jobs.lake.work import Pending, pending, reach_of
from jobs.ops.freshness import Seen
from jobs.ops.promises import LATENCY

Rows = Iterable[Mapping[str, Any]]


def seen(ledger: Ledger, settings: Settings, lag: Sequence[Mapping[str, Any]]) -> list[Seen]:
    """Every table that promises a latency: those that ingest writes by their topic, the others by their family.

    Without any lag the broker was silent: whether something waits for a stream is then not known, and so not said.
    """
    promised = [contract(table, settings.schemas_dir) for table in all_tables(settings.schemas_dir)]
    promised = [each for each in promised if LATENCY in each.promises]
    families = {each.family for each in promised if each.family}
    left = {family: pending(ledger, settings, family) for family in sorted(families)}
    waiting = {family: waiting_since(ledger, settings, found) for family, found in left.items()}
    changed = newest_batches(ledger)
    return [
        published(each.name, left[each.family], waiting[each.family])
        if each.family
        else taken_in(ledger, each.name, changed, lag)
        for each in promised
        if each.family or lag
    ]


def taken_in(ledger: Ledger, table: str, changed: Mapping[str, datetime], lag: Rows) -> Seen:
    """A silver table that ingest writes: what waits is what the broker has and the books do not."""
    topic = table.partition(".")[2]
    unread = [row["waiting_since"] for row in lag if row["topic"] == topic and row["waiting_since"]]
    return Seen(
        table,
        newest_event_at=newest(ledger, table, "valid_from" if topic in ENTITIES else "event_time"),
        complete_until=watermark(ledger, [topic]),
        changed_at=changed.get(topic),
        waiting_since=min(unread, default=None),
    )


def published(table: str, left: Pending, since: datetime | None) -> Seen:
    """A table that is published: what waits is what its family has not released."""
    line = left.last.tables.get(table) if left.last else None
    return Seen(
        table,
        left.family,
        complete_until=line.watermark if line else None,
        changed_at=line.known_from if line else None,
        release_id=line.release_id if line else None,
        waiting_since=since,
    )


def waiting_since(ledger: Ledger, settings: Settings, left: Pending) -> datetime | None:
    """When the oldest thing that a family has not released came in, failed its check, or was released by another."""
    if not (left.reasons or left.held or left.is_held):
        return None
    inputs = inputs_of(left.family, settings.schemas_dir)
    moments = [hold.recorded_at for hold in owed(ledger, left.family)]
    if "touched" in left.reasons or "first" in left.reasons:
        moments += booked_at(ledger, TOUCHED, "table", inputs, left.ingest_seq_from)
    if "watermark" in left.reasons:
        spoken = [name.partition(".")[2] for name in inputs]
        moments += booked_at(ledger, WATERMARKS, "topic", spoken, left.ingest_seq_from)
    released = reach_of(ledger, settings, inputs).released_at if "upstream" in left.reasons else None
    return min([*moments, released] if released else moments, default=None)


def booked_at(ledger: Ledger, table: str, column: str, names: Sequence[str], after: int) -> list[datetime]:
    """When rows about `names` were booked, of batches newer than `after`."""
    import pyarrow.compute as pc

    new = (pc.field("ingest_seq") > after) & pc.field(column).isin(list(names))
    moments: list[datetime] = ledger.read(table, ["recorded_at"], new)["recorded_at"].unique().to_pylist()
    return moments


def newest_batches(ledger: Ledger) -> dict[str, datetime]:
    """Topic → when the newest batch was booked in which any of its records was accepted."""
    import pyarrow.compute as pc

    lines = ledger.read(BOOKS, ["topic", "recorded_at"], pc.field("accepted") > 0)
    newest = lines.group_by("topic").aggregate([("recorded_at", "max")]).to_pylist()
    return {row["topic"]: row["recorded_at_max"] for row in newest}


def newest(ledger: Ledger, table: str, column: str) -> datetime | None:
    """The greatest value of a column of instants, by the statistics of its files; a table without files has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not ledger.exists(table):
        return None
    files = pa.table(ledger.open(table).get_add_actions(flatten=True))
    name = f"max.{column}"
    found: datetime | None = pc.max(files[name]).as_py() if name in files.column_names else None
    return found
