"""Import borders are kept by ruff, one `ruff.toml` a folder; ruff does not inherit bans, so they are compared here."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("jobs/*/ruff.toml"))
# What each folder must refuse: a line of code -> the name ruff bans.
TRESPASSES = {
    "jobs/definitions": ("from jobs.gold import funnel_daily", "jobs.gold"),
    "jobs/bronze": ("from pyspark.sql.functions import current_timestamp", "pyspark.sql.functions.current_timestamp"),
    "jobs/silver": ("from jobs.lake.tables import Lake", "jobs.lake.tables"),
    "jobs/gold": ("from datetime import datetime\n\ndatetime.now()", "datetime.datetime.now"),
    "jobs/lake": ("from pyspark.sql import SparkSession\n\nSparkSession.builder", "pyspark.sql.SparkSession.builder"),
    "jobs/serve": ("import pyspark", "pyspark"),
    "jobs/simulate": ("import random", "random"),
    "jobs/replay": ("import time\n\ntime.time()", "time.time"),
    "jobs/commands": ("import airflow", "airflow"),
    "dags": ("from jobs.lake.settings import Settings", "jobs"),
}


def bans(folder: str) -> dict[str, dict[str, str]]:
    rules = tomllib.loads((ROOT / folder / "ruff.toml").read_text(encoding="utf-8"))
    return dict(rules["lint"]["flake8-tidy-imports"]["banned-api"])


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_bans_all_that_jobs_bans(folder: str) -> None:
    """`serve` bans pyspark whole, and so all of its parts."""
    whole = tuple(bans(folder))
    missing = [name for name in bans("jobs") if not any(name == ban or name.startswith(f"{ban}.") for ban in whole)]
    assert missing == []


@pytest.mark.parametrize("folder", TRESPASSES)
def test_a_trespass_is_refused(folder: str) -> None:
    code, banned = TRESPASSES[folder]
    asked = ["check", "--select", "TID251", "--output-format", "json", "--stdin-filename", f"{folder}/trespass.py", "-"]
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *asked], input=code, capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert [found["message"].split("`")[1] for found in json.loads(done.stdout)] == [banned]
