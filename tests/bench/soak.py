"""A long run of one ingest that goes on for ever: is it as quick and as small at the end as it was at the beginning?

It tidies its tables between batches, as `reelhouse ingest --continuous` does. Files are those of the newest versions,
which everybody opens; what was compacted lies on disk until nobody can still need it. Exit code 1 when it is not flat.

Example: make soak MINUTES=30 RATE=2000
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import psutil
import typer
from rich.console import Console
from rich.table import Table

from jobs.lake.clock import now
from jobs.lake.engine_process import ENGINE, held_by
from jobs.lake.identity import ensure_key_file
from jobs.lake.ingest.steps import Done
from jobs.lake.services.kafka import Kafka
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS
from jobs.upkeep.between import Between
from tests.bench.__main__ import keep_orphans, same_cores, workplace
from tests.bench.freshness import Place, going_on
from tests.bench.harness import MEBIBYTE, tree
from tests.bench.places import own_services, own_settings, own_spark
from tests.bench.shop_stream import Commits, make_facts, send_steadily, stay_in

LATEST = "bench/soak.json"  # under REELHOUSE_HOME
ENDS = 5  # the beginning is the second fifth, for in the first all warm up; the end is the last
FLAT = 1.2  # times the beginning: what hazard S5 promises of many small batches, asked of memory and files as well
WIDTH = 100
POOL = "ARROW_DEFAULT_MEMORY_POOL"
LOG_KEPT = timedelta(minutes=5)  # half an hour shall show what comes of logs in days; the product keeps two hours


@dataclass(frozen=True)
class Look:
    """What was seen when a batch had ended: seconds since the one before, its records, memory, and files in all.

    `logged` counts the files of the tables' logs; memory is of all processes, of ingest's alone, and of its engine's.
    """

    at: float
    seconds: float
    records: int
    resident_mib: float
    files: int
    logged: int = 0
    own_mib: float = 0.0
    engine_mib: float = 0.0

    @property
    def per_thousand(self) -> float:
        """Seconds a thousand records."""
        return self.seconds / max(1, self.records) * 1000


FIGURES: dict[str, Callable[[Look], float]] = {
    "s a thousand records": lambda look: look.per_thousand,
    "resident MiB": lambda look: look.resident_mib,
    "ingest's MiB": lambda look: look.own_mib,
    "files, median": lambda look: look.files,
    "files of logs": lambda look: look.logged,
}
# Told and not judged: a batch holds what came during the one before, and the engine grows until it is ended on purpose.
TOLD: dict[str, Callable[[Look], float]] = {
    "batch s": lambda look: look.seconds,
    "its engine's MiB": lambda look: look.engine_mib,
}


def main(
    minutes: Annotated[float, typer.Option(min=0.1, help="How long events are sent.")] = 30.0,
    rate: Annotated[int, typer.Option(min=1, help="Events a second.")] = 2_000,
) -> None:
    """Send facts at a steady rate into one ingest; tell memory, files and batch time, beginning and end."""
    same_cores()
    keep_orphans()
    console, seconds = Console(width=WIDTH), int(minutes * 60)
    with workplace("soak") as folder, place_in(folder, rate, seconds) as place:
        tables, seen = [folder / "lake" / "silver" / topic for topic in FACTS], Commits()

        def told(look: Look) -> None:
            console.print(line(look), highlight=False)
            for table in tables:
                seen.of(table)

        looks = soaked(place, rate, told)
        slow = stay_in(tables, seen).latency(95)
    latest = Settings.from_env().home / LATEST
    latest.parent.mkdir(parents=True, exist_ok=True)
    latest.write_text(json.dumps([asdict(look) for look in looks], indent=1) + "\n", encoding="utf-8")
    console.print(as_table(looks, f"{minutes:g} minutes at {rate:,} events a second; 95 % queryable in {slow:.1f} s"))
    console.print(f"every batch as JSON: {latest}", highlight=False, soft_wrap=True)
    if grown := growing(looks):
        console.print(f"not flat: {', '.join(grown)}", highlight=False)
        raise typer.Exit(1)


@contextmanager
def place_in(folder: Path, rate: int, seconds: int) -> Iterator[Place]:
    """A broker, Spark, and the facts to send."""
    settings = own_settings(folder)
    make_facts(settings, folder / "facts.parquet", rate * seconds)
    with own_services(Kafka(settings)), own_spark(settings) as spark:
        ensure_key_file(settings.keys_path)
        mine = {"key_file": settings.keys_path, "lake_uri": str(folder / "lake")}
        yield Place(spark, settings.model_copy(update=mine), folder, seconds)


def soaked(place: Place, rate: int, told: Callable[[Look], None]) -> list[Look]:
    """A look at the end of each batch; once everything is sent the batch begun is the last."""
    looks: list[Look] = []
    began, lake = time.monotonic(), Path(place.settings.lake_uri)

    def look(done: Done) -> None:
        at = time.monotonic() - began
        seconds = at - (looks[-1].at if looks else 0.0)
        own, engine = (held_by(pid) / MEBIBYTE for pid in (os.getpid(), ENGINE.process.pid if ENGINE.process else 0))
        looks.append(Look(at, seconds, records_in(done), resident_mib(), files_in(lake), logged_in(lake), own, engine))
        told(looks[-1])

    ingest = place.ingest(place.settings)
    ingest.between = Between(place.settings, "soak", now, lambda words: None, LOG_KEPT)
    with going_on(ingest, look):
        send_steadily(place.settings, place.folder / "facts.parquet", rate, rate * place.seconds)
    return looks


def records_in(done: Done) -> int:
    """What a batch received."""
    return sum(int(book["received"]) for book in done.books)


def resident_mib() -> float:
    """Memory of this process and all below it: JVM, Python workers, broker, sender."""
    total = 0.0
    for process in tree():
        with suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total / MEBIBYTE


def files_in(lake: Path) -> int:
    """Files of the newest versions of all tables."""
    from deltalake import DeltaTable

    return sum(len(DeltaTable(log.parent).file_uris()) for log in lake.glob("*/*/_delta_log"))


def logged_in(lake: Path) -> int:
    """Files of the logs of all tables, which is what a batch lists again and again."""
    return sum(1 for _ in lake.glob("*/*/_delta_log/*"))


def line(look: Look) -> str:
    """One batch for the terminal."""
    return (
        f"{look.at:7.0f} s  {look.records:8,} records in {look.seconds:6.1f} s  {look.resident_mib:7,.0f} MiB "
        f"({look.own_mib:,.0f} + {look.engine_mib:,.0f})  "
        f"{look.files:6,} files, {look.logged:6,} of logs"
    )


def ends(looks: Sequence[Look]) -> tuple[Sequence[Look], Sequence[Look]]:
    """The batches of the beginning and those of the end."""
    fifth = max(1, len(looks) // ENDS)
    return looks[fifth : 2 * fifth] or looks[:1], looks[-fifth:]


def medians(looks: Sequence[Look], figure: Callable[[Look], float]) -> tuple[float, float]:
    """A figure at the beginning and at the end."""
    begin, end = (statistics.median(figure(look) for look in some) for some in ends(looks))
    return begin, end


def growing(looks: Sequence[Look]) -> list[str]:
    """The figures that are more at the end than they may be."""
    found = {name: medians(looks, figure) for name, figure in FIGURES.items()}
    return [name for name, (begin, end) in found.items() if end > FLAT * begin]


def as_table(looks: Sequence[Look], title: str) -> Table:
    """Beginning and end beside each other, and whether that is flat."""
    table = Table(title=title, caption=f"{len(looks)} batches; flat: at the end at most {FLAT} × the beginning")
    for column in ("", "beginning", "end", ""):
        table.add_column(column, justify="right" if column else "left")
    grown = growing(looks)
    for name, figure in (FIGURES | TOLD).items():
        verdict = "" if name in TOLD else "grows" if name in grown else "flat"
        table.add_row(name, *(f"{median:,.1f}" for median in medians(looks, figure)), verdict)
    table.add_row("files", *(f"{some[-1].files:,}" for some in ends(looks)), "at the last batch of each")
    return table


if __name__ == "__main__":
    if POOL not in os.environ:  # as `reelhouse ingest --continuous` has it; settled when Arrow is loaded
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name, *sys.argv[1:]], os.environ | {POOL: "system"})
    typer.run(main)
