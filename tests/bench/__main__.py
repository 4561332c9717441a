"""`make bench`: run the benchmarks at a small size, or one at the table's size with ONLY=B4 SCALE=1."""

import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from tests.bench.harness import Outcome, race

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "benchmarks.json"
PAGE = ROOT / "docs" / "benchmarks.md"
MODULES: dict[str, str] = {}  # benchmark → module with an arena; B1, B2, B4 and B12 are next
COLUMNS = ("name", "role", "wall_seconds", "wall_spread", "cpu_seconds", "peak_mib", "ours_ratio")


def main(
    only: Annotated[str, typer.Option(help="One benchmark, such as B4.")] = os.environ.get("ONLY", ""),
    scale: Annotated[float, typer.Option(help="1 is the size of the table in docs/benchmarks.md.")] = float(
        os.environ.get("SCALE", "0.1")
    ),
    repeats: Annotated[int, typer.Option(min=3, help="Counted runs after one warm-up.")] = 3,
    save: Annotated[bool, typer.Option(help="Add the result to docs/benchmarks.json and rewrite the page.")] = False,
) -> None:
    """Race ours against peers; answers are compared before time counts, and losses are told."""
    console = Console()
    if not MODULES:
        raise typer.BadParameter("no benchmark has an arena yet; see docs/benchmarks.md")
    for name in [only] if only else MODULES:
        if name not in MODULES:
            raise typer.BadParameter(f"{name} is no benchmark here; there are {', '.join(MODULES)}")
        console.rule(f"{name} at scale {scale}")
        with tempfile.TemporaryDirectory(prefix=f"reelhouse-{name}-") as folder:
            module = import_module(f"tests.bench.{MODULES[name]}")
            with module.arena(Path(folder), scale) as (title, contenders):
                outcomes = race(contenders, repeats=repeats, console=console)
        result = as_result(name, title, scale, repeats, module, outcomes)
        console.print(as_table(result))
        if save:
            keep(result)


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
        "machine": f"{psutil.cpu_count()} cores, {psutil.virtual_memory().total // 2**30} GiB, {platform.system()}",
        "aim": module.AIM,
        "verdict": module.verdict({o.name: o.median for o in outcomes}),
        "rows": [outcome.as_row(ours) for outcome in outcomes],
    }


def as_table(result: dict[str, Any]) -> Table:
    """For the terminal."""
    table = Table(title=f"{result['id']} {result['title']}", caption=f"aim: {result['aim']} · {result['verdict']}")
    for column in COLUMNS:
        table.add_column(column.replace("_", " "))
    for row in result["rows"]:
        table.add_row(*(str(row[column]) for column in COLUMNS))
    return table


def keep(result: dict[str, Any]) -> None:
    """Put the result in place of the one of the same id and scale, and write the page anew."""
    known = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else []
    same = (result["id"], result["scale"])
    kept = sorted(
        [entry for entry in known if (entry["id"], entry["scale"]) != same] + [result],
        key=lambda entry: (int(entry["id"][1:]), entry["scale"]),
    )
    RESULTS.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    PAGE.write_text(as_page(kept), encoding="utf-8")


def as_page(results: list[dict[str, Any]]) -> str:
    """The page people read, losses included."""
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench` (`ONLY=B4 SCALE=1` for one at full size). Each figure is a median of the repetitions of",
        "one run on one machine, order rotated, warm-up apart, answers compared first. `ours ÷ it` below 1 means ours",
        "is faster.",
        "",
    ]
    for result in results:
        lines += [
            f"## {result['id']} {result['title']} (scale {result['scale']})",
            "",
            f"Aim: {result['aim']}. **{result['verdict']}** {result['machine']}, {result['repeats']} repetitions, "
            f"{result['measured_on']}.",
            "",
            "| contender | role | wall s | least–most | CPU s | peak MiB | ours ÷ it | settings |",
            "|---|---|---:|---|---:|---:|---:|---|",
        ]
        for row in result["rows"]:
            low, high = row["wall_spread"]
            lines.append(
                f"| {row['name']} | {row['role']} | {row['wall_seconds']} | {low}–{high} | {row['cpu_seconds']} | "
                f"{row['peak_mib']} | {row['ours_ratio']} | {row['note']} |"
            )
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
