"""B12: what a small job costs from nothing to its end: on our warm Connect server, with a JVM of its own, in DuckDB.

Each run is a fresh process, as a task of Airflow is. The answer compared is what the job says it wrote.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from jobs.lake.java import good_java
from jobs.lake.services.connect import Connect
from jobs.lake.services.process import members
from jobs.lake.settings import ROOT, Settings
from tests.bench.harness import Contender
from tests.bench.places import Shelf, own_services, own_settings

ROWS = 100
SCENES = ("short_video", "live", "mall", "search")
JVM, NEW, DUCKDB, OURS = "a JVM that does nothing", "a new JVM per task", "a DuckDB process", "ours: warm Connect"
QUERY = "of ours: a query that writes nothing"
AIM = "a warm job within 3 s"


def verdict(medians: Mapping[str, float]) -> str:
    """How ours stands to its aim."""
    seconds, faster = medians[OURS], medians[NEW] / medians[OURS]
    return f"{'Met' if seconds <= 3 else 'Missed'}: {seconds:.1f} s, {faster:.1f} × as fast as a new JVM."


@contextmanager
def arena(folder: Path, scale: float) -> Iterator[tuple[str, list[Contender]]]:
    """A warm server and a table of a hundred rows, whatever the scale."""
    settings = own_settings(folder)
    server = Connect(settings)
    with own_services(server):
        make_table(folder / "source")
        yield f"start: a job over {ROWS} rows, each in a fresh process", contenders(settings, server, folder)


def contenders(settings: Settings, server: Connect, folder: Path) -> list[Contender]:
    """Ours, the limit and the peers; the server stands aside while others run."""
    source, cold = folder / "source", settings.as_environment()
    warm, outside = (
        cold | {"SPARK_REMOTE": server.address},
        {"aside": lambda: [each.pid for each in members(server.folder)]},
    )
    return [
        Contender(JVM, bare_jvm, "limit", "java -version", **outside),
        job(NEW, "spark", source, folder / "new", cold, note=f"local[{settings.spark_cores}]", **outside),
        job(DUCKDB, "duckdb", source, folder / "duckdb", cold, note="writes by delta-rs", **outside),
        job(QUERY, "query", source, folder / "query", warm, role="part", note="what is left without Delta's commit"),
        job(OURS, "spark", source, folder / "ours", warm, role="ours", note="figures with the server's"),
    ]  # fmt: skip


def job(
    name: str, how: str, source: Path, folder: Path, environment: Mapping[str, str], *, role: str = "peer",
    note: str = "", **more: object,
) -> Contender:  # fmt: skip
    """The small job, to a place that is new each time."""
    shelf = Shelf(folder)
    return Contender(
        name, lambda: fresh(how, source, shelf.path / "sums", environment), role, note, before=shelf.renew, **more  # type: ignore[arg-type]
    )  # fmt: skip


def fresh(how: str, source: Path, target: Path, environment: Mapping[str, str]) -> tuple[int, int]:
    """Run the small job in a process of its own and return what it says."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("SPARK_", "REELHOUSE_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.small_job", how, str(source), str(target)],
        env=inherited | dict(environment), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"the small job by {how} ended with {done.returncode}: {done.stderr[-2000:]}")
    rows, people = json.loads(done.stdout.splitlines()[-1])
    return rows, people


def bare_jvm() -> None:
    """Start Java and end it."""
    subprocess.run([str(good_java().command), "-version"], capture_output=True, check=True)


def make_table(path: Path) -> tuple[int, int]:
    """A small gold-like table; returns what the job should say of it."""
    import pyarrow as pa
    from deltalake import write_deltalake

    scenes = [SCENES[number % len(SCENES)] for number in range(ROWS)]
    write_deltalake(str(path), pa.table({"scene": scenes, "people": pa.array(range(ROWS), pa.int64())}))
    return len(SCENES), sum(range(ROWS))
