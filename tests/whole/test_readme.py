"""Every command the README shows runs as it is written."""

import re
import shlex
import time

import pytest

from jobs.demo.airflow import Airflow
from tests.whole.conftest import COMMAND, LONGEST_SECONDS, ROOT

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, flags=re.DOTALL)
SHELL = [line.split("  #")[0].strip() for kind, text in BLOCKS if kind == "sh" for line in text.splitlines()]
COMMANDS = [line.removeprefix(".venv/bin/reelhouse ") for line in SHELL if line.startswith(".venv/bin/reelhouse ")]
JOBS = ("ingest",)
TARGETS = re.findall(r"`?make ([a-z-]+)", README)
VIEW = (
    '{"kind": "play", "user_id": "reader-1", "scene": "short_video", "source": "search", "video_id": "v-1", '
    '"event_time": 1700000000000000, "watch_ms": 4000, "duration_ms": 9000}\n'
)
REES46 = (
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\r\n"
    "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,"
    "72d76fde-8bb3-4e00-8c23-a032dfed738c\r\n"
)


@pytest.fixture(scope="module")
def desk(shop, tmp_path_factory):
    """A folder with the files a reader is supposed to have; Airflow's own ingest would hold the reader's off."""
    airflow = Airflow(f"http://127.0.0.1:{shop.env['REELHOUSE_AIRFLOW_PORT']}")
    airflow.call("PATCH", "/dags/ingest", json={"is_paused": True})
    while any(run["state"] == "running" for run in airflow.runs("ingest")):
        time.sleep(0.5)  # pytest's own time limit ends it
    folder = tmp_path_factory.mktemp("desk")
    (folder / "my_views.jsonl").write_text(VIEW, encoding="utf-8")
    (folder / "path" / "to").mkdir(parents=True)
    (folder / "path" / "to" / "2019-Oct.csv").write_text(REES46, encoding="utf-8")
    return folder


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 6


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_of_the_readme_runs(shop, desk, line):
    done = shop.run(*shlex.split(line), cwd=desk, command=(COMMAND,))
    assert done.returncode == 0, done.stderr
    # A job's words go to stderr, its result to a file; whoever reads or sends gets rows on stdout.
    said = done.stdout if line not in JOBS else "".join(re.findall(rf"^{line}: .+", done.stderr, flags=re.MULTILINE))
    assert said.strip()


def test_the_python_of_the_readme_runs(shop):
    for text in (text for kind, text in BLOCKS if kind == "python"):
        done = shop.run("-c", text, command=(str(ROOT / ".venv" / "bin" / "python"),))
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("target", sorted(set(TARGETS)))
def test_a_make_target_of_the_readme_exists(target):
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE), target


def test_every_page_the_readme_links_to_exists():
    pages = re.findall(r"\]\(([^)#]+)\)", README)
    assert pages
    assert [page for page in pages if not (ROOT / page).exists()] == []
