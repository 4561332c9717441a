"""`--release`: readers ask for everything as it was when a release of any family came out."""

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import UsageError
from jobs.lake.identity import ensure_key_file, pseudonym_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, publish, release_id
from jobs.lake.settings import Settings
from jobs.serve.instants import asked_moment
from tests.jobs.serve.filled import FILLED, filled

AT = FILLED["timestamp"]
DAILY, NEWEST, HISTORY = "gold.funnel_daily", "gold.user_profiles", "gold.user_profiles_history"
FUNNEL = "SELECT sum(attempts_count)::INT AS n FROM gold.funnel_daily"


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Funnels at 1, profiles at 2, funnels at 3 (and tidied by upkeep), profiles at 4."""
    made = Settings(home=tmp_path_factory.mktemp("home"))
    ensure_key_file(made.keys_path)
    ann = {"user_id": pseudonym_of("u-ann", made.keys_path)}
    cell = {"funnel": "shop", "funnel_version": 1, "entry_date": date(2026, 6, 7), "breakdown": "total",
            "breakdown_value": "(all)", "step_number": 1, "step": "viewed"}  # fmt: skip
    for number, hour in ((1, 0), (2, 2)):
        cut = {**cell, "attempts_count": number, "mature_attempts_count": number}
        release(made, "funnels", number, hour, "run-f", {DAILY: cut | {"entry_date": date(2026, 6, number)}})
        word = "new" if number == 1 else "core"
        person = ann | {"lifecycle": word}
        history = person | {"known_from": AT + timedelta(hours=hour + 1)}
        release(made, "profiles", number, hour + 1, "run-p", {NEWEST: person, HISTORY: history})
    release(made, "funnels", 3, 2, "run-f", {})
    return made


def release(made: Settings, family: str, number: int, hour: int, run: str, rows: dict[str, dict[str, Any]]) -> None:
    """Add a row to each of these tables and publish them."""
    ledger = Ledger(made)
    for table, row in rows.items():
        ledger.append(table, [filled(made, table, row)])
    common: dict[str, Any] = {"slices": (), "ingest_seq": 1, "watermark": None, "contract_version": "1.0.0"}
    common |= {"verdict": "passed", "run_id": f"{run}{min(number, 2)}", "rows": 1}
    lines = [
        Publication(
            release_id(family, number), family, table, ledger.version(table), known_from=AT + timedelta(hours=hour),
            **common,
        )
        for table in rows or [DAILY]
    ]  # fmt: skip
    publish(ledger, family, number, lines)


def said(settings: Settings, monkeypatch: pytest.MonkeyPatch, *words: str) -> list[dict[str, Any]]:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    ended = CliRunner().invoke(build_app(), [*words, "--format", "json"], catch_exceptions=False)
    rows: list[dict[str, Any]] = json.loads(ended.stdout)
    return rows


@pytest.mark.parametrize(
    ("release", "attempts", "lifecycle"),
    [("profiles-000001", 1, "new"), ("funnels-000002", 3, "new"), ("funnels-000003", 3, "new"),
     ("profiles-000002", 3, "core")],
)  # fmt: skip
def test_all_families_are_read_as_they_were_when_it_came_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, release: str, attempts: int, lifecycle: str
) -> None:
    assert said(settings, monkeypatch, "sql", FUNNEL, "--release", release) == [{"n": attempts}]
    (step,) = said(settings, monkeypatch, "funnel", "show", "shop", "--release", release)
    assert step["attempts"] == attempts
    (known,) = said(settings, monkeypatch, "profile", "u-ann", "--release", release)
    assert known["lifecycle"] == lifecycle


def test_a_release_that_is_not_there_or_one_moment_too_many_is_refused(settings: Settings) -> None:
    with pytest.raises(UsageError, match="no release 'funnels-9'; the newest are funnels-000003, profiles-000002"):
        asked_moment(settings, "", "funnels-9")
    with pytest.raises(UsageError, match="write one of them"):
        asked_moment(settings, "2026-06-08T01:00:00Z", "funnels-000001")
    with pytest.raises(UsageError, match="no release 'x'; the newest are none yet"):
        asked_moment(Settings(home=Path("nowhere")), "", "x")


def test_a_release_that_another_of_the_same_time_replaced_is_refused(tmp_path: Path) -> None:
    made = Settings(home=tmp_path)
    release(made, "funnels", 1, 0, "one", {DAILY: {"attempts_count": 1}})
    release(made, "funnels", 2, 0, "other", {DAILY: {"attempts_count": 2}})
    with pytest.raises(UsageError, match="funnels-000001 has the time of funnels-000002, which took its place"):
        asked_moment(made, "", "funnels-000001")
