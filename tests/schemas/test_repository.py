"""What is committed works on any machine: no addresses of ours, locks with hashes, a Makefile that harms nobody."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# Written apart, or this file would find itself.
OWN_PATHS = re.compile("|".join(["/" + "work/", "/" + "root/", "/" + r"home/\w"]))
REGISTRIES = re.compile(r"\b(pypi|pythonhosted|repo1\.maven|maven\.apache|npmjs)\.(org|com)\b")
LOCKS = sorted((ROOT / "infra" / "locks").glob("*.txt"))


def committed() -> list[Path]:
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in names.split("\0") if name]


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    found = []
    for path in committed():
        try:
            text = path.read_text(encoding="utf-8")
        except (UnicodeDecodeError, FileNotFoundError):
            continue  # not text, or removed and not yet committed
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    return found


def test_no_committed_file_names_a_folder_of_one_machine() -> None:
    assert lines_with(OWN_PATHS) == []


def test_no_committed_file_names_a_registry() -> None:
    assert lines_with(REGISTRIES) == []


@pytest.mark.parametrize("lock", [lock for lock in LOCKS if lock.name != "jars.txt"], ids=lambda lock: lock.name)
def test_every_package_is_locked_with_a_hash(lock: Path) -> None:
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text(encoding="utf-8"))
    packages = [entry for entry in entries if "==" in entry.split("\n")[0]]
    assert packages
    assert [entry.split("\n")[0] for entry in packages if "--hash=sha256:" not in entry] == []


def test_a_bare_make_only_prints_the_list() -> None:
    plan = subprocess.run(["make", "--just-print"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert len(plan.strip().splitlines()) == 1
    assert plan.startswith("awk ")


def test_every_chore_that_is_no_file_is_declared_and_explained() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = set(re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", makefile, re.M)[1].replace("\\\n", " ").split())
    explained = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.M))
    assert declared == explained
