"""`reelhouse doctor` says in plain words what is missing and what to do."""

import hashlib
import json
import socket
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from jobs.lake import doctor
from jobs.lake.doctor import Finding, Verdict
from jobs.lake.errors import SettingsError
from jobs.lake.java import VECTOR_MODULE, Java, complaint, find_java, parse_version
from jobs.lake.services import services
from jobs.lake.settings import Settings

VERSIONS = {  # first line of `java -version` -> version, and a word of why it may not run, or None
    'openjdk version "17.0.15" 2025-04-15': ((17, 0, 15), None),
    'openjdk version "21" 2023-09-19': ((21, 0, 0), None),
    'openjdk version "21.0.4+7-LTS" 2024-07-16': ((21, 0, 4), None),
    'openjdk version "25" 2025-09-16': ((25, 0, 0), "zstd"),
    'openjdk version "25.0.2" 2026-01-20 LTS': ((25, 0, 2), "zstd"),
    'openjdk version "25.0.3" 2026-04-21 LTS': ((25, 0, 3), None),
    'openjdk version "11.0.22" 2024-01-16': ((11, 0, 22), "too old"),
    'java version "1.8.0_402"': ((8, 0, 402), "too old"),
    'openjdk version "23-ea" 2024-09-17': ((23, 0, 0), None),
}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, kafka_port=1, kafka_controller_port=2, spark_connect_port=3, airflow_port=4)


@pytest.fixture
def some_java(monkeypatch):
    """Pretend the Java in use were another."""

    def pretend(version: tuple[int, int, int], *modules: str) -> Finding:
        monkeypatch.setattr(doctor, "find_java", lambda: Java(Path("/opt/java"), version, frozenset(modules)))
        return doctor.java()

    return pretend


@pytest.mark.parametrize("words", VERSIONS)
def test_java_is_judged_by_its_version(words: str) -> None:
    version, reason = VERSIONS[words]
    java = Java(Path("java"), parse_version(words), frozenset({VECTOR_MODULE}))
    assert java.version == version
    assert (reason in str(complaint(java))) if reason else complaint(java) is None


def test_unreadable_words_of_java_are_an_error_with_a_remedy() -> None:
    with pytest.raises(SettingsError, match="install a full Java"):
        parse_version("Unable to locate a Java Runtime")


def test_a_good_java_is_ok(some_java) -> None:
    assert some_java((17, 0, 15), VECTOR_MODULE).verdict is Verdict.ok


def test_a_java_nobody_tried_is_a_warning(some_java) -> None:
    assert some_java((25, 0, 3), VECTOR_MODULE).verdict is Verdict.warning


def test_a_java_that_corrupts_zstd_blocks(some_java) -> None:
    found = some_java((25, 0, 1), VECTOR_MODULE)
    assert (found.verdict, "zstd" in found.found, "Java 17 or 21" in found.remedy) == (Verdict.blocks, True, True)


def test_a_trimmed_java_blocks(some_java) -> None:
    found = some_java((17, 0, 15), "java.base")
    assert (found.verdict, VECTOR_MODULE in found.found) == (Verdict.blocks, True)


def test_no_java_blocks_and_says_what_to_install(monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    find_java.cache_clear()
    found = doctor.java()
    find_java.cache_clear()
    assert (found.verdict, found.found) == (Verdict.blocks, "no Java in JAVA_HOME")
    assert "apt-get install" in found.remedy


def test_the_java_of_this_machine_is_found() -> None:
    assert doctor.java().verdict is not Verdict.blocks


def environment(root: Path, stamp: str | None = None) -> Finding:
    """Judge a made-up environment whose lock says `pyspark`."""
    (root / "infra" / "locks").mkdir(parents=True, exist_ok=True)
    (root / "infra" / "locks" / "jobs.txt").write_text("pyspark==4.2.0\n")
    if stamp is not None:
        (root / ".venv" / "bin").mkdir(parents=True, exist_ok=True)
        (root / ".venv" / "bin" / "python").touch()
        (root / ".venv" / ".lock-in-step").write_text(stamp)
    return doctor.environment(".venv", root)


def test_an_environment_in_step_with_its_lock_is_ok(tmp_path: Path) -> None:
    stamp = hashlib.sha256(b"pyspark==4.2.0\n").hexdigest() + "\n"
    assert environment(tmp_path, stamp).verdict is Verdict.ok


def test_an_environment_of_an_older_lock_is_a_warning(tmp_path: Path) -> None:
    assert environment(tmp_path, "older").verdict is Verdict.warning


def test_a_missing_environment_blocks(tmp_path: Path) -> None:
    found = environment(tmp_path)
    assert (found.verdict, found.remedy) == (Verdict.blocks, "run `make setup`")


def test_an_interrupted_set_up_blocks(tmp_path: Path) -> None:
    environment(tmp_path, "any")
    (tmp_path / ".venv" / ".setting-up").touch()
    found = doctor.environment(".venv", tmp_path)
    assert (found.verdict, "interrupted" in found.found) == (Verdict.blocks, True)


def test_missing_jars_block_and_are_named(settings: Settings, tmp_path: Path) -> None:
    found = doctor.jars(settings.model_copy(update={"jars_dir": tmp_path / "none"}))
    assert (found.verdict, ".jar" in found.found) == (Verdict.blocks, True)


def test_free_ports_are_ok_and_each_is_looked_at(settings: Settings) -> None:
    assert [found.verdict for found in doctor.ports(services(settings))] == [Verdict.ok] * 4


def test_a_port_taken_by_another_blocks_and_names_the_setting(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = settings.model_copy(update={"airflow_port": other.getsockname()[1]})
        blocking = [found for found in doctor.ports(services(taken)) if found.verdict is Verdict.blocks]
    assert [(found.subject, "REELHOUSE_AIRFLOW_PORT" in found.remedy) for found in blocking] == [("airflow port", True)]


def test_the_port_of_an_outside_service_is_not_needed(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        update = {"kafka_bootstrap_servers": "elsewhere:9092", "kafka_port": other.getsockname()[1]}
        findings = list(doctor.ports(services(settings.model_copy(update=update), ["kafka"])))
    assert [found.verdict for found in findings] == [Verdict.ok]


FREE = {0.5: Verdict.blocks, 5.0: Verdict.warning, 50.0: Verdict.ok}  # GiB


@pytest.mark.parametrize("gib", FREE)
def test_little_disk_is_told(gib: float, monkeypatch, tmp_path: Path) -> None:
    usage = namedtuple("usage", "total used free")(0, 0, int(gib * doctor.GIB))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda _: usage)
    assert doctor.disk(tmp_path / "not" / "there" / "yet").verdict is FREE[gib]


MEMORY = {1.0: Verdict.blocks, 5.0: Verdict.warning, 16.0: Verdict.ok}  # GiB


@pytest.mark.parametrize("gib", MEMORY)
def test_little_memory_is_told(gib: float, monkeypatch, settings: Settings) -> None:
    monkeypatch.setattr(doctor, "_available_bytes", lambda: int(gib * doctor.GIB))
    assert doctor.memory(settings).verdict is MEMORY[gib]


def test_outside_services_need_no_memory_here(monkeypatch, settings: Settings) -> None:
    monkeypatch.setattr(doctor, "_available_bytes", lambda: 2 * doctor.GIB)
    outside = {"kafka_bootstrap_servers": "k:9092", "spark_remote": "sc://s", "airflow_url": "http://a"}
    assert doctor.memory(settings.model_copy(update=outside)).verdict is Verdict.ok


def test_the_command_prints_rows_and_fails_when_something_blocks(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("REELHOUSE_HOME", str(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "doctor", "--format", "json"], capture_output=True, text=True, check=False
    )
    rows = {row["subject"]: row for row in json.loads(done.stdout)}
    assert (done.returncode, rows["java"]["verdict"]) == (1, "blocks")
    assert all(row["remedy"] for row in rows.values() if row["verdict"] != "ok")
