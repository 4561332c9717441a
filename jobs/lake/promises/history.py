"""Promises are kept: a change that breaks readers or producers needs a new major version.

The state before is read from git; without git, or without an earlier commit, `Base.note` says that nothing was
compared.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from jobs.lake.contracts import LAYERS, Check, Contract, contract, read_contract
from jobs.lake.errors import ContractError, UsageError
from jobs.lake.event_contracts import ENVELOPE
from jobs.lake.glossary import Term
from jobs.lake.promises.problem import Problem

TIGHTER: dict[str, Callable[[Any, Any], bool]] = {  # keyword -> is the new bound stricter than the old
    "enum": lambda old, new: not set(old) <= set(new),
    "const": lambda old, new: old != new,
    "pattern": lambda old, new: old != new,
    "minimum": lambda old, new: new > old,
    "maximum": lambda old, new: new < old,
    "minLength": lambda old, new: new > old,
    "maxLength": lambda old, new: new < old,
    "minItems": lambda old, new: new > old,
    "maxItems": lambda old, new: new < old,
    "maxProperties": lambda old, new: new < old,
}


@dataclass(frozen=True, slots=True)
class Base:
    """The files under `schemas/` at an earlier commit, by path; `note` says why there are none."""

    files: dict[str, str]
    note: str = ""


def base(root: Path, revision: str | None) -> Base:
    """The state to compare with: `revision`, or where this branch left main, or the commit before."""
    if git(root, "rev-parse", "--git-dir") is None:
        return Base({}, "no git here: nothing was compared with an earlier version")
    found = revision or _default_revision(root)
    if found is None:
        return Base({}, "no earlier commit: nothing was compared with an earlier version")
    listed = git(root, "ls-tree", "-r", "--name-only", found, "--", "schemas")
    if listed is None:
        raise UsageError(f"--base {found}: git knows no such commit; name a branch, a tag or a commit")
    files = {
        name: git(root, "show", f"{found}:{name}") or "" for name in listed.splitlines() if "/examples/" not in name
    }
    return Base(files)


def _default_revision(root: Path) -> str | None:
    """Where HEAD left the main branch; on main itself, the commit before."""
    head = (git(root, "rev-parse", "HEAD") or "").strip()
    for branch in ("origin/main", "main"):
        left = (git(root, "merge-base", branch, "HEAD") or "").strip()
        if left and left != head:
            return left
    return (git(root, "rev-parse", "--verify", "--quiet", "HEAD~1") or "").strip() or None


def git(root: Path, *words: str) -> str | None:
    """What git answers, None when it refuses or is not there."""
    try:
        done = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout if done.returncode == 0 else None


def check_history(schemas_dir: Path, before: Base) -> list[Problem]:
    """Every breaking change since `before` that has no new major version."""
    terms = _terms(before.files.get("schemas/glossary.yaml", ""))
    problems: list[Problem] = []
    for name, text in before.files.items():
        parts = name.split("/")
        if len(parts) == 3 and parts[1] in LAYERS and name.endswith(".yaml"):
            problems += _table(name, f"{parts[1]}.{Path(name).stem}", text, terms, schemas_dir)
        elif len(parts) == 4 and parts[1] == "events" and name.endswith(".json"):
            problems += _event(name, text, schemas_dir)
    return problems


def _terms(text: str) -> dict[str, Term]:
    """The old glossary, as far as it can be read."""
    columns = (yaml.safe_load(text) or {}).get("columns") or {}
    return {name: Term(name, e["type"], e["privacy"], e["meaning"], e.get("unit", "")) for name, e in columns.items()}


def _table(file: str, table: str, text: str, terms: dict[str, Term], schemas_dir: Path) -> Iterator[Problem]:
    """One table's contract then and now."""
    try:
        old = read_contract(table, yaml.safe_load(text), file, terms)
    except (ContractError, yaml.YAMLError):
        return  # what could not be read then bound nobody
    if not (schemas_dir.parent / file).is_file():
        if yaml.safe_load(text).get("status") not in ("deprecated", "retired", "draft"):
            yield Problem(file, "", "is gone", "set status: deprecated for one release first")
        return
    try:
        new = contract(table, schemas_dir)
    except ContractError:
        return  # told by the check of the table itself
    if _major(new) > _major(old):
        return
    for place, change in _broken(old, new):
        remedy = f"make it version {_major(old) + 1}.0.0 and say so in CHANGELOG.md, or keep the promise"
        yield Problem(file, place, change, remedy)


def _major(promised: Contract) -> int:
    digits = promised.version.split(".")[0]
    return int(digits) if digits.isdigit() else 0


def _broken(old: Contract, new: Contract) -> Iterator[tuple[str, str]]:
    """What a reader of the old contract would trip over."""
    if old.grain != new.grain:
        yield "grain", f"was {' x '.join(old.grain)}, is {' x '.join(new.grain)}"
    now = {column.name: column for column in new.columns}
    for column in old.columns:
        kept = now.get(column.name)
        if kept is None:
            yield f"column {column.name}", "was removed or renamed"
        elif kept.type != column.type:
            yield f"column {column.name}", f"was {column.type}, is {kept.type}"
        elif kept.required and not column.required:
            yield f"column {column.name}", "is required now"
    allowed = {check.name: check for check in new.checks}
    for check in old.checks:
        lost = _values(check) - _values(allowed.get(check.name, check))
        if lost:
            yield f"quality {check.name}", f"no longer allows {', '.join(sorted(lost))}"


def _values(check: Check) -> set[str]:
    return set(map(str, check.arguments.get("validValues", ())))


def _event(file: str, text: str, schemas_dir: Path) -> Iterator[Problem]:
    """One event's contract then and now: what was a good body stays one."""
    path = schemas_dir.parent / file
    topic, version = path.parent.name, int(path.stem[1:])
    remedy = f"write schemas/events/{topic}/v{version + 1}.json for it, and leave v{version} as it was"
    if not path.is_file():
        yield Problem(file, "", "is gone", "records of that version are still in Kafka and bronze: put it back")
        return
    if topic == ENVELOPE:
        remedy = "write a new version of the envelope and of every topic that takes it, and leave this one as it was"
    old, new = json.loads(text), json.loads(path.read_text(encoding="utf-8"))
    for place, change in _stricter(old, new, ""):
        yield Problem(file, place, change, remedy)


def _stricter(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """Where the new schema refuses what the old one took; both are read as written, references unfollowed."""
    yield from _stricter_here(old, new, path)
    for group in ("properties", "$defs"):
        for name, part in old.get(group, {}).items():
            inside = f"{path}.{name}".lstrip(".")
            if name in new.get(group, {}):
                yield from _stricter(part, new[group][name], inside)
            else:
                yield inside, "was removed or renamed"
    for inner in ("items", "additionalProperties"):
        if isinstance(old.get(inner), dict) and isinstance(new.get(inner), dict):
            yield from _stricter(old[inner], new[inner], path)


def _stricter_here(old: Any, new: Any, path: str) -> Iterator[tuple[str, str]]:
    """The same for one node of the schema, without its parts."""
    for keyword in ("type", "$ref", "format", "x-pseudonym", "anyOf"):
        if old.get(keyword) != new.get(keyword):
            yield path or "body", f"{keyword} was {old.get(keyword)}, is {new.get(keyword)}"
    for keyword, is_tighter in TIGHTER.items():
        if keyword in new and (keyword not in old or is_tighter(old[keyword], new[keyword])):
            yield path, f"{keyword} is stricter than it was"
    for name in sorted(set(new.get("required", ())) - set(old.get("required", ()))):
        yield f"{path}.{name}".lstrip("."), "is required now"
    if any(part not in old.get("allOf", ()) and _asks_more(part, old) for part in new.get("allOf", ())):
        yield path or "body", "asks more of some kinds than it did"


def _asks_more(part: Any, old: Any) -> bool:
    """Whether a part of `allOf` asks kinds that there were for fields that not every body had to have."""
    if "if" not in part:
        return True
    kinds = set(old.get("properties", {}).get("kind", {}).get("enum", ()))
    is_of_new_kinds = kinds.isdisjoint(part["if"]["properties"]["kind"]["enum"])
    return not (is_of_new_kinds and kinds) and not set(part["then"]["required"]) <= set(old.get("required", ()))
