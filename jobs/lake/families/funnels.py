"""The family `funnels`: what a run reads and stages. What it means is in `funnel_refresh`."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from jobs.definitions.funnel.checking import read_definitions
from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.restarts import BEGINNING
from jobs.gold import funnel_conversions, funnel_daily, funnel_paths
from jobs.lake.backfills.slices import Slice
from jobs.lake.becoming import Becoming
from jobs.lake.errors import DefinitionError
from jobs.lake.extents import Ends
from jobs.lake.families.backfilled import Backfilled
from jobs.lake.families.funnel_backfill import remade, swap
from jobs.lake.families.funnel_refresh import rebuild, refresh
from jobs.lake.families.funnel_sums import first_entry_day
from jobs.lake.families.funnel_tables import (
    ATTEMPTS,
    CONVERSIONS,
    DAILY,
    OPENINGS,
    PATHS,
    Gold,
    Level,
    Silver,
    is_current,
)
from jobs.lake.families.funnel_touched import from_the_beginning, touched_users, users_of_days
from jobs.lake.families.inputs import Displaced, days_again, displaced, emptied, pinned
from jobs.lake.holds import owed
from jobs.lake.ledger import Ledger
from jobs.lake.tables import Lake
from jobs.lake.work import Staged, Work
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FACTS = ("silver.views", "silver.likes", "silver.orders")
SILVER = (*FACTS, "silver.users", "silver.videos")


def stage(lake: Lake, work: Work, done: Sequence[Backfilled] = ()) -> Iterator[Staged]:
    """The tables of the family, one after the other; nothing in them before the first fact, nor after the last.

    `done`: what a backfill made.
    """
    definitions = read_definitions(lake.settings.schemas_dir)
    tables = (ATTEMPTS, OPENINGS, DAILY, CONVERSIONS, PATHS)
    look = lake.nothing if work.is_anew else lake.read
    silver, gold = Silver(*pinned(lake, work, SILVER)), Gold(*(look(table) for table in tables))
    made = (table for table in FACTS if work.silver_versions.get(table, 0) >= 0)
    known = (lake.ends(table, "event_time", work.silver_versions.get(table)) for table in made)
    ends = [each for each in known if each]
    if not ends or not definitions:
        yield from emptied(lake, tables if not ends else ())
        return
    days = {zone: days_of(ends, zone) for zone in sorted({one.zone for one in definitions})}
    level = Level(work.watermark, work.last_watermark, days, lake.settings.business_zone)
    lost = displaced(lake, work)
    is_new = work.full or work.ingest_seq_from < 0 or lost.of_things or _is_new(definitions, Ledger(lake.settings))
    if is_new or (lost.erased and _are_in_old_versions(gold, definitions, lost)):
        lake.expect(work.all_rows)
        gold = _without_erased(gold, lost)
        yield from rebuild(silver, gold, definitions, level, lake.keep)
    else:
        touched = lake.keep(_touched(lake, work, silver, gold, lost.users, is_mixed=bool(done)))
        lake.expect(touched)
        if done:
            yield from swap(silver, gold, definitions, touched, level, done, lake.keep)
        else:
            yield from refresh(silver, gold, definitions, touched, level, lake.keep)


def stage_slice(lake: Lake, work: Work, one: Slice) -> Iterator[Staged]:
    """What of the ledger belongs to a slice, all of it, from silver alone."""
    definitions, zone = read_definitions(lake.settings.schemas_dir), lake.settings.business_zone
    yield from remade(Silver(*pinned(lake, work, SILVER)), definitions, one, zone, lake.keep)


def postings(now: Becoming) -> Iterator[tuple[str, DataFrame]]:
    """Of every day that is staged: the sums beside the ledger they are summed up from.

    By the day of conversion not where a day of entry is held: its attempts, not yet released, are counted there.
    """
    definitions = read_definitions(now.lake.settings.schemas_dir)
    if not definitions:
        return
    of = is_current(definitions)
    if now.is_staged(ATTEMPTS, OPENINGS, DAILY):
        days = now.slices(ATTEMPTS, OPENINGS, DAILY)
        attempts, openings, daily, paths = (now.of(each, of, days) for each in (ATTEMPTS, OPENINGS, DAILY, PATHS))
        for rows in funnel_daily.postings(daily, attempts, openings, definitions):
            yield DAILY, rows
        for rows in funnel_paths.postings(paths, attempts):
            yield PATHS, rows
    if now.is_staged(CONVERSIONS) and not now.manifest.held:
        days, done = now.slices(CONVERSIONS), F.lit(True)
        if days is not None:
            done = F.col("conversion_date").isin(*days)
            of &= F.col("entry_date") >= F.lit(first_entry_day(days, definitions))
        for rows in funnel_conversions.postings(
            now.of(CONVERSIONS, is_current(definitions), days), now.of(ATTEMPTS, of & done), definitions
        ):
            yield CONVERSIONS, rows


def days_of(ends: Sequence[Ends], zone: str) -> tuple[date, ...]:
    """Every local day from the first instant to the last."""
    first = min(first for first, _ in ends).astimezone(ZoneInfo(zone)).date()
    last = max(last for _, last in ends).astimezone(ZoneInfo(zone)).date()
    return tuple(first + timedelta(days=n) for n in range((last - first).days + 1))


def _is_new(definitions: Sequence[Definition], ledger: Ledger) -> bool:
    """Whether a definition was never built; DefinitionError when one changed and kept its version."""
    names = ["funnel", "funnel_version", "definition_hash"]
    seen = ledger.read(CONVERSIONS, names).group_by(names).aggregate([]).to_pylist()
    hashes = {(row["funnel"], row["funnel_version"]): row["definition_hash"] for row in seen}
    for one in definitions:
        if hashes.get(one.key, one.fingerprint) != one.fingerprint:
            raise DefinitionError(
                f"funnel {one.name}: version {one.version} was published with another meaning; "
                f"write version: {one.version + 1} in schemas/funnels/{one.name}.yaml"
            )
    return any(one.key not in hashes for one in definitions)


def _without_erased(gold: Gold, lost: Displaced) -> Gold:
    """What a rebuild keeps of old definitions, less what is of people who were erased."""
    if not lost.erased:
        return gold
    attempts, openings = (rows.where(~lost.is_erased()) for rows in (gold.attempts, gold.openings))
    return replace(gold, attempts=attempts, openings=openings)


def _are_in_old_versions(gold: Gold, definitions: Sequence[Definition], lost: Displaced) -> bool:
    """Whether rows of erased people stand under definitions that are no more, which nothing judges again."""
    theirs = ~is_current(definitions) & lost.is_erased()
    return any(not rows.where(theirs).isEmpty() for rows in (gold.attempts, gold.openings))


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
