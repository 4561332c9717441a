"""Path, module and test of a table stand together, and funnel definitions can be read."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import ContractError, UsageError
from jobs.lake.promises.problem import Problem

BUILT = ("bronze", "silver", "gold")  # most ops tables are written by what they are about, not built
MEASURED = "ops"  # some are: where there is a module, there is a contract and a test


def check_layout(schemas_dir: Path) -> list[Problem]:
    """Tables without module or test, modules without contract, funnels that are none."""
    root = schemas_dir.parent
    tables = set(all_tables(schemas_dir))
    return [*_promised(tables, root), *_made(tables, root), *_published(tables, schemas_dir), *_funnels(schemas_dir)]


def _promised(tables: set[str], root: Path) -> Iterator[Problem]:
    """Every promised table has its module and that module's test."""
    for table in sorted(tables):
        layer, name = table.split(".")
        if layer not in BUILT:
            continue
        for needed in (f"jobs/{layer}/{name}.py", f"tests/jobs/{layer}/test_{name}.py"):
            if not (root / needed).is_file():
                yield Problem(
                    f"schemas/{layer}/{name}.yaml", "", f"{needed} is missing", "the path is the name: write it"
                )


def _made(tables: set[str], root: Path) -> Iterator[Problem]:
    """Every module that builds a table has that table's contract."""
    for layer in (*BUILT, MEASURED):
        for module in sorted((root / "jobs" / layer).glob("*.py")):
            if "\ndef build(" not in module.read_text(encoding="utf-8"):
                continue
            file, test = f"jobs/{layer}/{module.name}", f"tests/jobs/{layer}/test_{module.name}"
            if f"{layer}.{module.stem}" not in tables:
                yield Problem(file, "", "builds a table nobody promised", f"write schemas/{layer}/{module.stem}.yaml")
            elif layer == MEASURED and not (root / test).is_file():
                yield Problem(file, "", f"{test} is missing", "the path is the name: write it")


def _published(tables: set[str], schemas_dir: Path) -> Iterator[Problem]:
    """Every family of tables is published by exactly one DAG; its assets are held by tests/dags."""
    dags = [path.read_text(encoding="utf-8") for path in (schemas_dir.parent / "dags").glob("*.py")]
    families: dict[str, str] = {}
    for table in sorted(tables):
        with suppress(ContractError):  # told by the check of the table itself
            family = contract(table, schemas_dir).family
            families.setdefault(family or "", f"schemas/{table.replace('.', '/')}.yaml")
    for family, file in families.items():
        publishers = sum(f'publish("{family}")' in text for text in dags)
        if family and dags and publishers != 1:
            remedy = f'write publish("{family}") in one file of dags/'
            yield Problem(file, "family", f"{family} is published by {publishers} DAGs", remedy)


def _funnels(schemas_dir: Path) -> Iterator[Problem]:
    """Every funnel definition can be read and is named as its file."""
    from jobs.definitions.funnel.checking import check_words
    from jobs.definitions.funnel.language import read_definition

    for path in sorted((schemas_dir / "funnels").glob("*.yaml")):
        file = str(path.relative_to(schemas_dir.parent))
        try:
            definition = read_definition(path)
            check_words(definition, str(path), schemas_dir)
        except UsageError as bad:
            message, _, remedy = str(bad).removeprefix(f"{path}").lstrip(": ").rpartition("; ")
            yield Problem(file, "", message or str(bad), remedy if message else "see docs/funnels.md")
            continue
        if definition.name != path.stem:
            yield Problem(file, "name", f"is {definition.name!r}", f"the path is the name: write {path.stem!r}")
