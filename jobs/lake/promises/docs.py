"""The generator of `docs/tables/`: a page per promised table and event, the reasons for refusal, and an index.

Everything on them comes from `schemas/`.
"""

from __future__ import annotations

from pathlib import Path

from jobs.lake.contracts import COMPARISONS, LAYERS, Check, Contract, all_tables, contract
from jobs.lake.event_contracts import EventField, all_topics, event_contract, versions
from jobs.lake.promises.levels import MEASURED
from jobs.lake.promises.problem import Problem
from jobs.lake.reasons import reasons
from jobs.ops.promises import LATENCY

UNITS = {"m": "minutes", "h": "hours", "d": "days", "s": "seconds"}
WRITES = {
    "append": "rows are added, never changed",
    "replace_slice": "whole slices are replaced in one commit",
    "merge": "rows are merged on the grain",
    "replace_all": "the whole table is replaced in one commit",
}
WORDS = dict(
    zip(COMPARISONS, ("=", "≠", ">", "≥", "<", "≤", "between", "not between"), strict=True),
)


def pages(schemas_dir: Path) -> dict[str, str]:
    """Every page by its file name."""
    from jinja2 import Environment, FileSystemLoader

    world = Environment(
        loader=FileSystemLoader(Path(__file__).parent), trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )  # Markdown, not HTML: nothing to escape but the bars of tables, which `cell` does
    world.filters |= {
        "cell": cell,
        "rule": rule,
        "period": period,
        "level": level,
        "bounds": bounds,
        "json_type": json_type,
    }
    contracts = [contract(table, schemas_dir) for table in all_tables(schemas_dir)]
    page = world.get_template("table.md.j2")
    found = {
        f"{each.name}.md": page.render(table=each, writes=WRITES, used_by=_used_by(each, contracts))
        for each in contracts
    }
    layers = {layer: [each for each in contracts if each.name.startswith(f"{layer}.")] for layer in LAYERS}
    events = [event_contract(topic, versions(topic, schemas_dir)[-1], schemas_dir) for topic in all_topics(schemas_dir)]
    for event in events:
        meanings = _meanings(event.topic, contracts)
        older = versions(event.topic, schemas_dir)[:-1]
        for version in (*older, event.version):
            name = f"events.{event.topic}{'' if version == event.version else f'.v{version}'}.md"
            promised = event_contract(event.topic, version, schemas_dir)
            others = older if version == event.version else []
            found[name] = world.get_template("event.md.j2").render(event=promised, meanings=meanings, older=others)
    found["reasons.md"] = world.get_template("reasons.md.j2").render(reasons=reasons(schemas_dir).values())
    found["README.md"] = world.get_template("index.md.j2").render(layers=layers, events=events)
    return found


def _meanings(topic: str, contracts: list[Contract]) -> dict[str, str]:
    """What silver says about each field of the topic's events."""
    return {
        column.name: column.description
        for each in contracts
        if each.name == f"silver.{topic}"
        for column in each.columns
    }


def write_docs(schemas_dir: Path, folder: Path) -> list[str]:
    """Write all pages into `folder`, remove pages of tables that are gone; the names that changed."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = [problem.file for problem in stale(schemas_dir, folder)]
    fresh = pages(schemas_dir)
    for name, text in fresh.items():
        (folder / name).write_text(text, encoding="utf-8")
    for path in folder.glob("*.md"):
        if path.name not in fresh:
            path.unlink()
    return changed


def stale(schemas_dir: Path, folder: Path) -> list[Problem]:
    """Every page that differs from what the contracts say now."""
    fresh = pages(schemas_dir)
    there = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    differing = sorted(name for name in fresh.keys() | there.keys() if fresh.get(name) != there.get(name))
    return [Problem(f"docs/tables/{name}", "", "is stale", "run `reelhouse contracts docs`") for name in differing]


def _used_by(table: Contract, contracts: list[Contract]) -> list[str]:
    return [each.name for each in contracts if table.name in each.inputs]


def cell(text: str) -> str:
    """Text that fits into one cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def rule(check: Check) -> str:
    """What a check asks, in one line."""
    word, bound = check.must
    what = check.query or f"{check.metric}({check.column or ', '.join(check.arguments.get('properties', []))})"
    values = f" {check.arguments}" if check.arguments and "properties" not in check.arguments else ""
    return f"`{cell(what)}`{cell(values)} {WORDS[word]} {bound}{' %' if check.unit == 'percent' else ''}"


def json_type(field: EventField) -> str:
    """The field's type in words of JSON."""
    inside = f" of {json_type(field.item)}s" if field.item else ""
    return f"{'object' if field.kind == 'map' else field.kind}{inside}"


def bounds(field: EventField) -> str:
    """What values a field may have, in words."""
    limits = (field.item or field).limits | field.limits
    low, high = limits.get("minimum"), limits.get("maximum")
    said = [
        ", ".join(limits["enum"]) if "enum" in limits else "",
        f"{low} to {high}" if low is not None and not field.is_time else "",
        "microseconds since 1970 UTC" if field.is_time else "",
        f"at most {limits['maxLength']} characters" if "maxLength" in limits else "",
        f"at most {limits['maxItems']} items" if "maxItems" in limits else "",
        "UUIDv7 in lower case" if field.name == "event_id" else "",
    ]
    return "; ".join(filter(None, said))


def period(promises: dict[str, str]) -> str:
    """How often the table is made, in words."""
    value, _, unit = promises.get("frequency", "").partition(" ")
    return f"every {value} {UNITS.get(unit, unit)}" if value else "with each run"


def level(promises: dict[str, str]) -> str:
    """What readers may count on, in words; "" when nothing is promised."""
    told = []
    for name in (each for each in MEASURED if each in promises):
        value, _, unit = promises[name].partition(" ")
        told.append(f"{name} {'at most' if name == LATENCY else 'at least'} {value} {UNITS.get(unit, '%')}")
    return ", ".join(told)
