"""The score: does the lake hold what the simulator's truth says, no more and no less?

Each check compares one table with the truth in DuckDB and lists its differences; what cannot be without fault is
measured (score_figures). Raw users meet their pseudonyms
through the events they share (a registration has the same id on both sides), so that scoring needs no key.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.lake.errors import UsageError
from jobs.lake.scanning import dataset_of, is_table
from jobs.lake.settings import Settings
from jobs.serve.score_checks import Check
from jobs.serve.score_figures import Figure, figures
from jobs.serve.score_gold import funnel_checks, profile_checks
from jobs.serve.score_silver import arrival_checks, silver_checks

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

TRUTH_TABLES = ("events", "users", "conversions", "attempts", "profiles", "books")
EXAMPLES = 3  # differences shown of each check
COLUMNS = ("check", "compared", "differences", "figures", "examples")


@dataclass(frozen=True)
class Result:
    """What a check found; `examples` are the first differences in words, `figures` what was measured."""

    check: str
    compared: int
    differences: int
    examples: tuple[str, ...]
    figures: Mapping[str, float | None] | None = None

    def row(self) -> dict[str, Any]:
        """For printing."""
        return {
            "check": self.check,
            "compared": self.compared,
            "differences": self.differences,
            "figures": None if self.figures is None else dict(self.figures),
            "examples": list(self.examples),
        }


def truth_folder(settings: Settings, chosen: Path | None) -> Path:
    """The folder named, or the newest under `<home>/truth`; UsageError when there is none."""
    if chosen is not None:
        if not (chosen / "world.json").is_file():
            raise UsageError(
                f"--truth {chosen}: no truth there (world.json is missing); run `reelhouse simulate` first"
            )
        return chosen
    found = sorted((settings.home / "truth").glob("*/world.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise UsageError(
            f"no truth in {settings.home / 'truth'}; run `reelhouse simulate` first, or name it with --truth"
        )
    return found[-1].parent


def score(settings: Settings, truth: Path) -> list[Result]:
    """All checks, in the order of the data's way through the lake."""
    world = json.loads((truth / "world.json").read_text(encoding="utf-8"))
    lake = _open(truth)
    told = {"source": world["source"], "funnel": world["effects"]["funnel"], "zone": world["zone"]}
    for name, value in {**told, "day": date.fromisoformat(world["last_day"])}.items():
        lake.execute(f"SET VARIABLE {name} = ?", [value])
    checks = [*arrival_checks(), *silver_checks(), *funnel_checks(), *profile_checks(world)]
    measured = list(figures())
    needs = [each.needs for each in checks] + [each.needs for each in measured]
    missing = set(_register(lake, settings, {table for tables in needs for table in tables}))
    return [_run(lake, check, missing) for check in checks] + [_measure(lake, each, missing) for each in measured]


def _open(truth: Path) -> "DuckDBPyConnection":
    import duckdb

    lake = duckdb.connect()
    for table in TRUTH_TABLES:
        lake.read_parquet(str(truth / table / "*.parquet")).create_view(f"true_{table}")
    if "counts_for" not in lake.table("true_events").columns:
        raise UsageError(f"{truth}/events: says nothing of anonymous views (no counts_for); simulate the world anew")
    return lake


def _register(lake: "DuckDBPyConnection", settings: Settings, tables: set[str]) -> Iterator[str]:
    """Make each Delta table a view (`silver.views` → silver_views); gives the names of those that are not there."""
    from deltalake import DeltaTable

    for table in sorted(tables):
        if not is_table(settings.table_path(table)):
            yield table
            continue
        lake.register(table.replace(".", "_"), dataset_of(DeltaTable(settings.table_path(table))))


def _run(lake: "DuckDBPyConnection", check: Check, missing: set[str]) -> Result:
    absent = [table for table in check.needs if table in missing]
    if absent:
        return Result(check.name, 0, 1, (f"{absent[0]} is not there",))
    lake.execute(f"CREATE OR REPLACE TEMP TABLE found AS {check.differences}")
    count = _number(lake, "SELECT count(*) FROM found")
    rows = lake.execute("SELECT what, expected, found FROM found ORDER BY ALL LIMIT ?", [EXAMPLES]).fetchall()
    examples = tuple(f"{what}: expected {expected}, found {got}" for what, expected, got in rows)
    return Result(check.name, _number(lake, check.compared), count, examples)


def _measure(lake: "DuckDBPyConnection", figure: Figure, missing: set[str]) -> Result:
    """A table that is not there (yet) is no difference: what is foretold comes last, and some worlds are too small."""
    absent = [table for table in figure.needs if table in missing]
    if absent:
        return Result(figure.name, 0, 0, (f"{absent[0]} is not there",), {})
    asked = lake.execute(figure.sql)
    row, names = asked.fetchone() or (), [column[0] for column in asked.description or ()]
    found = dict(zip(names, row, strict=True))
    return Result(figure.name, int(next(iter(found.values())) or 0), 0, (), found)


def _number(lake: "DuckDBPyConnection", sql: str) -> int:
    row: Sequence[Any] | None = lake.execute(sql).fetchone()
    return int(row[0]) if row and row[0] is not None else 0
