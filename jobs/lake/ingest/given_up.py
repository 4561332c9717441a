"""Records that bronze has lost for good and silver has rows of: an erasure puts their places back there, empty.

So the books say of them what they say of all that is erased, and a batch done again from bronze finds the same.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping
from operator import itemgetter
from typing import Any

import pyarrow.compute as pc

from jobs.definitions.firsts import PLACE
from jobs.lake.errors import DamageError
from jobs.lake.identity import Keys
from jobs.lake.ingest.progress import BOOKS, BRONZE
from jobs.lake.ledger import Ledger
from jobs.lake.small_commits import InBronze

TIME = "kafka_time"
READ_BY = ("ingest_seq", "topic_id", "partition", "offset_from", "offset_to")
Row = dict[str, Any]


def given_up(ledger: Ledger, keys: Keys, rows: Mapping[str, Collection[Row]]) -> list[Row]:
    """Those of the records that `rows` of silver (by topic; PLACE, TIME, `user_id`) were made of that bronze lacks.

    As bronze is to have them: place, time, batch and the `_mark` of whose they were, and nothing else. DamageError
    where the books do not tell which batch had read one.
    """
    there = _in_bronze(ledger, [row for found in rows.values() for row in found])
    lost = {_place(row): (topic, row) for topic, found in rows.items() for row in found if _place(row) not in there}
    by = _read_by(ledger, lost) if lost else {}
    return [
        {
            "topic": topic,
            **dict(zip(("topic_id", "partition", "offset"), place, strict=True)),
            TIME: row[TIME],
            **dict.fromkeys(("key", "value", "headers")),
            "ingest_seq": by[place],
            "received_date": row[TIME].date(),
            "_mark": keys.known_mark(row["user_id"]),
        }
        for place, (topic, row) in sorted(lost.items())
    ]


def _place(row: Row) -> InBronze:
    topic_id, partition, offset = (row[name] for name in PLACE)
    return topic_id, partition, offset


def _in_bronze(ledger: Ledger, rows: Collection[Row]) -> set[InBronze]:
    """The places of bronze at the offsets and of the days of these rows."""
    if not rows:
        return set()
    days, offsets = ({*found} for found in zip(*((row[TIME].date(), _place(row)[2]) for row in rows), strict=True))
    near = pc.field("received_date").isin(sorted(days)) & pc.field("offset").isin(sorted(offsets))
    told = ledger.read(BRONZE, ["topic_id", "partition", "offset"], near).to_pydict()
    return set(zip(*told.values(), strict=True))


def _read_by(ledger: Ledger, places: Collection[InBronze]) -> dict[InBronze, int]:
    """Place → the batch that had read it."""
    topic_ids = sorted({topic_id for topic_id, *_ in places})
    lines = ledger.read(BOOKS, READ_BY, pc.field("topic_id").isin(topic_ids)).to_pylist()
    found = dict(_matches(lines, places))
    if unread := sorted(set(places) - found.keys()):
        topic_id, partition, offset = unread[0]
        raise DamageError(
            f"{BOOKS}: no line says which batch read offset {offset} of partition {partition} of topic id {topic_id}, "
            "of which silver has a row; nothing was erased. `reelhouse doctor --lake` names a file that is hurt"
        )
    return found


def _matches(lines: Collection[Row], places: Collection[InBronze]) -> Iterator[tuple[InBronze, int]]:
    """Ranges of a partition do not overlap, so of those that begin at or before an offset the last one holds it."""
    by_part: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for line in lines:
        bounds = line["offset_from"], line["offset_to"], line["ingest_seq"]
        by_part.setdefault((line["topic_id"], line["partition"]), []).append(bounds)
    ranges = {part: sorted(found) for part, found in by_part.items()}
    for place in places:
        topic_id, partition, offset = place
        held = ranges.get((topic_id, partition), [])
        at = bisect_right(held, offset, key=itemgetter(0)) - 1
        if at >= 0 and offset < held[at][1]:
            yield place, held[at][2]
