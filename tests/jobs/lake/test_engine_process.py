"""The process of the engine of small runs: kept while it is small, gone when it hurts or nobody needs it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow as pa
import pytest

from jobs.lake import engine_process
from jobs.lake.engine_process import ENGINE, EngineDiedError, EngineProcess, held_by
from jobs.lake.errors import LeaseError, TooMuchError
from jobs.lake.settings import Settings
from jobs.lake.small_engine import small_lake

SECONDS = 10.0


@pytest.fixture
def engine() -> Iterator[EngineProcess]:
    made = EngineProcess()
    yield made
    made.end()


def pid_of(engine: EngineProcess) -> int:
    assert engine.process
    return engine.process.pid


def becomes(true: Callable[[], bool]) -> bool:
    until = time.monotonic() + SECONDS
    while not true() and time.monotonic() < until:
        time.sleep(0.05)
    return true()


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def listens(port: int) -> bool:
    with socket.socket() as client:
        client.settimeout(3)
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_the_process_is_kept_and_listens_only_while_a_run_is_at_work(engine: EngineProcess) -> None:
    with engine.listening({}) as port:
        pid = pid_of(engine)
        assert listens(port)
    assert not listens(port)
    with engine.listening({}):
        assert pid_of(engine) == pid
    engine.end()
    assert is_gone(pid)


def test_a_process_that_has_grown_is_ended_after_its_run(engine: EngineProcess) -> None:
    engine.most_kept = 1
    with engine.listening({}):
        pid = pid_of(engine)
        assert not is_gone(pid)
    assert is_gone(pid)
    with engine.listening({}) as port:
        assert pid_of(engine) != pid
        assert listens(port)


def test_what_a_failed_run_was_at_does_not_go_on(engine: EngineProcess) -> None:
    places = []

    def fail() -> None:
        with engine.listening({}) as port:
            places.append((pid_of(engine), port))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    [(pid, port)] = places
    assert is_gone(pid)
    assert not listens(port)
    with engine.listening({}):
        assert pid_of(engine) != pid


def test_an_error_of_ours_keeps_the_process_and_stays_what_it_is(engine: EngineProcess) -> None:
    pids = []

    def decide(*, is_dead: bool) -> None:
        with engine.listening({}):
            pids.append(pid_of(engine))
            if is_dead:
                os.kill(pids[-1], signal.SIGKILL)
            raise LeaseError("lost")

    for is_dead in (False, True):
        with pytest.raises(LeaseError):
            decide(is_dead=is_dead)
    assert pids[0] == pids[1]


def test_a_run_whose_process_is_killed_is_left_to_spark_at_once_and_so_is_the_next(tmp_path: Path) -> None:
    """The system takes the largest for want of memory. PySpark would ask the dead one again for ten minutes."""
    settings, begun = Settings(home=tmp_path, spark_remote="", spark_master=""), time.monotonic()

    def work() -> None:
        with small_lake(settings) as lake:
            os.kill(pid_of(ENGINE), signal.SIGKILL)
            lake.spark.range(3).count()

    with pytest.raises(EngineDiedError, match="ended with -9, perhaps for want of memory"):
        work()
    assert time.monotonic() - begun < SECONDS
    with pytest.raises(TooMuchError, match="was killed"), small_lake(settings):
        pass
    with small_lake(settings) as lake:
        assert lake.spark.range(3).count() == 3


def test_a_death_when_the_work_is_done_does_not_undo_it(
    engine: EngineProcess, caplog: pytest.LogCaptureFixture
) -> None:
    with engine.listening({}):
        os.kill(pid_of(engine), signal.SIGKILL)
    assert "after its work: its process ended with -9" in caplog.text
    with engine.listening({}) as port:
        assert listens(port)


def test_who_is_interrupted_while_it_asks_takes_no_answer_for_another(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.listening({}):
        pid = pid_of(engine)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("select.select", interrupt)
        with pytest.raises(KeyboardInterrupt), engine.listening({}):
            pass
    assert is_gone(pid)
    with engine.listening({}) as port:
        assert listens(port)


def test_one_that_does_not_answer_is_ended(engine: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_process, "ANSWER_SECONDS", 0.0)
    with pytest.raises(EngineDiedError, match="gave no answer"), engine.listening({}):
        pass


def test_what_goes_wrong_at_its_start_is_told(engine: EngineProcess) -> None:
    """Here: a setting that it refuses."""
    with (
        pytest.raises(TooMuchError, match=r"RuntimeError: .*PARALLELISM"),
        engine.listening({"SAIL_EXECUTION__DEFAULT_PARALLELISM": "many"}),
    ):
        pass
    with engine.listening({"SAIL_EXECUTION__DEFAULT_PARALLELISM": "2"}) as port:
        assert listens(port)


def test_what_lies_in_the_folder_where_one_stands_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("json", "psutil", "jobs"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('a file of somebody was run')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [place for place in sys.path if place])
    engine = EngineProcess()
    with engine.listening({}) as port:
        assert listens(port)
    engine.end()


def test_a_process_that_is_killed_between_two_runs_is_not_missed(engine: EngineProcess) -> None:
    with engine.listening({}):
        process = engine.process
    assert process
    process.kill()
    assert process.wait(SECONDS) == -signal.SIGKILL  # a zombie's threads may outlive it for a moment
    with engine.listening({}) as port:
        assert listens(port)


def test_one_that_dies_at_its_orders_says_so(engine: EngineProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "false")
    with pytest.raises(TooMuchError, match="ended with 1"), engine.listening({}):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="Linux tells what is swapped out, and takes a wish")
def test_what_is_swapped_out_counts_and_the_system_takes_it_first(
    engine: EngineProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    with engine.listening({}):
        pid = pid_of(engine)
        assert int(Path(f"/proc/{pid}/oom_score_adj").read_text()) == 500
        resident = held_by(pid)
        told = psutil.Process(pid).memory_full_info()._replace(swap=2**30)
        monkeypatch.setattr(psutil.Process, "memory_full_info", lambda _: told)
        assert held_by(pid) > resident + 2**29


def test_signals_to_all_of_a_terminal_or_a_service_do_not_end_a_run(tmp_path: Path) -> None:
    with small_lake(Settings(home=tmp_path, spark_remote="", spark_master="")) as lake:
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(pid_of(ENGINE), each)
        assert lake.spark.range(3).count() == 3


def test_what_a_function_prints_is_no_answer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    def loud(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            os.write(1, b"said\n")
            sys.stdout.write("so said\n")
            yield batch

    ENGINE.end()  # the next one has this test's pipes
    for _ in range(2):
        with small_lake(Settings(home=tmp_path, spark_remote="", spark_master="")) as lake:
            assert lake.spark.range(3).mapInArrow(loud, "id bigint").count() == 3
    ENGINE.end()
    told = capfd.readouterr()
    assert told.err.count("said") == 4
    assert not told.out


def test_it_ends_with_the_one_that_started_it_however_that_ends(tmp_path: Path) -> None:
    """Also in the middle of a run: what is killed must not write on."""
    program = f"""
import time
from jobs.lake.engine_process import ENGINE
from jobs.lake.settings import Settings
from jobs.lake.small_engine import small_lake
with small_lake(Settings(home={str(tmp_path)!r}, spark_remote="", spark_master="")) as lake:
    print(ENGINE.process.pid, flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        pid = int(parent.stdout.readline())
        assert not is_gone(pid)
        parent.kill()
        assert becomes(lambda: is_gone(pid))
