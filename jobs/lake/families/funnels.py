"""The family `funnels`: what a run reads and stages. What it means is in `funnel_refresh`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.checking import read_definitions
from jobs.definitions.funnel.model import Definition
from jobs.lake.errors import DefinitionError
from jobs.lake.families.funnel_refresh import (
    ATTEMPTS,
    CONVERSIONS,
    DAILY,
    OPENINGS,
    PATHS,
    Gold,
    Level,
    Silver,
    rebuild,
    refresh,
    touched_users,
    users_of_days,
)
from jobs.lake.families.inputs import days_again, pinned
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

SILVER = ("silver.views", "silver.likes", "silver.orders", "silver.users", "silver.videos")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stage(lake: Lake, work: Work) -> Iterator[Staged]:
    """The tables of the family, one after the other; nothing before the first fact."""
    definitions = read_definitions(lake.settings.schemas_dir)
    tables = (ATTEMPTS, OPENINGS, DAILY, CONVERSIONS, PATHS)
    silver, gold = Silver(*pinned(lake, work, SILVER)), Gold(*(lake.read(table) for table in tables))
    days = days_of_data(silver, sorted({one.zone for one in definitions}))
    if not days or not definitions:
        return
    level = Level(work.watermark, work.last_watermark, days)
    if work.full or work.ingest_seq_from < 0 or _is_new(definitions, gold):
        yield from rebuild(silver, gold, definitions, level, lake.keep)
    else:
        touched = lake.keep(_touched(lake, work, silver, gold).distinct())
        yield from refresh(silver, gold, definitions, touched, level, lake.keep)


def days_of_data(silver: Silver, zones: Sequence[str]) -> dict[str, tuple[date, ...]]:
    """By zone every local day from the first fact to the last; empty without a fact."""
    ends = [
        facts.agg(F.min(F.unix_micros("event_time")).alias("first"), F.max(F.unix_micros("event_time")).alias("last"))
        for facts in silver.facts
    ]
    row = reduce(DataFrame.unionAll, ends).agg(F.min("first"), F.max("last")).first()
    if row is None or row[0] is None:
        return {}
    return {zone: _days_between(row[0], row[1], zone) for zone in zones}


def _days_between(first_us: int, last_us: int, zone: str) -> tuple[date, ...]:
    first, last = ((EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date() for at in (first_us, last_us))
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def _is_new(definitions: Sequence[Definition], gold: Gold) -> bool:
    """Whether a definition was never built; DefinitionError when one changed and kept its version."""
    seen = gold.conversions.select("funnel", "funnel_version", "definition_hash").distinct().collect()
    hashes = {(row["funnel"], row["funnel_version"]): row["definition_hash"] for row in seen}
    for one in definitions:
        if hashes.get((one.name, one.version), one.fingerprint) != one.fingerprint:
            raise DefinitionError(
                f"funnel {one.name}: version {one.version} was published with another meaning; "
                f"write version: {one.version + 1} in schemas/funnels/{one.name}.yaml"
            )
    return any((one.name, one.version) not in hashes for one in definitions)


def _touched(lake: Lake, work: Work, silver: Silver, gold: Gold) -> DataFrame:
    """Users of new rows; and of days asked for by hand, or held back before and tried again."""
    users = touched_users(silver, work.ingest_seq_from)
    days = days_again(lake, work)
    return users.unionAll(users_of_days(silver, gold, days)) if days else users
