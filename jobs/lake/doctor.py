"""What this machine lacks to run Reelhouse, in plain words, and what to do about each."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

import psutil

from jobs.lake.ailments import ailments, known_files
from jobs.lake.contracts import all_tables
from jobs.lake.errors import BrokerError, SettingsError
from jobs.lake.file_digests import TABLE as DIGESTS
from jobs.lake.file_digests import unnoted
from jobs.lake.hours import untold
from jobs.lake.ingest.planning import changed
from jobs.lake.ingest.progress import BOOKS, HOURS, SEQUENCES, progress, uncounted
from jobs.lake.jars import allowed_jars, wrong_jars
from jobs.lake.java import GOOD_MAJORS, REMEDY, complaint, find_java
from jobs.lake.ledger import Ledger
from jobs.lake.lost_commits import lost_commits
from jobs.lake.scanning import is_local
from jobs.lake.services import process, services
from jobs.lake.services.service import Service, answers
from jobs.lake.settings import ROOT, Settings

GIB = 2**30
DISK_BLOCKS_GIB, DISK_WARNS_GIB = 2, 10  # the demo writes under 1 GiB; Spark spills beside it
AIRFLOW_MB, JOBS_MB = 1400, 1500  # measured: standalone with two workers; one job beside them
LOCK_OF = {".venv": "jobs.txt", ".venv-airflow": "airflow.txt"}
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


class Verdict(StrEnum):
    """How bad it is."""

    ok = "ok"
    warning = "warning"
    blocks = "blocks"


@dataclass(frozen=True)
class Finding:
    """One thing looked at: what was found, and what to do when it is not ok."""

    subject: str
    verdict: Verdict
    found: str
    remedy: str = ""

    def row(self) -> dict[str, object]:
        """The finding for a table or JSON."""
        return asdict(self)


OUT_OF_SIGHT = Finding(
    "tables", Verdict.warning, "not looked at: the lake lies in an object store, which keeps checksums of its own",
    "`reelhouse books` says what became of every record; see docs/runbooks/lake.md",
)  # fmt: skip


def examine(settings: Settings) -> list[Finding]:
    """Look at everything; never raises for what it finds."""
    return [
        java(),
        *(environment(folder) for folder in LOCK_OF),
        jars(settings),
        *ports(services(settings)),
        disk(settings.home),
        memory(settings),
        cores(settings),
    ]


def examine_lake(settings: Settings) -> list[Finding]:
    """Look at every file of every table, and at the topics; never raises for what it finds."""
    if not is_local(settings.lake_root):
        return [OUT_OF_SIGHT, *numbers_counted(settings), *topics_read(settings)]
    hurt = [Finding(one.table, Verdict.blocks, f"{one.kind}: {one.file} {one.found}", one.remedy)
            for one in ailments(settings) or lost_commits(settings)]  # fmt: skip
    is_unknown = any(one.subject == BOOKS for one in hurt)
    is_told = not any(one.subject in (BOOKS, SEQUENCES) for one in hurt)
    unread = Finding("topics", Verdict.warning, "not looked at: the books cannot be read", f"mend {BOOKS} first")
    is_by_hour = not any(one.subject in (BOOKS, HOURS) for one in hurt)
    numbers = [*(hours_counted(settings) if is_by_hour else []), *(numbers_counted(settings) if is_told else [])]
    return [*(hurt or [whole(settings)]), *numbers, *([unread] if is_unknown else topics_read(settings))]


def whole(settings: Settings) -> Finding:
    """What to say of tables of which nothing is wrong; of none that nothing was looked at."""
    if any(map(Ledger(settings).exists, all_tables(settings.schemas_dir))):
        said = f"every file of {settings.lake_root} can be read, and no row is missing{files_noted(settings)}"
        return Finding("tables", Verdict.ok, said)
    said = f"not looked at: no table was made in {settings.lake_root}"
    return Finding("tables", Verdict.warning, said, "is REELHOUSE_LAKE_URI, or REELHOUSE_HOME, that of your lake?")


def files_noted(settings: Settings) -> str:
    """In words of how many files it is not noted what they were: a bit that is flipped in them may not be seen."""
    new = unnoted(Ledger(settings), known_files(settings))
    return f"; {new} are not noted yet in {DIGESTS}, `reelhouse upkeep` does" if new else ""


def hours_counted(settings: Settings) -> list[Finding]:
    """Batches that are not told by hour: of an older lake, or lost."""
    return to_be_counted(HOURS, untold(Ledger(settings)), "{} are not told whole by hour")


def numbers_counted(settings: Settings) -> list[Finding]:
    """Batches whose producers' numbers are not counted: of an older lake, or of a repair that was killed."""
    return to_be_counted(SEQUENCES, uncounted(Ledger(settings)), "producers' numbers of {} are not counted")


def to_be_counted(table: str, batches: list[int], said: str) -> list[Finding]:
    """What to say where a table of the ledger lacks some batches; nothing where it lacks none."""
    if not batches:
        return []
    words = said.format(f"{len(batches)} batches ({batches[0]}–{batches[-1]})")
    return [Finding(table, Verdict.warning, words, f"run `reelhouse repair {table}`")]


def topics_read(settings: Settings) -> list[Finding]:
    """The topics are those that were read before, and hold all that was not."""
    try:
        found = changed(settings, progress(Ledger(settings)))
    except BrokerError as away:
        return [Finding("topics", Verdict.warning, str(away), "`make up`, or look again later")]
    hurt = [Finding("topics", Verdict.blocks, f"{each.change}: {each.said}",
                    f"{each.remedy}; see docs/runbooks/topics.md") for each in found]  # fmt: skip
    return hurt or [Finding("topics", Verdict.ok, "are those that were read before, and hold what was not")]


def java() -> Finding:
    """A Java that Spark and Kafka can run on."""
    try:
        found = find_java()
    except SettingsError as none:
        return Finding("java", Verdict.blocks, str(none).partition(";")[0], REMEDY)
    reason = complaint(found)
    if reason:
        return Finding("java", Verdict.blocks, f"{found.command}: {reason}", REMEDY)
    said = f"{found.written_version} at {found.command}"
    if found.version[0] not in GOOD_MAJORS:
        return Finding("java", Verdict.warning, f"{said}: not tried with Spark 4.2", REMEDY)
    return Finding("java", Verdict.ok, said)


def environment(folder: str, root: Path = ROOT) -> Finding:
    """A Python environment that was made from the lock as it is now."""
    lock = root / "infra" / "locks" / LOCK_OF[folder]
    stamp = root / folder / ".lock-in-step"
    if not (root / folder / "bin" / "python").exists():
        return Finding(folder, Verdict.blocks, "is not there", "run `make setup`")
    if (root / folder / ".setting-up").exists():
        return Finding(folder, Verdict.blocks, "its set-up was interrupted", "run `make setup`")
    if not stamp.is_file() or stamp.read_text().strip() != hashlib.sha256(lock.read_bytes()).hexdigest():
        return Finding(folder, Verdict.warning, f"was not made from {lock.name} as it is now", "run `make setup`")
    return Finding(folder, Verdict.ok, f"in step with {lock.name}")


def jars(settings: Settings) -> Finding:
    """Every jar of the allow-list with its checksum."""
    wrong = wrong_jars(settings.jars_dir)
    if wrong:
        names = ", ".join(jar.file_name for jar in wrong[:3])
        found = f"{len(wrong)} of {len(allowed_jars())} missing or not what their checksum says: {names}"
        return Finding("jars", Verdict.blocks, found, "run `rm -f .jars/.in-step && make setup`")
    return Finding("jars", Verdict.ok, f"{len(allowed_jars())} with the right checksums in {settings.jars_dir}")


def ports(ours: Iterable[Service]) -> Iterator[Finding]:
    """Each port of a service of ours is free, or ours already."""
    for service in ours:
        if service.outside:
            yield Finding(f"{service.name} port", Verdict.ok, f"not needed: outside one at {service.outside}")
            continue
        running = bool(process.members(service.folder))
        for setting, port in service.ports.items():
            yield _port(service.name, setting, port, running=running)


def _port(name: str, setting: str, port: int, *, running: bool) -> Finding:
    subject = f"{name} port"
    if not answers(port):
        return Finding(subject, Verdict.ok, f"{port} is free")
    if running:
        return Finding(subject, Verdict.ok, f"{port} is ours")
    return Finding(subject, Verdict.blocks, f"{port} is taken by another program", f"free it, or set {setting}")


def disk(home: Path) -> Finding:
    """Room where the lake grows, and leave to write there."""
    there = next(folder for folder in (home, *home.parents) if folder.exists())
    free = shutil.disk_usage(there).free / GIB
    if not os.access(there, os.W_OK):
        return Finding("disk", Verdict.blocks, f"{there} may not be written", "set REELHOUSE_HOME to a folder of yours")
    said, remedy = f"{free:.1f} GiB free at {home}", "free some, or set REELHOUSE_HOME to a roomier disk"
    if free < DISK_BLOCKS_GIB:
        return Finding("disk", Verdict.blocks, said, remedy)
    return (
        Finding("disk", Verdict.warning, said, remedy) if free < DISK_WARNS_GIB else Finding("disk", Verdict.ok, said)
    )


def memory(settings: Settings) -> Finding:
    """Memory for all services and one job, counting what ours hold already as available."""
    chosen = [service for service in services(settings) if not service.outside]
    held = sum(process.memory_bytes(process.members(service.folder)) for service in chosen)
    free = (_available_bytes() + held) / GIB
    needed = _needed_mb(settings, {service.name for service in chosen}) / 1024
    said = f"{free:.1f} GiB to be had, about {needed:.1f} needed"
    remedy = "close other programs, or lower REELHOUSE_SPARK_MEMORY_MB (not below 1024)"
    if free < needed / 2:
        return Finding("memory", Verdict.blocks, said, remedy)
    return Finding("memory", Verdict.warning, said, remedy) if free < needed else Finding("memory", Verdict.ok, said)


def _needed_mb(settings: Settings, ours: set[str]) -> int:
    """JVMs take about a quarter beside their heap."""
    heaps = {"kafka": settings.kafka_memory_mb, "connect": settings.spark_memory_mb}
    return JOBS_MB + sum(heaps.get(name, 0) * 5 // 4 for name in ours) + (AIRFLOW_MB if "airflow" in ours else 0)


def _available_bytes() -> int:
    """What the machine, or the container we are in, still has."""
    available = int(psutil.virtual_memory().available)
    try:
        limit = int(CGROUP_LIMIT.read_text())
        used = int(CGROUP_LIMIT.with_name("memory.current").read_text())
    except (OSError, ValueError):
        return available  # no container, or one without a limit
    return min(available, limit - used)


def cores(settings: Settings) -> Finding:
    """Enough cores for what Spark is told to use."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    said = f"{there}, Spark uses {settings.spark_cores}"
    if there < settings.spark_cores:
        return Finding("cores", Verdict.warning, said, "set REELHOUSE_SPARK_CORES lower; all will be slow")
    return Finding("cores", Verdict.ok, said)
