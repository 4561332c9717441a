"""Profiles as they were known at labelled times: what a model would have seen then, and nothing that came later."""

from typing import TYPE_CHECKING, Any

from jobs.lake.errors import UsageError
from jobs.lake.identity import PSEUDONYM
from jobs.lake.settings import Settings

if TYPE_CHECKING:
    import pyarrow as pa
    from duckdb import DuckDBPyConnection

HISTORY = "gold.user_profiles_history"
USER, AT = "user_id", "at"
ADDED = ("_user", "_place")  # columns of our own beside the labels', dropped again
# A release's rows share their known_from, so a user has one row of a time unless a release was repeated: the last day.
KNOWN_THEN = """
WITH known AS (
    SELECT * EXCLUDE (profile_hash) FROM gold.user_profiles_history
    WHERE user_id IN (SELECT _user FROM labels)
    QUALIFY row_number() OVER (PARTITION BY user_id, known_from ORDER BY as_of_day DESC) = 1)
SELECT labels.* EXCLUDE (_user, _place), known.* EXCLUDE (user_id)
FROM labels ASOF LEFT JOIN known ON labels._user = known.user_id AND known.known_from <= labels.at
ORDER BY labels._place
"""


def profiles_as_of(labels: Any, *, settings: Settings | None = None) -> "pa.Table":
    """The labels, in their order, each with the profile that was known at its time: the last `known_from` <= `at`.

    Labels are rows (Arrow, DuckDB, Polars, pandas) with `user_id`, raw or a pseudonym, and `at`, an instant; no column
    has the name of one of a profile's. Nulls where nothing was known yet. UsageError for other labels.
    """
    from jobs.serve.asked import lake_settings
    from jobs.serve.duck import connect
    from jobs.serve.tables import published_version

    settings = settings or lake_settings()
    version = published_version(settings, HISTORY, None, None)
    asked = checked(as_arrow(labels), settings)
    return known_then(connect(settings, {HISTORY: version}), asked)


def known_then(connection: "DuckDBPyConnection", labels: "pa.Table") -> "pa.Table":
    """Join `checked` labels to the history that the connection sees."""
    connection.register("labels", labels)
    return connection.execute(KNOWN_THEN).to_arrow_table()


def as_arrow(labels: Any) -> "pa.Table":
    """Labels of any library as Arrow; UsageError for what is no table."""
    import pyarrow as pa

    try:
        return pa.table(labels)
    except (TypeError, ValueError, pa.ArrowInvalid) as wrong:
        what = type(labels).__name__
        raise UsageError(f"labels of type {what} are no table; give Arrow, DuckDB, Polars or pandas rows") from wrong


def checked(labels: "pa.Table", settings: Settings) -> "pa.Table":
    """The labels with the pseudonym of their user and their place; UsageError for what leaves room for doubt."""
    import pyarrow as pa

    _refuse_columns(labels, settings)
    labels = labels.set_column(labels.schema.get_field_index(AT), AT, _microseconds(labels[AT]))
    places = pa.array(range(len(labels)), pa.int64())
    users = pseudonyms(labels[USER].to_pylist(), settings)
    return labels.append_column("_user", pa.array(users, pa.string())).append_column("_place", places)


def _microseconds(times: "pa.ChunkedArray") -> "pa.ChunkedArray":
    """Instants as the history has them, what is finer rounded down; UsageError for one out of reach."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        return pc.floor_temporal(times, unit="microsecond").cast(pa.timestamp("us", "UTC"))
    except pa.ArrowInvalid as far:
        raise UsageError(f"labels: {AT} has an instant out of reach: {far}") from far


def pseudonyms(users: list[str], settings: Settings) -> list[str]:
    """Pseudonyms stay as they are, raw ids become theirs; the key is read only if there are any."""
    from jobs.lake.identity import read_keys

    raw = {user for user in users if not PSEUDONYM.fullmatch(user)}
    keys = read_keys(settings.keys_path) if raw else None
    made = {user: keys.pseudonym(user) for user in raw} if keys else {}
    return [made.get(user, user) for user in users]


def _refuse_columns(labels: "pa.Table", settings: Settings) -> None:
    import pyarrow as pa

    from jobs.lake.contracts import contract

    names = labels.schema.names
    for needed in (USER, AT):
        if names.count(needed) != 1:
            raise UsageError(f"labels have {', '.join(names) or 'no columns'}; they need one {USER} and one {AT}")
        if labels[needed].null_count:
            raise UsageError(f"labels: {labels[needed].null_count} rows have no {needed}; leave them out")
    if not pa.types.is_timestamp(kind := labels.schema.field(AT).type) or kind.tz is None:
        raise UsageError(f"labels: {AT} is {kind}; give instants with a zone, such as UTC timestamps")
    if not _is_text(kind := labels.schema.field(USER).type):
        raise UsageError(f"labels: {USER} is {kind}; give ids as text")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"labels: {twice[0]} is there twice; rename one")
    taken = ({*contract(HISTORY, settings.schemas_dir).names, *ADDED} - {USER}) & set(names)
    if taken:
        raise UsageError(f"labels: {sorted(taken)[0]} is a column of the profiles; rename it")


def _is_text(kind: "pa.DataType") -> bool:
    import pyarrow as pa

    return any(is_(kind) for is_ in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view))
