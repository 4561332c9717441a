"""What a reader asked for: refused when there is nothing of the kind, and put into SQL."""

from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from jobs.lake.errors import SliceError, UsageError
from jobs.lake.event_contracts import all_topics
from jobs.lake.scanning import folder_of, is_local
from jobs.lake.settings import Settings

Row = dict[str, Any]


def lake_settings() -> Settings:
    """The settings of who only reads; UsageError where there is no lake: an empty answer would look like one."""
    settings = Settings.from_env()
    place = folder_of(settings.lake_root) if settings.lake_uri else settings.home
    if is_local(settings.lake_root) and not place.exists():
        name = "REELHOUSE_LAKE_URI" if settings.lake_uri else "REELHOUSE_HOME"
        raise UsageError(
            f"there is no lake at {place}; name the place of one by {name}, or make one: `make demo` with a made shop, "
            "`reelhouse ingest` with what your topics hold"
        )
    return settings


def refuse_unknown(word: Any, known: Collection[Any], what: str) -> None:
    """UsageError that lists what there is, unless the word is among it."""
    if word not in known:
        told = ", ".join(str(one) for one in sorted(known)) or "none yet: run `reelhouse build funnels` first"
        raise UsageError(f"no {what} {word!r} is published; there are {told}")


def check_topic(settings: Settings, topic: str) -> None:
    """UsageError unless the topic is empty or has a contract."""
    known = all_topics(settings.schemas_dir)
    if topic and topic not in known:
        raise UsageError(f"no topic {topic!r}; there are {', '.join(known)}")


def day_of(text: str) -> date:
    """The day of an option; SliceError for another text."""
    try:
        return date.fromisoformat(text)
    except ValueError as bad:
        raise SliceError(f"{text!r} is no day; write one such as 2026-11-22") from bad


def refuse_swapped(first: str, last: str) -> None:
    """UsageError for days of which the first comes after the last; an empty text sets no bound."""
    if first and last and day_of(first) > day_of(last):
        raise UsageError(f"--from {first} comes after --to {last}; swap them")


def entered(first: str, last: str) -> list[str]:
    """SQL conditions for entry days from `first` to `last`; an empty text sets no bound."""
    bounds = ((">=", first), ("<=", last))
    return [f"entry_date {sign} DATE '{day_of(text)}'" for sign, text in bounds if text]


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def rows_of(settings: Settings, table: str, query: str, as_of: datetime | None = None) -> list[Row]:
    """The rows of a query over one table, as it is published, or was at `as_of`."""
    from jobs.serve.query import answer
    from jobs.serve.tables import published_version

    version = published_version(settings, table, None, None, as_of)
    rows: list[Row] = answer(settings, query, {table: version}).to_pylist()
    return rows
