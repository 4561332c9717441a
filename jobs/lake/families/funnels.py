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
from jobs.lake.families.funnel_touched import touched_users, users_of_days
from jobs.lake.families.inputs import days_again, pinned
from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work, touched_days
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")
SILVER = (*FACTS, "silver.users", "silver.videos")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The tables of the family, one after the other; nothing before the first fact. `done`: what a backfill made."""
    definitions = read_definitions(lake.settings.schemas_dir)
    tables = (ATTEMPTS, OPENINGS, DAILY, CONVERSIONS, PATHS)
    silver, gold = Silver(*pinned(lake, work, SILVER)), Gold(*(lake.read(table) for table in tables))
    extent = extent_of(silver, work.ingest_seq_from, work.ingest_seq_to)
    days = {zone: extent.days(zone) for zone in sorted({one.zone for one in definitions})}
    if extent.first is None or not definitions:
        return
    level = Level(work.watermark, work.last_watermark, days)
    if work.full or work.ingest_seq_from < 0 or _is_new(definitions, gold):
        yield from rebuild(silver, gold, definitions, level, lake.keep)
    elif done:
        touched = lake.keep(_touched(lake, work, silver, gold, is_unsure=True))
        yield from swap(silver, gold, definitions, touched, level, done, lake.keep)
    else:
        touched = lake.keep(_touched(lake, work, silver, gold, is_unsure=_is_unsure(lake, work, extent.new)))
        yield from refresh(silver, gold, definitions, touched, level, lake.keep)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """What of the ledger belongs to a slice, all of it, from silver alone."""
    definitions = read_definitions(lake.settings.schemas_dir)
    yield from remade(Silver(*pinned(lake, work, SILVER)), definitions, one, lake.keep)


@dataclass(frozen=True)
class Extent:
    """Of all facts the first and last instant (epoch µs), None without any, and how many of them are new."""

    first: int | None
    last: int | None
    new: int

    def days(self, zone: str) -> tuple[date, ...]:
        """Every local day from the first fact to the last."""
        if self.first is None or self.last is None:
            return ()
        first, last = (
            (EPOCH + timedelta(microseconds=at)).astimezone(ZoneInfo(zone)).date() for at in (self.first, self.last)
        )
        return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def extent_of(silver: Silver, seq_from: int, seq_to: int) -> Extent:
    """In one pass; new are those of the batches in (seq_from, seq_to]."""
    at, is_new = F.unix_micros("event_time"), (F.col("ingest_seq") > seq_from) & (F.col("ingest_seq") <= seq_to)
    ends = [
        facts.agg(F.min(at).alias("first"), F.max(at).alias("last"), F.count_if(is_new).alias("new"))
        for facts in silver.facts
    ]
    (row,) = reduce(DataFrame.unionAll, ends).agg(F.min("first"), F.max("last"), F.sum("new")).collect()
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


def _touched(lake: Lake, work: Work, silver: Silver, gold: Gold, *, is_unsure: bool) -> DataFrame:
    """Users (unique, `since` their first change) of new rows; and of days asked for by hand, or held back before.

    From the beginning where it is unsure what the rows that are built on tell of the time before.
    """
    users, days = touched_users(silver, work.ingest_seq_from), days_again(lake, work)
    users = users.unionAll(users_of_days(silver, gold, days)) if days else users
    since = F.min(F.lit(BEGINNING)) if is_unsure else F.min("since")
    return users.groupBy("user_id").agg(since.alias("since"))


def _is_unsure(lake: Lake, work: Work, new: int) -> bool:
    """Whether what is stored cannot tell what was there before.

    Because a day is held back (it is not as the last run found it), or an earlier arrival displaced a fact, which
    perhaps had another time. Each displaced fact is booked on the day it left, too, so there the books have more facts
    than the `new` ones in silver.
    """
    ledger = Ledger(lake.settings)
    _, booked = touched_days(ledger, FACTS, work.ingest_seq_from, work.ingest_seq_to)
    return booked > new or bool(owed(ledger, work.family))
