"""What tests of promises share: a small set of promises of their own, to break."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.lake.contracts import contract
from jobs.lake.event_contracts import event_contract
from jobs.lake.event_validator import validator
from jobs.lake.glossary import glossary
from jobs.lake.settings import ROOT

CACHES = (contract, glossary, event_contract, validator)
KEPT = ("bronze/events.yaml", "silver/likes.yaml", "silver/quarantine.yaml", "ops/leases.yaml", "reasons.yaml")
Edit = Callable[[str, str, str], None]


@pytest.fixture
def schemas(tmp_path: Path) -> Path:
    """A copy of some promises: two silver tables, one event with its envelope and examples."""
    copy = tmp_path / "schemas"
    for name in KEPT:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "schemas" / name, copy / name)
    for topic in ("envelope", "likes"):
        shutil.copytree(ROOT / "schemas" / "events" / topic, copy / "events" / topic)
    text = (copy / "bronze/events.yaml").read_text(encoding="utf-8")
    for topic in ("views", "orders", "users", "videos", "products", "merchants", "control"):
        text = text.replace(f'"topic:{topic}", ', "").replace(f', "topic:{topic}"', "")
    (copy / "bronze/events.yaml").write_text(text, encoding="utf-8")
    used = {name for table in ("likes", "quarantine") for name in contract(f"silver.{table}", ROOT / "schemas").names}
    used |= set(contract("bronze.events", ROOT / "schemas").names)
    lines = [f"  {t.name}: {{type: '{t.type}', privacy: {t.privacy}, meaning: '{t.name} of the test'}}"
             for t in glossary(ROOT / "schemas").values() if t.name in used]  # fmt: skip
    (copy / "glossary.yaml").write_text("\n".join(["columns:", *lines]), encoding="utf-8")
    forget()
    return copy


@pytest.fixture
def edit(schemas: Path) -> Edit:
    """Change one passage of one promise; a passage that is not there fails."""

    def change(name: str, old: str, new: str) -> None:
        path = schemas / name
        text = path.read_text(encoding="utf-8")
        assert old in text, f"{name} has no {old!r}"
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        forget()

    return change


def forget() -> None:
    """Promises are read once a process; a test that edits them needs them read again."""
    for cache in CACHES:
        cache.cache_clear()
