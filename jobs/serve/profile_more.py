"""What other tables add to a person's profile, once published: the last visits, what is expected, and the devices."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich import box
from rich.table import Table
from rich.text import Text

from jobs.lake.ledger import Ledger
from jobs.lake.publications import published
from jobs.lake.settings import Settings
from jobs.serve.tables import published_at

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

Row = dict[str, Any]
EDGES = "silver.identity_edges"
USED = "SELECT * EXCLUDE (user_id) FROM silver.identity_edges WHERE user_id = $user ORDER BY first_seen_at, device_id"
SHOWN, SHORT = 5, 8  # devices by name, digits of a name
ASKED = {
    "devices": (EDGES, USED),
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
    """`devices`, `sessions` (the last three, newest first) and `scores` (one row or none): empty where not `there`."""
    return {
        name: connection.execute(query, {"user": pseudonym}).to_arrow_table().to_pylist() if table in there else []
        for name, (table, query) in ASKED.items()
    }


def devices_then(settings: Settings, pseudonym: str, as_of: datetime) -> list[Row] | None:
    """The devices as published at `as_of`, none before the first release; None when upkeep removed the files since."""
    import duckdb

    from jobs.serve.duck import connect

    line = published_at(Ledger(settings), as_of).get(EDGES)
    if line is None:
        return []
    try:
        found = connect(settings, {EDGES: line.version}).execute(USED, {"user": pseudonym})
        rows: list[Row] = found.to_arrow_table().to_pylist()
    except duckdb.IOException:  # the history outlives the files of old releases, and still answers
        return None
    return rows


def devices(used: Sequence[Mapping[str, Any]] | None) -> Text:
    """The devices that tie the person's anonymous acts, and since when; and those that are shared and tie nothing."""
    if used is None:
        return Text("devices of then: not kept so long")
    tied = [f"{_short(one)} since {one['first_seen_at']:%Y-%m-%d}" for one in used if not one["is_shared"]]
    shared = [f"{_short(one)} by {one['device_user_count']} users" for one in used if one["is_shared"]]
    words = [f"{len(tied)} {_plural('device', tied)} tied: {_first(tied)}"] if tied else []
    return Text("\n".join([*words, f"{len(shared)} shared, tying nothing: {_first(shared)}"] if shared else words))


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


def _short(device: Mapping[str, Any]) -> str:
    """A pseudonym a person can tell from the next: the key's id and the first digits."""
    key, digits = device["device_id"].split(":")
    return f"{key}:{digits[:SHORT]}…"


def _first(names: Sequence[str]) -> str:
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*names[:SHOWN], *more])


def _plural(word: str, of: Sequence[str]) -> str:
    return word if len(of) == 1 else f"{word}s"
