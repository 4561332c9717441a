"""Every red light has its page, every error that somebody must act on names it, and no link leads nowhere."""

import ast
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from errno import ENOSPC
from pathlib import Path

import pytest

from jobs.__main__ import known_error
from jobs.lake import errors
from jobs.lake.errors import BooksError, PromiseError, ReelhouseError, TooMuchError, UsageError
from jobs.lake.failures import ALL_PAGES
from jobs.lake.failures import PAGES as PAGES_OF_RUNS
from jobs.lake.watch.judging import PAGES, STREAM_PAGES
from jobs.upkeep.files import refuse_too_young

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
RUNBOOKS = sorted(path.name for path in FOLDER.glob("*.md") if path.name != "README.md")
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
CODE = [path for folder in ("jobs", "dags") for path in sorted((ROOT / folder).rglob("*.py"))]
AT = datetime(2026, 11, 28, 12, tzinfo=UTC)
PARTS = ("What it means", "Look at", "Mend", "Prove it")
OURS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ReelhouseError)]
KINDS = [kind for kind in OURS if not issubclass(kind, UsageError)]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not ReelhouseError], ids=lambda kind: kind.__name__)
def test_an_error_that_is_not_the_callers_leads_to_its_page(kind: type[ReelhouseError]) -> None:
    assert kind.runbook in RUNBOOKS
    assert kind("views/0: no").told == f"views/0: no; see docs/runbooks/{kind.runbook}"
    assert kind.__name__ in (FOLDER / "README.md").read_text(encoding="utf-8")


def test_a_full_disk_and_what_upkeep_refuses_lead_to_their_pages() -> None:
    full = OSError(ENOSPC, "No space left on device", "gold.parquet")
    assert [told.split("; ")[-1] for _, told, _ in [known_error(full) or ("", "", 0)]] == ["see docs/runbooks/disk.md"]
    with pytest.raises(UsageError, match=r"see docs/runbooks/upkeep\.md$"):
        refuse_too_young(timedelta(0), AT - timedelta(hours=1), AT)


def test_words_that_name_a_page_keep_it_and_a_callers_mistake_carries_its_remedy() -> None:
    assert BooksError("off; see docs/runbooks/lake.md").told == "off; see docs/runbooks/lake.md"
    assert UsageError("write 2026-11-22").told == "write 2026-11-22"


@pytest.mark.parametrize("page", RUNBOOKS)
def test_a_page_says_what_it_means_what_to_look_at_how_to_mend_and_how_to_prove_it(page: str) -> None:
    text = (FOLDER / page).read_text(encoding="utf-8")
    found = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert [part for part in found if part in PARTS] == list(PARTS)
    assert f"({page})" in (FOLDER / "README.md").read_text(encoding="utf-8")


def said(path: Path) -> Iterator[str]:
    """The texts of a module that it may say to somebody: neither docstrings nor the docs of a task."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    unsaid = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    unsaid |= {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "doc_md"}
    texts = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in unsaid)
    yield from (node.value for node in texts if isinstance(node.value, str))


def test_every_page_is_named_by_an_error_that_reaches_somebody_by_an_alert_or_by_a_failed_run() -> None:
    told = [kind for kind in OURS if kind is not TooMuchError]  # which ends as a line of a log
    named = {kind.runbook for kind in told} | {*PAGES.values(), *STREAM_PAGES.values(), *PAGES_OF_RUNS.values()}
    for path in CODE:
        named |= {page for text in said(path) for page in re.findall(r"docs/runbooks/([\w-]+\.md)", text)}
    assert sorted(set(RUNBOOKS) - named) == []
    assert sorted(named - {"", ALL_PAGES, *RUNBOOKS}) == []
    assert PromiseError.runbook == "promises.md"


def test_a_task_of_airflow_leads_to_the_page_that_its_command_names() -> None:
    tree = ast.parse((ROOT / "dags" / "lib" / "jobs.py").read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "Operator" in ast.unparse(node.func)]
    tasks = [{word.arg: ast.unparse(word.value) for word in call.keywords} for call in calls]
    assert len(tasks) == 8
    for task in tasks:
        words = " ".join(re.findall(r"'([a-z]+)'", task["arguments"]))
        (page,) = [page for command, page in PAGES_OF_RUNS.items() if words == command]
        assert f"docs/runbooks/{page}" in task["doc_md"]


def test_no_link_of_the_docs_leads_nowhere() -> None:
    dead = [
        f"{path.relative_to(ROOT)}: {target}"
        for path in DOCS
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert dead == []
