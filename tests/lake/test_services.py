"""Services start once, stop to the last process, and never take another's process for their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import psutil
import pytest

from jobs.lake.errors import ServiceError, UsageError
from jobs.lake.lifetimes import began_at
from jobs.lake.services import control, process, services
from jobs.lake.services.service import Service, answers
from jobs.lake.settings import Settings
from jobs.lake.topics import FACTS, TOPICS, end_offsets, ensure_topics, extents, topic_ids

LISTEN = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(600)"
# A parent whose children are hard to end: one ignores SIGTERM, one leaves for a session of its own.
FAMILY = """
import subprocess, sys, time
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
subprocess.Popen([sys.executable, "-c", stubborn])
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
time.sleep(600)
"""


class Listener(Service):
    """A service that only listens."""

    name = "listener"
    patience_seconds = 20.0
    outside = ""
    script = LISTEN

    def __init__(self, settings: Settings, port: int) -> None:
        super().__init__(settings)
        self.port = port
        self.settled = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> dict[str, int]:
        return {"REELHOUSE_LISTENER_PORT": self.port}

    def prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def command(self) -> list[str]:
        return [sys.executable, "-c", self.script, str(self.port)]

    def environment(self) -> dict[str, str]:
        return dict(os.environ)

    def is_well(self) -> bool:
        return answers(self.port)

    def settle(self) -> None:
        self.settled += 1


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def silent(name: str, news: str) -> None:
    """Tests listen to states, not to words."""


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[Listener]:
    service = Listener(Settings(home=tmp_path), free_port())
    yield service
    control.down([service], silent)


@pytest.fixture
def family(tmp_path: Path) -> Iterator[process.Record]:
    folder = tmp_path / "family"
    record = process.start([sys.executable, "-c", FAMILY], dict(os.environ), folder, tmp_path / "family.log")
    wait_until(lambda: len(process.members(folder)) == 3)
    yield record
    process.stop(folder)


def wait_until(condition, seconds: float = 15.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def state(service: Service) -> object:
    return control.status([service])[0]["state"]


def test_starting_twice_is_harmless(listener: Listener) -> None:
    control.up([listener], silent)
    first = process.recorded(listener.folder)
    control.up([listener], silent)
    assert process.recorded(listener.folder) == first
    assert len(process.members(listener.folder)) == 1
    assert (state(listener), listener.settled) == ("serving", 2)


def test_two_starters_at_once_start_one(listener: Listener) -> None:
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(control.up, [listener], silent) for _ in range(2)]:
            done.result()
    assert len(process.members(listener.folder)) == 1


def test_down_twice_is_harmless(listener: Listener) -> None:
    control.up([listener], silent)
    control.down([listener], silent)
    control.down([listener], silent)
    assert (state(listener), answers(listener.port)) == ("stopped", False)


def test_a_port_taken_by_another_is_named(listener: Listener) -> None:
    with (
        socket.create_server(("127.0.0.1", listener.port)),
        pytest.raises(ServiceError, match=rf"port {listener.port} .*REELHOUSE_LISTENER_PORT"),
    ):
        control.up([listener], silent)


def test_a_service_that_ends_while_starting_shows_its_last_words(listener: Listener) -> None:
    listener.script = "raise SystemExit('no room at the inn')"
    with pytest.raises(ServiceError, match="no room at the inn"):
        control.up([listener], silent)


def test_a_service_that_never_gets_well_is_not_waited_for_for_ever(listener: Listener) -> None:
    listener.script, listener.patience_seconds = "import time; time.sleep(600)", 1.0
    with pytest.raises(ServiceError, match="not well after 1 s"):
        control.up([listener], silent)
    assert state(listener) == "not well"


def test_one_failure_does_not_hold_up_the_others(listener: Listener, tmp_path: Path) -> None:
    broken = Listener(Settings(home=tmp_path / "other"), free_port())
    broken.script = "raise SystemExit(1)"
    with pytest.raises(ServiceError, match="ended while starting"):
        control.up([broken, listener], silent)
    assert state(listener) == "serving"


def test_an_outside_service_is_greeted_and_never_stopped(listener: Listener) -> None:
    with socket.create_server(("127.0.0.1", listener.port)):
        listener.outside = listener.address
        control.up([listener], silent)
        control.down([listener], silent)
        assert (state(listener), process.recorded(listener.folder)) == ("outside", None)


def test_an_outside_service_that_is_silent_is_named(listener: Listener) -> None:
    listener.outside = listener.address
    with pytest.raises(ServiceError, match="does not answer"):
        control.up([listener], silent)


def test_stop_ends_children_that_resist_or_went_away(family: process.Record, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process, "TERM_PATIENCE_SECONDS", 0.5)
    assert process.stop(tmp_path / "family") == 3
    assert process.members(tmp_path / "family") == []


def test_stop_ends_the_orphans_of_a_crash(family: process.Record, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process, "TERM_PATIENCE_SECONDS", 0.5)
    os.kill(family.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive(family))
    assert len(process.members(tmp_path / "family")) == 2
    process.stop(tmp_path / "family")
    assert process.members(tmp_path / "family") == []


def test_orphans_are_found_without_their_record(family: process.Record, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(process, "TERM_PATIENCE_SECONDS", 0.5)
    (tmp_path / "family" / "process.json").write_text("{half-writ")
    assert process.stop(tmp_path / "family") == 3


def test_an_orphan_that_overwrote_its_environment_is_found_by_its_session(tmp_path: Path) -> None:
    """Airflow's parts do: they write a title over it."""
    child = 'subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], env={})'
    leader = [sys.executable, "-c", f"import subprocess, sys, time; {child}; time.sleep(600)"]
    record = process.start(leader, dict(os.environ), tmp_path, tmp_path / "log")
    wait_until(lambda: len(process.members(tmp_path)) == 2)
    os.kill(record.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive(record))
    assert process.stop(tmp_path) == 1
    assert process.members(tmp_path) == []


def test_a_crashed_service_starts_again(listener: Listener) -> None:
    control.up([listener], silent)
    first = process.recorded(listener.folder)
    assert first
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: not process.is_alive(first))
    control.up([listener], silent)
    assert state(listener) == "serving"


# On SIGTERM it serves nobody any more, and takes its time to go: a JVM of some size does so on SIGKILL.
SLOW_TO_GO = """
import signal, socket, sys, time
def go(number, frame):
    listening.close()
    time.sleep(1)
    sys.exit()
signal.signal(signal.SIGTERM, go)
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
time.sleep(600)
"""


def test_a_service_on_its_way_out_is_not_waited_for_but_started_again(listener: Listener) -> None:
    listener.script = SLOW_TO_GO
    control.up([listener], silent)
    first = process.recorded(listener.folder)
    assert first
    os.kill(first.pid, signal.SIGTERM)
    wait_until(lambda: not answers(listener.port))
    assert process.is_alive(first)
    control.up([listener], silent)
    assert state(listener) == "serving"
    assert not process.is_alive(first)


# The first thread is gone, which makes a zombie of the process, and another one still listens.
HEADLESS = """
import ctypes, socket, sys, threading, time
listening = socket.create_server(("127.0.0.1", int(sys.argv[1])))
threading.Thread(target=time.sleep, args=[600]).start()
ctypes.CDLL(None).pthread_exit(None)
"""


def test_a_process_is_not_gone_before_its_last_thread(listener: Listener) -> None:
    listener.script = HEADLESS
    control.up([listener], silent)
    record = process.recorded(listener.folder)
    assert record
    wait_until(lambda: psutil.Process(record.pid).status() == psutil.STATUS_ZOMBIE)
    assert (process.is_alive(record), answers(listener.port)) == (True, True)
    assert process.stop(listener.folder) == 1
    assert not answers(listener.port)


def test_a_recycled_pid_is_never_taken_for_ours(tmp_path: Path) -> None:
    """Another program has got the pid of a service of ours that is long gone."""
    stranger = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        record = {
            "pid": stranger.pid,
            "began": began_at(stranger.pid) - 1,
            "boot": process.boot_name(),
            "since": "2026-11-23T03:00:00+00:00",
            "mark": f"{tmp_path}:0",
            "command": ["kafka"],
        }
        (tmp_path / "process.json").write_text(json.dumps(record))
        found = process.recorded(tmp_path)
        assert found is not None
        assert not process.is_alive(found)
        assert process.stop(tmp_path) == 0
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_service_is_known_whatever_the_clock_is_set_to(listener: Listener, monkeypatch: pytest.MonkeyPatch) -> None:
    control.up([listener], silent)
    record, machine_began = process.recorded(listener.folder), psutil.boot_time()
    assert record
    monkeypatch.setattr("psutil._psplatform.boot_time", lambda: machine_began + 3600)
    monkeypatch.setattr(process, "MARK", "OF_ANOTHER")  # who overwrites their environment has the session only
    assert [one.pid for one in process.members(listener.folder)] == [record.pid]
    control.up([listener], silent)
    assert (state(listener), process.recorded(listener.folder)) == ("serving", record)


def test_a_record_of_before_the_machine_began_anew_is_of_nobody(
    monkeypatch: pytest.MonkeyPatch, family: process.Record, tmp_path: Path
) -> None:
    """Whoever has that process id, or is of that session, is another now; its leader there or not."""
    monkeypatch.setattr(process, "TERM_PATIENCE_SECONDS", 0.1)  # one of the family is stubborn
    folder, other = tmp_path / "family", tmp_path / "another start"
    other.write_text("another start")
    for leader_is_there in (True, False):
        with monkeypatch.context() as patch:
            patch.setattr(process, "MARK", "OF_ANOTHER")  # who overwrites their environment has the session only
            mine = {one.pid for one in process.members(folder)}
            assert ((family.pid in mine), len(mine) >= 1) == (leader_is_there, True)
            patch.setattr(process, "BOOT_ID", other)
            assert (process.is_alive(family), process.members(folder)) == (False, [])
        if leader_is_there:
            os.kill(family.pid, signal.SIGKILL)
            os.waitpid(family.pid, 0)


def test_a_misspelt_service_lists_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="kafak.*kafka, connect, airflow"):
        services(Settings(home=tmp_path), ["kafak"])


def test_outside_addresses_take_the_place_of_ours_unless_they_are_ours(tmp_path: Path) -> None:
    outside = Settings(home=tmp_path, kafka_bootstrap_servers="k:9092", spark_remote="sc://s", airflow_url="http://a/")
    assert [service.outside for service in services(outside)] == ["k:9092", "sc://s", "http://a"]
    own = {service.name: service.address for service in services(Settings(home=tmp_path))}
    named = Settings(
        home=tmp_path, kafka_bootstrap_servers=own["kafka"], spark_remote=own["connect"], airflow_url=own["airflow"]
    )
    assert [service.outside for service in services(named)] == ["", "", ""]


def test_a_broker_of_our_own_keeps_its_topics_over_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    like_an_option = UUID(bytes=b"\xf8" + bytes(15))  # in letters "-AAA…": one id in 64 begins so
    monkeypatch.setattr("jobs.lake.services.kafka.uuid4", lambda: like_an_option)
    settings = Settings(home=tmp_path, kafka_port=free_port(), kafka_controller_port=free_port(), kafka_memory_mb=256)
    kafka = services(settings, ["kafka"])
    try:
        control.up(kafka, silent)
        ids = topic_ids(settings)
        assert set(ids) == set(TOPICS)
        assert ensure_topics(settings) == []
        views = dict.fromkeys(range(settings.fact_partitions), 0)
        begins, ends = extents(settings, FACTS)
        assert begins["views"] == ends["views"] == end_offsets(settings, FACTS)["views"] == views
        control.down(kafka, silent)
        control.up(kafka, silent)
        assert topic_ids(settings) == ids
    finally:
        control.down(kafka, silent)
    assert process.members(kafka[0].folder) == []


def test_tasks_of_airflow_get_the_broker_the_warm_server_and_the_lake_in_use(tmp_path: Path) -> None:
    (airflow,) = services(
        Settings(home=tmp_path, kafka_bootstrap_servers="k:9092", spark_connect_port=4711), ["airflow"]
    )
    airflow.prepare()
    given = airflow.environment()
    assert given["KAFKA_BOOTSTRAP_SERVERS"] == "k:9092"
    assert given["SPARK_REMOTE"] == "sc://127.0.0.1:4711"
    assert given["REELHOUSE_HOME"] == str(tmp_path)
    assert given["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] == f"{airflow.address}/execution/"


def test_what_makes_everybody_an_administrator_listens_on_loopback_only(tmp_path: Path) -> None:
    (airflow,) = services(Settings(home=tmp_path), ["airflow"])
    airflow.prepare()
    given = airflow.environment()
    assert given["AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS"] == "True"
    assert given["AIRFLOW__API__HOST"] == "127.0.0.1"
    assert (airflow.folder / "home").stat().st_mode & 0o077 == 0
