"""Which code a result is of: a digest of our sources, which needs no git, and their commit where git knows it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from jobs.lake.promises.history import git
from jobs.lake.settings import ROOT

SOURCES = ("jobs/**/*.py", "schemas/**/*.*")  # what may change how a schedule ends


@dataclass(frozen=True)
class Code:
    """The sources as they are, and their commit: with a + if they differ from it, empty without git."""

    digest: str
    commit: str = ""


def code_of(root: Path = ROOT) -> Code:
    """The code under a folder."""
    return Code(sources_digest(root), commit_of(root))


def sources_digest(root: Path) -> str:
    """A digest of the names and bytes of all sources; what else lies there counts for nothing."""
    digest = hashlib.sha256()
    for file in sorted(file for pattern in SOURCES for file in root.glob(pattern) if file.is_file()):
        held = file.read_bytes()
        digest.update(f"{file.relative_to(root)} {len(held)}\n".encode() + held)
    return digest.hexdigest()[:16]


def commit_of(root: Path) -> str:
    """The commit, with a + if sources differ from it; empty where there is no git."""
    commit = (git(root, "rev-parse", "--short=12", "HEAD") or "").strip()
    folders = sorted({pattern.partition("/")[0] for pattern in SOURCES})
    return f"{commit}+" if commit and git(root, "status", "--porcelain", "--", *folders) else commit
