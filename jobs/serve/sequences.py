"""Producers' numbers, added up over all batches: which were received, which came again, which are missing.

A number that comes late fills its gap, so what is said is what holds now.
"""

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from jobs.definitions.shown import safe_producer, safe_source
from jobs.lake.ingest.progress import SEQUENCES
from jobs.lake.ledger import Ledger
from jobs.lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    from numpy.typing import NDArray

SEQUENCE = ("producer", "epoch", "received", "refused", "repeated", "lost", "first_seq", "last_seq", "missing")
UNNUMBERED = ("topic", "source", "received")
MOST_GAPS = 100  # told of one epoch; `lost` counts them all
Line = dict[str, Any]


def sequences(settings: Settings) -> list[Line]:
    """A line for each producer and epoch (SEQUENCE).

    `lost` counts the numbers between first and last that no batch received, `missing` has them as [first, last], the
    first hundred gaps; `repeated` counts records under a number that another had before. A producer of refused records
    only is masked: what is broken may hold a person's id anywhere.
    """
    import pyarrow.compute as pc

    told = Ledger(settings).read(SEQUENCES, filter=pc.field("producer_id").is_valid())
    found = told.group_by(["producer_id", "producer_epoch"]).aggregate(
        [("record_count", "sum"), ("refused_count", "sum"), ("first_seq", "list"), ("last_seq", "list")]
    )
    good = good_producers(settings)
    lines = [_line(found.slice(number, 1), good) for number in range(found.num_rows)]
    return sorted(lines, key=lambda line: (line["producer"], line["epoch"]))


def good_producers(settings: Settings) -> set[str]:
    """The producers of at least one record that was not refused: their names may be shown."""
    return set(Ledger(settings).read(SEQUENCES, ["producer_id"], is_good())["producer_id"].unique().to_pylist())


def is_good() -> "pc.Expression":
    """Whether a row of the runs has a producer of whom a record was not refused."""
    import pyarrow.compute as pc

    return pc.field("producer_id").is_valid() & (pc.field("record_count") > pc.field("refused_count"))


def unnumbered(settings: Settings) -> list[Line]:
    """How many records bear no number, by topic and source (UNNUMBERED), as far as it may be shown."""
    import pyarrow.compute as pc

    rows = Ledger(settings).read(SEQUENCES, filter=pc.field("producer_id").is_null()).to_pylist()
    counts = Counter[tuple[str, str | None]]()
    for row in rows:
        counts[row["topic"], safe_source(row["source_uri"])] += row["record_count"]
    return [{"topic": topic, "source": source, "received": n} for (topic, source), n in sorted(counts.items(), key=str)]


def _line(row: "pa.Table", good: set[str]) -> Line:
    """One producer and epoch; ranges of several batches may overlap."""
    (told,) = row.drop_columns(["first_seq_list", "last_seq_list"]).to_pylist()
    firsts, lasts = (np.asarray(row[f"{name}_seq_list"].combine_chunks().flatten()) for name in ("first", "last"))
    first, last, gaps = gaps_between(firsts, lasts)
    lost = sum(end - start + 1 for start, end in gaps)
    records = told["record_count_sum"]
    return {
        "producer": safe_producer(told["producer_id"], good),
        "epoch": told["producer_epoch"],
        "received": records,
        "refused": told["refused_count_sum"],
        "repeated": records - (last - first + 1 - lost),
        "lost": lost,
        "first_seq": first,
        "last_seq": last,
        "missing": gaps[:MOST_GAPS],
    }


def gaps_between(firsts: "NDArray[np.int64]", lasts: "NDArray[np.int64]") -> tuple[int, int, list[list[int]]]:
    """Least and greatest number of ranges (inclusive, in any order), and the runs of numbers that lie in none."""
    order = np.argsort(firsts, kind="stable")
    starts, reach = firsts[order], np.maximum.accumulate(lasts[order])
    is_gap = starts[1:] > reach[:-1] + 1
    gaps = zip((reach[:-1][is_gap] + 1).tolist(), (starts[1:][is_gap] - 1).tolist(), strict=True)
    return int(starts[0]), int(reach[-1]), [list(gap) for gap in gaps]
