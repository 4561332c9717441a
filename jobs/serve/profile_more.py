"""What other families add to a person's profile, once they are published: the last visits, and what is expected."""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from jobs.lake.ledger import Ledger
from jobs.lake.publications import published
from jobs.lake.settings import Settings

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
ASKED = {
    "sessions": (
        "silver.sessions",
        "SELECT * EXCLUDE (user_id) FROM silver.sessions WHERE user_id = $user ORDER BY started_at DESC LIMIT 3",
    ),
    "scores": (
        "gold.user_scores",
        "SELECT * EXCLUDE (user_id, consent) FROM gold.user_scores WHERE user_id = $user",
    ),
}


def versions_of_more(settings: Settings) -> dict[str, int]:
    """The tables that `more` asks and that are published → their published versions."""
    lines = published(Ledger(settings))
    return {table: lines[table].version for table, _ in ASKED.values() if table in lines}


def more(connection: "DuckDBPyConnection", there: Collection[str], pseudonym: str) -> Row:
    """`sessions`, the last three, newest first, and `scores`, one row or none: empty where not `there`."""
    return {
        name: connection.execute(query, {"user": pseudonym}).to_arrow_table().to_pylist() if table in there else []
        for name, (table, query) in ASKED.items()
    }


def visits(sessions: Sequence[Mapping[str, Any]]) -> Table:
    """The last visits, a line each."""
    table = Table("last visits (UTC)", "minutes", "came in by", "acts", "watched", box=box.SIMPLE, pad_edge=False)
    for one in sessions:
        seconds = (one["ended_at"] - one["started_at"]).total_seconds()
        way = " · ".join(word for word in (one["entry_kind"], one["entry_scene"], one["entry_source"]) if word)
        watched = f"{one['watch_ms'] // 60_000}:{one['watch_ms'] // 1000 % 60:02d}"
        table.add_row(
            f"{one['started_at']:%Y-%m-%d %H:%M}", f"{seconds / 60:.0f}", way, str(one["event_count"]), watched
        )
    return table


def outlook(scores: Mapping[str, Any]) -> Text:
    """Where a buyer stands, and what is expected of them; nothing without consent or a fit."""
    words = []
    if scores["value_tier"]:
        fifths = "".join(str(scores[f"{name}_score"]) for name in ("recency", "frequency", "monetary"))
        words.append(f"value {scores['value_tier']} (RFM {fifths})")
    if scores["alive_ppm"] is not None:
        words.append(f"still with us at {scores['alive_ppm'] / 10_000:.0f} %")
        words.append(f"{scores['expected_purchases_90d_ppm'] / 1_000_000:.2f} purchases expected in 90 days")
    if scores["expected_value_90d_fen"] is not None:
        words.append(f"worth ¥{scores['expected_value_90d_fen'] // 100:,}.{scores['expected_value_90d_fen'] % 100:02d}")
    return Text(" · ".join(words))
