"""The family `funnels`: what a run reads and stages. What it means is in `funnel_refresh`."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import reduce
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.checking import read_definitions
from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import BEGINNING
from jobs.lake.backfills.slices import Slice
from jobs.lake.errors import DefinitionError
from jobs.lake.families.backfilled import Backfilled
from jobs.lake.families.funnel_backfill import remade, swap
from jobs.lake.families.funnel_refresh import rebuild, refresh
from jobs.lake.families.funnel_tables import ATTEMPTS, CONVERSIONS, DAILY, OPENINGS, PATHS, Gold, Level, Silver
from jobs.lake.families.funnel_touched import from_the_beginning, touched_users, users_of_days
from jobs.lake.families.inputs import days_again, displaced, pinned
from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

SILVER = ("silver.views", "silver.likes", "silver.orders", "silver.users", "silver.videos")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The tables of the family, one after the other; nothing before the first fact. `done`: what a backfill made."""
    definitions = read_definitions(lake.settings.schemas_dir)
    tables = (ATTEMPTS, OPENINGS, DAILY, CONVERSIONS, PATHS)
    silver, gold = Silver(*pinned(lake, work, SILVER)), Gold(*(lake.read(table) for table in tables))
    extent = extent_of(silver)
    days = {zone: extent.days(zone) for zone in sorted({one.zone for one in definitions})}
    if extent.first is None or not definitions:
        return
    level = Level(work.watermark, work.last_watermark, days, lake.settings.business_zone)
    lost = displaced(lake, work)
    if work.full or work.ingest_seq_from < 0 or lost.of_things or _is_new(definitions, gold):
        yield from rebuild(silver, gold, definitions, level, lake.keep)
    else:
        touched = lake.keep(_touched(lake, work, silver, gold, lost.users, is_mixed=bool(done)))
        if done:
            yield from swap(silver, gold, definitions, touched, level, done, lake.keep)
        else:
            yield from refresh(silver, gold, definitions, touched, level, lake.keep)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """What of the ledger belongs to a slice, all of it, from silver alone."""
    definitions, zone = read_definitions(lake.settings.schemas_dir), lake.settings.business_zone
    yield from remade(Silver(*pinned(lake, work, SILVER)), definitions, one, zone, lake.keep)


@dataclass(frozen=True)
class Extent:
    """Of all facts the first and last instant (epoch µs), None without any."""

    first: int | None
    last: int | None

    def days(self, zone: str) -> tuple[date, ...]:
        """Every local day from the first fact to the last."""
        if self.first is None or self.last is None:
            return ()
        first, last = (
            (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date() for at in (self.first, self.last)
        )
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def extent_of(silver: Silver) -> Extent:
    """In one pass over the three tables."""
    at = F.unix_micros("event_time")
    ends = [facts.agg(F.min(at).alias("first"), F.max(at).alias("last")) for facts in silver.facts]
    (row,) = reduce(DataFrame.unionAll, ends).agg(F.min("first"), F.max("last")).collect()
    return Extent(*row)


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


def _touched(
    lake: Lake, work: Work, silver: Silver, gold: Gold, losers: DataFrame | None, *, is_mixed: bool
) -> DataFrame:
    """Users (unique, `since` their first change) of new rows; and of days asked for by hand, or held back before.

    From the beginning where what is stored cannot tell what was there before: of `losers` (user_id) a fact was taken
    away, which perhaps had another time; where a day is held back it is not as the last run found it; and where the
    rows that are built on are of two times (`is_mixed`: slices of a backfill among them).
    """
    users, days = touched_users(silver, work.ingest_seq_from), days_again(lake, work)
    users = users.unionAll(users_of_days(silver, gold, days)) if days else users
    users = users.unionAll(from_the_beginning(losers)) if losers is not None else users
    is_unsure = is_mixed or bool(owed(Ledger(lake.settings), work.family))
    since = F.min(F.lit(BEGINNING)) if is_unsure else F.min("since")
    return users.groupBy("user_id").agg(since.alias("since"))
