"""Every request under infra/backfills can be read and done."""

from collections.abc import Iterator
from pathlib import Path

from jobs.lake.backfills.request import read_request
from jobs.lake.errors import UsageError
from jobs.lake.promises.problem import Problem, problem_of


def check_backfills(schemas_dir: Path) -> Iterator[Problem]:
    """What is wrong with each of them."""
    root = schemas_dir.parent
    for path in sorted((root / "infra" / "backfills").glob("*.yaml")):
        try:
            read_request(path, schemas_dir)
        except UsageError as bad:
            yield problem_of(path, root, bad)
