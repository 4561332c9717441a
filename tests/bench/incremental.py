"""B5: funnels after a small batch, beside a full rebuild: 1 % new on the newest of 30 days, 0, 1 or 5 % of it late.

A small run is `reelhouse build`; check and release are timed apart. The answer compared is the digest of every table
of the family once it is released: after any small run the same as after a full rebuild.
"""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from os import link
from pathlib import Path

from pyspark.sql import SparkSession

from jobs.lake.digest import digest_of
from jobs.lake.publications import families
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.bench.harness import Contender, DifferError
from tests.bench.incremental_peers import PEERS, check_peer, write_new_facts
from tests.bench.places import Shelf, jvm_of, own_settings, own_spark, slug
from tests.bench.shop_days import NEW_PERCENT, TOLD_AT, Shop, take_in

FACTS, DAYS, OTHER_DAYS = 3_500_000, 30, (10, 60)  # a full rebuild takes a minute
LATE, MUST = (0, 1, 5), (0, 1)  # per cent; those the aim speaks of
FULL, STEPS, ONE = "our own full rebuild", "of it: build, check, release; 1 % late", "of it: a batch of one purchase"
LIMIT, PEER = "the new facts, read and written", "DuckDB full rebuild"
AIM = "at least 10 × as fast as our own full rebuild at 1 % new, 0 or 1 % of it late; flat as history grows"
SKIPPED = ("gold.user_profiles_history",)  # tells when each value became known, so it differs by design
FLAT = 1.5  # times as long after 60 days as after 10 is no growth with history, which is 6 times as long


def small_run(late: int) -> str:
    """The name of the small run with such a share of late events."""
    return f"ours: a small run, {late} % late"


def after(days: int) -> str:
    """The name of the small run after so long a history."""
    return f"the same after {days} days, 1 % late"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its two aims; growth is told where other histories raced, too."""
    faster = {late: medians[FULL] / medians[small_run(late)] for late in LATE if small_run(late) in medians}
    told = [
        "as fast as a full rebuild " + ", ".join(f"{times:.1f} × at {late} % late" for late, times in faster.items())
    ]
    is_met = all(times >= 10 for late, times in faster.items() if late in MUST)
    few, many = (after(days) for days in OTHER_DAYS)
    if few in medians:
        growth = medians[many] / medians[few]
        is_met &= growth <= FLAT
        told.append(f"after 60 days {growth:.2f} × the time after 10")
    fixed = medians[ONE]  # touches every table, and next to no rows
    beyond = (medians[FULL] - fixed) / max(medians[small_run(1)] - fixed, 0.01)
    told.append(f"one purchase alone takes {fixed / medians[small_run(1)]:.2f} × the time of a small run")
    told.append(f"beyond that fixed cost a small run is {beyond:.1f} × as fast")
    told.append(f"a full rebuild {medians[FULL] / medians[PEER]:.1f} × DuckDB's")
    return f"{'Met' if is_met else 'Missed'}: {'; '.join(told)}."


@dataclass(frozen=True)
class Place:
    """Where a family is raced: Spark, settings and a folder; how much of the newest day is new."""

    spark: SparkSession
    settings: Settings
    folder: Path
    family: str
    new_percent: int

    def lake(self, path: Path) -> Lake:
        """The lake that lies there."""
        return Lake(self.settings.model_copy(update={"lake_uri": str(path)}), self.spark)

    def runner(self, path: Path) -> Runner:
        """A new run of the family on the lake that lies there."""
        return Runner(self.lake(path).settings, self.family, "bench", lambda _: self.spark)

    def template(self, name: str, shop: Shop, late_percent: int | None) -> Path:
        """A lake that has released all that came in long ago, and has just taken in the small batch."""
        path = self.folder / "templates" / name
        take_in(self.lake(path), shop, late_percent, seq=1)
        release(self.runner(path), full=True)
        take_in(self.lake(path), shop, late_percent, seq=2)
        return path

    def digests(self, path: Path) -> tuple[str, ...]:
        """The digest of each table of the family."""
        lake = self.lake(path)
        tables = families(lake.settings.schemas_dir)[self.family]
        return tuple(digest_of(lake, table) for table in sorted(tables) if table not in SKIPPED)


@contextmanager
def arena(
    folder: Path, scale: float, family: str = "funnels", new_percent: int = NEW_PERCENT
) -> Iterator[tuple[str, list[Contender]]]:
    """Lakes that wait for a small run, and the ways to bring the family up to date; below full size the main ones."""
    settings = own_settings(folder)
    late, other_days = (LATE, OTHER_DAYS) if scale >= 1 else ((1,), ())
    with own_spark(settings) as spark:
        place = Place(spark, settings, folder, family, new_percent)
        found = contenders(place, scale, late, other_days)
        yield f"incremental: {family}, {int(FACTS * scale):,} facts of {DAYS} days", found


def contenders(place: Place, scale: float, shares: tuple[int, ...], other_days: tuple[int, ...]) -> list[Contender]:
    """Ours in every kind, the limit and the peer; the same number of facts a day whatever the days."""
    shop = made(place, scale, DAYS)
    ready = {late: place.template(f"late-{late}", shop, late) for late in shares}
    alone = place.template("alone", shop, None)
    threads = place.settings.spark_cores
    outside = partial(Contender, aside=lambda: jvm_of(place.spark))
    shelf = Shelf(place.folder / "peer")
    expected = place.folder / "expected"
    copy(ready[1], expected)
    release(place.runner(expected), full=True)
    return [
        outside(LIMIT, lambda: write_new_facts(shop.file, shelf.path, threads), "limit", f"DuckDB, {threads} threads",
                before=shelf.renew),
        outside(PEER, lambda: PEERS[place.family][0](shop.file, shelf.path, threads),
                note=f"one table of the family, some of its columns; {threads} threads", before=shelf.renew,
                answer=lambda: check_peer(place.family, shelf.path, place.lake(expected))),
        run_of(place, FULL, ready[1], role="peer", note="build --full", full=True),
        *[run_of(place, small_run(late), ready[late], role="ours", note="build") for late in shares],
        run_of(place, ONE, alone, role="part", note="what every run costs"),
        *more_runs(place, scale, ready[1], other_days),
    ]  # fmt: skip


def more_runs(place: Place, scale: float, ready: Path, other_days: tuple[int, ...]) -> list[Contender]:
    """What only a race at full size has: the steps after the build, and other histories."""
    if not other_days:
        return []
    others = {days: place.template(f"{days}-days", made(place, scale, days), 1) for days in other_days}
    return [
        run_of(place, STEPS, ready, role="part", note="checked by Great Expectations", steps=True),
        *[
            run_of(place, after(days), there, role="part", note="as many facts a day", is_other=True)
            for days, there in others.items()
        ],
    ]


def made(place: Place, scale: float, days: int) -> Shop:
    """A shop of so many days, as busy as every other."""
    facts = int(FACTS * scale) * days // DAYS
    shop = Shop(place.folder / f"{days}-days.parquet", facts, days, place.new_percent)
    shop.make()
    return shop


def run_of(
    place: Place, name: str, template: Path, *, role: str, note: str, full: bool = False, steps: bool = False,
    is_other: bool = False,
) -> Contender:  # fmt: skip
    """A run on a copy of the template. Its answer: the digests; of another history only that they are right.

    Asked once, in the warm-up: to check, release and read back takes as long as the run, and each run does the same.
    """
    shelf = Shelf(place.folder / slug(name))
    known: dict[str, tuple[str, ...]] = {}

    def prepare() -> None:
        shelf.renew()
        copy(template, shelf.path)

    def run() -> None:
        if steps:
            release(place.runner(shelf.path), full=full)
        else:
            place.runner(shelf.path).build(TOLD_AT, full=full)

    def answer() -> tuple[str, ...] | None:
        if known:
            return None
        finish(place.runner(shelf.path))
        known["found"] = found = place.digests(shelf.path)
        if not is_other:
            return found
        expected = fully(place, template, shelf)
        if found != expected:
            raise DifferError(f"{name}: {found}, not {expected}")
        return None

    return Contender(name, run, role, note, before=prepare, answer=answer)


def fully(place: Place, template: Path, shelf: Shelf) -> tuple[str, ...]:
    """What a full rebuild makes of a template."""
    shelf.renew()
    copy(template, shelf.path)
    release(place.runner(shelf.path), full=True)
    return place.digests(shelf.path)


def release(runner: Runner, *, full: bool) -> None:
    """All three steps."""
    runner.build(TOLD_AT, full=full)
    finish(runner)


def finish(runner: Runner) -> None:
    """Check and release what is staged; done before, it only says so."""
    runner.check()
    runner.release()


def copy(template: Path, to: Path) -> None:
    """A lake of its own; its files are the same ones."""
    shutil.copytree(template, to, copy_function=link, dirs_exist_ok=True)
