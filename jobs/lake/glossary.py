"""The glossary: what a column name means, its type, unit and privacy class, wherever it appears."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.lake.column_types import parse
from jobs.lake.errors import ContractError

Privacy = Literal["public", "internal", "personal"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid")
    type: str
    privacy: Privacy
    meaning: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """One column name's meaning; `type` is canonical Spark DDL, `unit` empty when it has none."""

    name: str
    type: str
    privacy: str
    meaning: str
    unit: str


def read_yaml(path: Path) -> Any:
    """Read one YAML file; ContractError names the line that is no YAML."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=loader)  # noqa: S506 (a safe loader either way)
    except FileNotFoundError as missing:
        raise ContractError(f"{path}: no such file; write it, or correct the name") from missing
    except (yaml.YAMLError, UnicodeDecodeError) as bad:
        place = getattr(bad, "problem_mark", None)
        line = f" line {place.line + 1}" if place else ""
        problem = getattr(bad, "problem", None) or str(bad).splitlines()[0]
        raise ContractError(f"{path}{line}: not YAML: {problem}; correct that line") from bad


@cache
def glossary(schemas_dir: Path) -> dict[str, Term]:
    """All terms of `glossary.yaml`, by column name; an absent glossary is an empty one."""
    path = schemas_dir / "glossary.yaml"
    if not path.exists():
        return {}
    columns = (read_yaml(path) or {}).get("columns") or {}
    return {name: _term(path, name, entry) for name, entry in columns.items()}


def _term(path: Path, name: str, entry: Any) -> Term:
    try:
        given = _Entry.model_validate(entry)
        kind = str(parse(given.type))
    except ValidationError as bad:
        first = bad.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        remedy = "a term has type, privacy, meaning and maybe unit"
        raise ContractError(f"{path}: {name}.{place}: {first['msg']}; {remedy}") from bad
    except ContractError as bad:
        raise ContractError(f"{path}: {name}.type: {bad}") from bad
    return Term(name, kind, given.privacy, given.meaning, given.unit)
