"""Why records are refused: the one vocabulary, read from `schemas/reasons.yaml`."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jobs.lake.errors import ContractError
from jobs.lake.glossary import read_yaml
from jobs.lake.settings import ROOT


@dataclass(frozen=True, slots=True)
class Reason:
    """One word of the vocabulary; `about` is record or field."""

    name: str
    about: str
    meaning: str
    remedy: str


@cache
def reasons(schemas_dir: Path = ROOT / "schemas") -> dict[str, Reason]:
    """All reasons by name; ContractError when one lacks its meaning or remedy."""
    path = schemas_dir / "reasons.yaml"
    found = (read_yaml(path) or {}).get("reasons") or {}
    try:
        return {name: Reason(name, **entry) for name, entry in found.items()}
    except TypeError as bad:
        raise ContractError(f"{path}: {bad}; each reason has about, meaning and remedy") from bad


def reason_named(text: str) -> Reason:
    """The reason that `missing:user_id` is a case of; ContractError when the vocabulary lacks it."""
    word, colon, _ = text.partition(":")
    found = reasons().get(word)
    if found is None or bool(colon) != (found.about == "field"):
        known = ", ".join(reasons())
        raise ContractError(f"reason {text!r} is not in schemas/reasons.yaml; add it there, or use one of {known}")
    return found


def remedy_of(text: str) -> str:
    """What to do about a reason, in one line."""
    return reason_named(text).remedy
