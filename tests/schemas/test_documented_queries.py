"""Every query that a page, a help or a message gives is bound by DuckDB against the columns the contracts promise."""

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jobs.lake.contracts import all_tables
from jobs.lake.errors import QueryError
from jobs.lake.settings import ROOT, Settings
from jobs.serve.query import reader

TOLD = [
    path
    for where in ("README.md", "CHANGELOG.md", "docs/**/*.md", "infra/**/*.md", "schemas/**/*.md", "jobs/**/*.py")
    for path in sorted(ROOT.glob(where))
]
CALL = re.compile(r'reelhouse sql (?:--[^`"\n]* )?"(?:[^"\\]|\\.)*"')  # as a shell reads it, over several lines too
BLOCK = re.compile(r"^```sql\n(.*?)^```", re.DOTALL | re.MULTILINE)
TO_FILL_IN = re.compile(r"(?<== )[A-Z]\b")  # `ingest_seq = N`


def queries(path: Path) -> Iterator[tuple[str, bool]]:
    """What a file lets its readers ask, and whether with silver."""
    text = path.read_text(encoding="utf-8")
    yield from ((block, False) for block in BLOCK.findall(text))
    for call in CALL.findall(text):
        words = shlex.split(call)
        yield words[-1], "--with-silver" in words


QUERIES = {
    f"{path.relative_to(ROOT)} {number}": asked for path in TOLD for number, asked in enumerate(queries(path), start=1)
}


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, bool], None]:
    """Let the readers' own door answer, without silver or with it, where every table that they may see is empty."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    tables = all_tables(settings.schemas_dir)
    layers = {False: ("ops.", "gold."), True: ("ops.", "gold.", "silver.")}
    doors = {
        with_silver: reader(settings, {table: -1 for table in tables if table.startswith(seen)})
        for with_silver, seen in layers.items()
    }

    def ask(query: str, with_silver: bool) -> None:
        assert doors[with_silver](TO_FILL_IN.sub("0", query)).num_columns

    return ask


@pytest.mark.parametrize("where", QUERIES)
def test_a_documented_query_can_be_asked(bound: Callable[[str, bool], None], where: str) -> None:
    bound(*QUERIES[where])


def test_queries_of_all_kinds_are_found() -> None:
    pages = {where.rpartition(" ")[0] for where in QUERIES}
    assert {"README.md", "docs/watching.md", "docs/runbooks/red-check.md", "jobs/commands/serve.py"} <= pages
    assert {with_silver for _, with_silver in QUERIES.values()} == {True, False}
    assert any("\n" in query for query, _ in QUERIES.values())


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("SELECT table FROM ops.promises", "syntax error"),
        ("SELECT price FROM ops.promises", 'column "price" not found'),
        ("SELECT * FROM ops.promises WHERE is_kept > measured_at", "Cannot compare"),
        ("SELECT * FROM silver.views", "add --with-silver"),
    ],
)
def test_a_query_that_cannot_be_asked_is_seen(bound: Callable[[str, bool], None], query: str, told: str) -> None:
    with pytest.raises(QueryError, match=told):
        bound(query, False)
