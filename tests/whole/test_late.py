"""What comes after the first release goes through Airflow too: late, corrected and replayed events end in what a full
build says, and only the days that they touch are published anew.
"""

import json
from datetime import UTC, datetime

import pytest
from deltalake import DeltaTable
from rich.console import Console

from jobs.demo.airflow import Airflow
from jobs.demo.follow import Follower
from jobs.lake.digest import PER_RUN
from jobs.lake.ledger import Ledger
from jobs.lake.publications import latest
from jobs.lake.scanning import dataset_of
from jobs.lake.settings import Settings
from jobs.lake.staging import Staging
from tests.whole.conftest import LONGEST_SECONDS

pytestmark = pytest.mark.timeout(LONGEST_SECONDS)

FAMILIES = {"funnels": "gold_funnels", "sessions": "silver_sessions"}
LATE, CORRECTED, FIRST = "2026-06-03", "2026-06-06", "2026-06-01"  # of the demo's week, which ends with 2026-06-07
SAME = {"user_id": "late-reader", "scene": "short_video", "source": "search"}


def at(day, minute):
    """Some minutes past ten in Shanghai, as a body says it."""
    return int(datetime.fromisoformat(f"{day}T02:{minute:02}:00").replace(tzinfo=UTC).timestamp()) * 1_000_000


VIEW = SAME | {"kind": "play", "video_id": "v-1", "watch_ms": 9000, "duration_ms": 9000, "event_time": at(LATE, 1)}
LIKE = SAME | {"kind": "like", "video_id": "v-1", "event_time": at(LATE, 2)}
USER = {"kind": "updated", "user_id": "u00000001", "registered_at": at(FIRST, 0), "event_time": at(CORRECTED, 0),
        "city_tier": "tier_5", "birth_year": 1950}  # fmt: skip
SENT = {"views": VIEW, "likes": LIKE, "users": USER}


def waiting(shop):
    return any(row["is_waiting"] and row["family"] in FAMILIES
               for row in json.loads(shop.ask("pending", "--format", "json")))  # fmt: skip


@pytest.fixture(scope="module")
def came(shop, tmp_path_factory):
    """Everything is sent twice and followed through the DAGs."""
    folder = tmp_path_factory.mktemp("late")
    for topic, event in SENT.items():
        (folder / topic).write_text(f"{json.dumps(event)}\n" * 2, encoding="utf-8")
        sent = shop.run("produce", topic, str(folder / topic))
        assert sent.returncode == 0, sent.stderr
    airflow = Airflow(f"http://127.0.0.1:{shop.env['REELHOUSE_AIRFLOW_PORT']}")
    follower = Follower(airflow, Console(), shop.home / "services" / "airflow" / "home" / "logs")
    follower.until_released([follower.begin()], lambda: waiting(shop), minutes=15, dags=("ingest", *FAMILIES.values()))


@pytest.mark.parametrize("family", FAMILIES)
def test_airflow_published_the_days_they_touched_and_no_other(shop, came, family):
    release = latest(Ledger(Settings(home=shop.home)), family)
    assert release.facts.run_id.startswith(f"{FAMILIES[family]}:")
    days = {str(day) for line in release.tables.values() for day in line.slices}
    assert LATE in days
    assert FIRST not in days


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_published_is_what_a_full_build_says(shop, came, family):
    settings = Settings(home=shop.home)
    published = latest(Ledger(settings), family)
    built = shop.run("build", family, "--full")
    assert built.returncode == 0, built.stderr
    staging = Staging(settings, family)
    staged = {table.table: held(staging.path(table.table), table.version) for table in staging.manifest().tables}
    assert staged.keys() == published.tables.keys()
    assert {table: len(rows) for table, rows in staged.items() if not rows} == {}
    assert [table for table, rows in staged.items()
            if rows != held(settings.table_path(table), published.tables[table].version)] == []  # fmt: skip


def held(path, version):
    """The rows of a version without what differs between runs that agree, in a stable order."""
    rows = dataset_of(DeltaTable(path, version=version)).to_table().to_pylist()
    return sorted(repr({name: value for name, value in sorted(row.items()) if name not in PER_RUN}) for row in rows)
