"""The family `funnels`: what a run reads and stages. What it means is in `funnel_refresh`."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from pathlib import Path
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.checking import check_words
from jobs.definitions.funnel.language import read_definition
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
from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
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
    silver, gold = _silver(lake, work), Gold(*(lake.read(table) for table in tables))
    days = days_of_data(silver, sorted({one.zone for one in definitions}))
    if not days or not definitions:
        return
    level = Level(work.watermark, work.last_watermark, days)
    if work.full or work.ingest_seq_from < 0 or _is_new(definitions, gold):
        yield from rebuild(silver, gold, definitions, level, lake.keep)
    else:
        touched = lake.keep(_touched(lake, work, silver, gold).distinct())
        yield from refresh(silver, gold, definitions, touched, level, lake.keep)


def read_definitions(schemas_dir: Path) -> tuple[Definition, ...]:
    """Every definition in schemas/funnels, by name and version; two files may hold two versions of one funnel."""
    found: dict[tuple[str, int], Definition] = {}
    for file in sorted((schemas_dir / "funnels").glob("*.yaml")):
        definition = read_definition(file)
        check_words(definition, str(file), schemas_dir)
        if (definition.name, definition.version) in found:
            raise DefinitionError(
                f"{file}: {definition.name} {definition.version} is in another file too; raise the version"
            )
        found[definition.name, definition.version] = definition
    return tuple(found[key] for key in sorted(found))


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


def _silver(lake: Lake, work: Work) -> Silver:
    """The inputs at the versions the run was planned on; a table not made yet is read as it is: empty."""
    versions = [work.silver_versions.get(table, -1) for table in SILVER]
    pinned = zip(SILVER, versions, strict=True)
    return Silver(*(lake.read(table, version if version >= 0 else None) for table, version in pinned))


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
    by_hand = work.ingest_seq_to == work.ingest_seq_from
    again = {hold.day for hold in owed(Ledger(lake.settings), work.family) if hold.day}
    days = [day for day in work.days if by_hand or day in again]
    return users.unionAll(users_of_days(silver, gold, days)) if days else users
