"""A year of purchases of very many people: are profiles built and models fitted within the memory that is set?

People buy as the models say they do (BG/NBD, prices gamma-gamma), so it is known what a fit must find. Each purchase is
a product looked at, an order and its payment; one in twenty is refunded. Both families are built from nothing, checked
and released, one step after the other in one process, as a task of its own would be.

Example: .venv/bin/python -m tests.bench.population --users 1000000 --days 365
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import duckdb
import numpy as np
import pyarrow as pa
import typer
from rich.console import Console
from rich.table import Table

from jobs.lake.clock import now
from jobs.lake.ledger import Ledger
from jobs.lake.runner import Runner
from jobs.lake.settings import Settings
from jobs.lake.tables import Lake
from tests.bench.__main__ import keep_orphans, same_cores, workplace
from tests.bench.harness import Contender, measure
from tests.bench.places import own_settings, own_spark
from tests.bench.shop_days import A_MILLION, DAY_US, FIRST_DAY, Shop, take_in

LATEST = "bench/population.json"  # under REELHOUSE_HOME
FAMILIES, STEPS = ("profiles", "scores"), ("build", "check", "release")
TRUE = {"r": 0.8, "alpha": 30.0, "a": 0.7, "b": 2.5}  # days; some three purchases a person and year
PRICES = {"p": 6.0, "q": 4.0, "v": 1500.0}  # fen; thirty yuan on average
NEWCOMERS_UNTIL = 0.75  # of the time; who comes later has no time to come again
SEED = 7

ROWS = f"""
SELECT ['product_view', 'placed', 'paid', 'refunded'][k + 1] AS kind, if(k = 0, 'views', 'orders') AS topic,
       'e' || purchase || '-' || k AS event_id, make_timestamp(at_us)::TIMESTAMPTZ AS event_time,
       (make_timestamp(at_us) + INTERVAL 8 HOUR)::DATE AS event_date, 'k1:' || printf('%032d', person) AS user_id,
       'v' || person % 1000 AS video_id, 'p' || purchase % 500 AS product_id, 0::BIGINT AS watch_ms,
       0::BIGINT AS duration_ms, 'mall' AS scene, 'recommend' AS source, 'o' || purchase AS order_id,
       if(k = 3, price_fen, NULL)::BIGINT AS refund_fen, 0::BIGINT AS freight_fen, price_fen, 'app' AS source_uri,
       FALSE AS is_new, {A_MILLION}::BIGINT AS lateness, FALSE AS is_last
FROM (SELECT *, begun_us + k * 60000000 AS at_us FROM purchases, range(4) AS places(k))
WHERE k < 3 OR purchase % 20 = 0
"""


@dataclass(frozen=True)
class Population(Shop):
    """So many `people` and all they did in so many days; `facts` is how many events that was, once made."""

    people: int = 0

    def make(self) -> None:
        """Write the file."""
        purchases = drawn(self.people, self.days)
        with duckdb.connect() as connection:
            connection.execute(f"SET TimeZone = 'UTC'; SET temp_directory = '{self.file}.tmp'")
            connection.register("purchases", purchases)
            connection.execute(f"COPY ({ROWS}) TO '{self.file}' (FORMAT parquet, COMPRESSION zstd)")


def drawn(people: int, days: int) -> pa.Table:
    """A row per purchase (purchase, person, begun_us, price_fen), drawn from the models."""
    chance = np.random.default_rng(SEED)
    rate = chance.gamma(TRUE["r"], 1 / TRUE["alpha"], people)
    leaves = chance.beta(TRUE["a"], TRUE["b"], people)
    worth = chance.gamma(PRICES["q"], 1 / PRICES["v"], people)
    who, at = np.arange(people), chance.uniform(0, days * NEWCOMERS_UNTIL, people)
    found = []
    while len(who):
        price = chance.gamma(PRICES["p"], 1 / worth[who])
        found.append((who, at, price))
        later = at + chance.exponential(1, len(who)) / np.maximum(rate[who], 1e-12)
        stays = (later < days) & ((len(found) == 1) | (chance.random(len(who)) >= leaves[who]))
        who, at = who[stays], later[stays]
    persons, times, prices = (np.concatenate(parts) for parts in zip(*found, strict=True))
    begin = int(FIRST_DAY.timestamp()) * A_MILLION
    return pa.table(
        {
            "purchase": np.arange(len(persons)),
            "person": persons,
            "begun_us": begin + (times * DAY_US).astype(np.int64),
            "price_fen": np.maximum(1, np.round(prices)).astype(np.int64),
        }
    )


@dataclass(frozen=True)
class Step:
    """What a step took; memory is of this process and all below it, the JVM among them."""

    name: str
    seconds: float
    cpu_seconds: float
    peak_mib: float


def main(
    users: Annotated[int, typer.Option(min=100, help="How many people there are.")] = 1_000_000,
    days: Annotated[int, typer.Option(min=30, help="How long they buy.")] = 365,
) -> None:
    """Build, check and release the profiles and scores of so many people; tell time, memory and the fits."""
    same_cores()
    keep_orphans()
    console = Console()
    with workplace("population") as folder:
        settings = own_settings(folder)
        shop = Population(folder / "population.parquet", 0, days, new_percent=0, people=users)
        shop.make()
        steps = list(worked(settings, shop, console.print))
        fits = Ledger(settings).read("ops.model_fits", ["model", "parameters", "people"]).to_pylist()
    latest = Settings.from_env().home / LATEST
    latest.parent.mkdir(parents=True, exist_ok=True)
    told = {"users": users, "days": days, "heap_mib": settings.spark_memory_mb, "steps": [asdict(s) for s in steps]}
    latest.write_text(json.dumps(told | {"fits": fits}, indent=1, default=str) + "\n", encoding="utf-8")
    console.print(as_table(steps, f"{users:,} people, {days} days, a heap of {settings.spark_memory_mb:,} MiB"))
    for fit in fits:
        console.print(f"{fit['model']} of {fit['people']:,}: {in_words(fit)}", highlight=False, soft_wrap=True)
    console.print(f"as JSON: {latest}", highlight=False, soft_wrap=True)


def worked(settings: Settings, shop: Population, told: Callable[[str], None]) -> Iterator[Step]:
    """All the steps, each told when it is done."""
    with own_spark(settings) as spark:
        take_in(Lake(settings, spark), shop, None, seq=1)
        for family in FAMILIES:
            runner = Runner(settings, family, "population", lambda _: spark)
            for step in STEPS:
                name = f"{family} {step}"
                run = (lambda r=runner: r.build(now(), full=True)) if step == "build" else getattr(runner, step)
                _, figures = measure(Contender(name, run))
                told(f"{name:18} {figures[0]:7.1f} s  {figures[2]:7,.0f} MiB")
                yield Step(name, *(round(figure, 1) for figure in figures))


def in_words(fit: dict[str, Any]) -> str:
    """What was found beside what is true."""
    true = TRUE | PRICES
    return ", ".join(f"{name} {value:.3f} ({true[name]:g})" for name, value in dict(fit["parameters"]).items())


def as_table(steps: list[Step], title: str) -> Table:
    """For the terminal."""
    table = Table(title=title)
    for column in ("step", "s", "CPU s", "peak MiB"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in steps:
        table.add_row(step.name, f"{step.seconds:,.1f}", f"{step.cpu_seconds:,.1f}", f"{step.peak_mib:,.0f}")
    return table


if __name__ == "__main__":
    typer.run(main)
