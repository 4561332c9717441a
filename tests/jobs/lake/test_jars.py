"""Only jars of the allow-list, each with its checksum, get onto a class path."""

import hashlib
from pathlib import Path

import pytest

from jobs.lake import jars
from jobs.lake.errors import ReelhouseError, SettingsError
from jobs.lake.jars import Jar, allowed_jars, fetch, wrong_jars

GOOD = b"a jar"
SUM = hashlib.sha256(GOOD).hexdigest()
MIRROR = "<settings xmlns='urn:m'><mirrors><mirror><mirrorOf>{}</mirrorOf><url>m2://mirror</url></mirror></mirrors></settings>"


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """An allow-list of one jar in two revisions, one for each class path."""
    path = tmp_path / "jars.txt"
    path.write_text(f"# why\n{SUM} kafka org.x:client:4.0\n{SUM} spark org.x:client:3.9\n")
    return path


@pytest.fixture
def registry(monkeypatch):
    """What Ivy would bring; a list of what it was asked for."""
    asked: list[str] = []
    brought = {"bytes": GOOD}

    def retrieve(wanted: list[Jar], scratch: Path) -> None:
        for jar in wanted:
            asked.append(jar.path(Path()).as_posix())
            jar.path(scratch).parent.mkdir(exist_ok=True)
            jar.path(scratch).write_bytes(brought["bytes"])

    monkeypatch.setattr(jars, "_retrieve", retrieve)
    return asked, brought


def test_missing_jars_are_fetched_once(lock: Path, registry, tmp_path: Path) -> None:
    asked, _ = registry
    assert len(fetch(tmp_path / "jars", lock)) == 2
    assert fetch(tmp_path / "jars", lock) == []
    assert asked == ["kafka/client-4.0.jar", "spark/client-3.9.jar"]


def test_a_damaged_jar_is_fetched_again(lock: Path, registry, tmp_path: Path) -> None:
    fetch(tmp_path / "jars", lock)
    (tmp_path / "jars" / "spark" / "client-3.9.jar").write_bytes(b"half a j")
    assert [jar.revision for jar in fetch(tmp_path / "jars", lock)] == ["3.9"]
    assert wrong_jars(tmp_path / "jars", lock) == []


def test_another_jar_than_promised_is_refused_and_not_kept(lock: Path, registry, tmp_path: Path) -> None:
    registry[1]["bytes"] = b"something else"
    with pytest.raises(ReelhouseError, match="client-4.0.jar, client-3.9.jar: not what jars.txt promises"):
        fetch(tmp_path / "jars", lock)
    assert list(tmp_path.glob("jars/*/*")) == []


def test_jars_of_an_older_list_leave_the_class_path(lock: Path, registry, tmp_path: Path) -> None:
    old = tmp_path / "jars" / "kafka" / "client-3.0.jar"
    old.parent.mkdir(parents=True)
    old.write_bytes(GOOD)
    fetch(tmp_path / "jars", lock)
    assert sorted(path.name for path in tmp_path.glob("jars/*/*.jar")) == ["client-3.9.jar", "client-4.0.jar"]


def test_what_maven_has_cached_is_not_fetched(lock: Path, registry, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    cached = tmp_path / ".m2" / "repository" / "org" / "x" / "client" / "4.0" / "client-4.0.jar"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(GOOD)
    fetch(tmp_path / "jars", lock)
    assert registry[0] == ["spark/client-3.9.jar"]


def test_a_line_of_another_shape_names_its_place(tmp_path: Path) -> None:
    (tmp_path / "jars.txt").write_text("# fine\nabc spark org.x:client\n")
    with pytest.raises(SettingsError, match="jars.txt:2: write `sha256 folder"):
        allowed_jars(tmp_path / "jars.txt")


def test_the_real_list_has_every_class_path_and_no_jar_twice() -> None:
    paths = [jar.path(Path()).as_posix() for jar in allowed_jars()]
    assert len(paths) == len(set(paths))
    assert {jar.folder for jar in allowed_jars()} == {"spark", "kafka", "files"}


MIRRORED = {"central": "m2://mirror", "*": "m2://mirror", "external:*,!own": "m2://mirror", "own": None}


@pytest.mark.parametrize("of", MIRRORED)
def test_the_mirror_of_the_machines_maven_is_used(of: str, tmp_path: Path) -> None:
    settings = tmp_path / "settings.xml"
    settings.write_text(MIRROR.format(of))
    assert jars._maven_mirror(settings) == MIRRORED[of]
