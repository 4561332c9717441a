"""Every patch under infra/patches can be read and would do something."""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.errors import UsageError
from jobs.lake.patches import read_patch
from jobs.lake.promises.problem import Problem, problem_of


def check_patches(schemas_dir: Path) -> Iterator[Problem]:
    """What is wrong with each of them."""
    root = schemas_dir.parent
    for path in sorted((root / "infra" / "patches").glob("*.yaml")):
        try:
            read_patch(path.stem, schemas_dir, path.parent)
        except UsageError as bad:
            yield problem_of(path, root, bad)
