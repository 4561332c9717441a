"""`make bench`: run the benchmarks at a small size, or one at the table's size with ONLY=B4 SCALE=1."""

import ctypes
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from importlib import import_module, metadata
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from jobs.lake.settings import Settings
from tests.bench.harness import DifferError, Outcome, race

ROOT = Path(__file__).resolve().parents[2]
LATEST = "bench/results.json"  # of every run, under REELHOUSE_HOME
RESULTS = ROOT / "docs" / "benchmarks.json"  # with SAVE=1
PAGE = ROOT / "docs" / "benchmarks.md"
MODULES = {  # benchmark → module with an arena
    "B1": "bronze", "B2": "silver", "B3": "dedup", "B4": "funnels", "B4-8": "funnels_of_eight",
    "B4-held": "funnels_held", "B5": "incremental", "B5-profiles": "incremental_profiles", "B6": "lookup",
    "B7": "freshness", "B8": "catch_up", "B12": "start",
}  # fmt: skip
ALONE = {"B5-profiles"}  # raced only when named: as long as B5
WIDTH = 120
RACING = (
    "pyspark", "pysail", "delta-spark", "deltalake", "duckdb", "polars", "chdb", "kafka-python", "orjson", "numba",
)  # fmt: skip
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
COLUMNS = {
    "contender": "left", "role": "left", "wall s": "right", "least–most": "right", "CPU s": "right",
    "peak MiB": "right", "ours ÷ it": "right",
}  # fmt: skip
HEAD = """
# Benchmarks

Made by `make bench SAVE=1` (`ONLY=B4 SCALE=1` for one at full size). Each figure is a median of the repetitions of one
run on one machine: order rotated, warm-up apart, answers compared before time counted. Everybody has the same cores.
CPU and memory are of the contender's processes and all below them, the broker and the server among them; the JVM of
others is left out. A JVM that several share keeps the memory it once took, and pages that two processes share count
twice. `ours ÷ it` below 1 means ours is faster. All figures: `benchmarks.json`.

What B7 times is the way of a record, from the broker's clock to the commit that makes it queryable: its `wall s` is the
95th percentile of that. A benchmark without a part below has no figures yet. Whether ingest stays as small and as quick
in a long run tells `make soak MINUTES=30 RATE=2000`; what a million people and a year of
their purchases take tells `.venv/bin/python -m tests.bench.population`.
"""


def main(
    only: Annotated[str, typer.Option(help="One benchmark, such as B4.")] = os.environ.get("ONLY", ""),
    scale: Annotated[float, typer.Option(help="1 is the size of the table in docs/benchmarks.md.")] = float(
        os.environ.get("SCALE", "0.1")
    ),
    repeats: Annotated[int, typer.Option(min=3, help="Counted runs after the warm-up.")] = 3,
    warm_ups: Annotated[int, typer.Option(min=1, help="Runs that do not count.")] = int(
        os.environ.get("WARM_UPS", "1")
    ),
    save: Annotated[bool, typer.Option(help="Add the result to docs/benchmarks.json and rewrite the page.")] = False,
) -> None:
    """Race ours against peers; answers are compared before time counts, and losses are told."""
    if only and only not in MODULES:
        raise typer.BadParameter(f"{only} is no benchmark here; there are {', '.join(MODULES)}")
    same_cores()
    keep_orphans()
    if only:
        run_one(only, scale, repeats, warm_ups, save=save)
        return
    named = [name for name in MODULES if name not in ALONE]
    if not all([in_its_own_process(name, scale, repeats, warm_ups, save=save) for name in named]):  # noqa: C419 run them all
        raise typer.Exit(1)


def same_cores() -> None:
    """Hold this process and all it starts to the cores that Spark gets, peers included."""
    cores = Settings.from_env().spark_cores
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])


def keep_orphans() -> None:
    """Become the parent of processes whose own parent ended first, as a task's JVM does, so that they are counted."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def in_its_own_process(name: str, scale: float, repeats: int, warm_ups: int, *, save: bool) -> bool:
    """Run one benchmark so that no JVM, cache or memory of it outlives it; whether it ended well."""
    words = [sys.executable, "-m", "tests.bench", "--only", name, "--scale", str(scale), "--repeats", str(repeats)]
    words += ["--warm-ups", str(warm_ups), *["--save"] * save]
    return subprocess.run(words, cwd=ROOT, check=False).returncode == 0


def run_one(name: str, scale: float, repeats: int, warm_ups: int, *, save: bool) -> None:
    """Race, show, keep; answers that differ end it with exit code 1 and no figures."""
    console = Console(width=WIDTH)
    console.rule(f"{name} at scale {scale:g}")
    load = os.getloadavg()[0]
    module = import_module(f"tests.bench.{MODULES[name]}")
    try:
        with workplace(name) as folder, module.arena(folder, scale) as (title, contenders):
            outcomes = race(contenders, repeats=repeats, console=console, warm_ups=warm_ups)
    except DifferError as differing:
        console.print(f"[red]{name}: the answers differ, so no time counts[/]: {differing}")
        raise typer.Exit(1) from differing
    result = as_result(name, title, scale, repeats, module, outcomes) | {
        "warm_ups": warm_ups,
        "load_before": round(load, 1),
    }
    console.print(as_table(result))
    latest = Settings.from_env().home / LATEST
    put(latest, result)
    console.print(f"as JSON: {latest}", highlight=False, soft_wrap=True)
    if save:
        PAGE.write_text(as_page(put(RESULTS, result)), encoding="utf-8")


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """A folder for all that a benchmark writes, gone afterwards; TMPDIR says on which disk."""
    with tempfile.TemporaryDirectory(prefix=f"reelhouse-{name}-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def as_result(
    name: str, title: str, scale: float, repeats: int, module: Any, outcomes: list[Outcome]
) -> dict[str, Any]:
    """The JSON of one benchmark; every ratio is ours ÷ that contender."""
    ours = min((o.median for o in outcomes if o.role == "ours"), default=float("nan"))
    return {
        "id": name,
        "title": title,
        "scale": scale,
        "repeats": repeats,
        "measured_on": datetime.now(tz=UTC).date().isoformat(),
        "versions": versions(),
        "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total // 2**30} GiB, {platform.system()}",
        "aim": module.AIM,
        "verdict": module.verdict({o.name: o.median for o in outcomes}),
        "rows": [outcome.as_row(ours) for outcome in outcomes],
    }


def versions() -> dict[str, str]:
    """Of the libraries that race, those that are here."""
    found = {}
    for name in RACING:
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def as_table(result: dict[str, Any]) -> Table:
    """For the terminal."""
    table = Table(title=f"{result['id']} {result['title']}", caption=f"aim: {result['aim']}\n{result['verdict']}")
    for column, justify in COLUMNS.items():
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in result["rows"]:
        table.add_row(*cells(row))
    return table


def cells(row: dict[str, Any]) -> list[str]:
    """A row for people, in the order of COLUMNS."""
    low, high = row["wall_spread"]
    figures = (row["cpu_seconds"], row["peak_mib"], row["ours_ratio"])
    return [row["name"], row["role"], f"{row['wall_seconds']:.2f}", f"{low:.2f}–{high:.2f}", *map(str, figures)]


def put(path: Path, result: dict[str, Any]) -> list[dict[str, Any]]:
    """Put the result in place of the one of the same id and scale; all results, those of other runs among them."""
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    same = (result["id"], result["scale"])
    kept = sorted(
        [entry for entry in known if (entry["id"], entry["scale"]) != same] + [result],
        key=lambda entry: (list(MODULES).index(entry["id"]), entry["scale"]),
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return kept


def as_page(results: list[dict[str, Any]]) -> str:
    """The page people read, losses first."""
    lines = [HEAD.strip(), "", "## Losses", "", *(losses(results) or ["None."]), ""]
    for result in results:
        lines += section(result)
    return "\n".join(lines)


def losses(results: list[dict[str, Any]]) -> list[str]:
    """A line for each result in which an aim was missed or a peer was faster than ours."""
    told = []
    for result in results:
        faster = [row for row in result["rows"] if row["role"] == "peer" and row["ours_ratio"] > 1]
        beaten = ", ".join(f"{row['name']} ({row['ours_ratio']:g} ×)" for row in faster)
        words = [result["verdict"]] * result["verdict"].startswith("Missed")
        words += [f"Ours takes longer than {beaten}."] * bool(faster)
        if words:
            told.append(f"- {result['id']} at scale {result['scale']:g}: {' '.join(words)}")
    return told


def section(result: dict[str, Any]) -> list[str]:
    """One benchmark's part of the page."""
    lines = [
        f"## {result['id']} {result['title']} (scale {result['scale']:g})",
        "",
        f"Aim: {result['aim']}. **{result['verdict']}** {result['machine']}, {result['repeats']} repetitions after "
        f"{result.get('warm_ups', 1)} to warm up, "
        f"{result['measured_on']}, load {result.get('load_before', 'unknown')} before it began; "
        f"{', '.join(f'{name} {version}' for name, version in result['versions'].items())}.",
        "",
        f"| {' | '.join(COLUMNS)} | settings |",
        f"|{'|'.join('---:' if side == 'right' else '---' for side in COLUMNS.values())}|---|",
    ]
    return [*lines, *(f"| {' | '.join(cells(row))} | {row['note']} |" for row in result["rows"]), ""]


if __name__ == "__main__":
    typer.run(main)
