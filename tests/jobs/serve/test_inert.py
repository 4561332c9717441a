"""P10: text that would like to be code (SQL, HTML, a path, a terminal's orders, a line of a log) is shown as text."""

import json
import re
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app, main
from jobs.lake.identity import ensure_key_file, pseudonym_of
from jobs.lake.ledger import Ledger
from jobs.lake.publications import Publication, publish, release_id
from jobs.lake.settings import Settings
from jobs.serve.printing import inert
from tests.jobs.serve.filled import FILLED, filled

VILE = (
    "'; DROP TABLE x; --\" OR 1=1", "<script>alert(1)</script><img src=x onerror=alert(1)>", "../../../etc/passwd",
    "\x1b]0;owned\x07\x1b[2J\x1b[31m", "a\nERROR forged line\r\nlevel=info", "\x9b2J\x7f\x08\u202etxt.exe\u2066\uffff",
    "[bold red]x[/] [link=http://x]:smile:", "{{ 7 * 7 }} {% raw %}", "%s %n ${x} `id`",
)  # fmt: skip
TEXT = " ".join(VILE)
ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\uffff]")
AT, DAY = FILLED["timestamp"], date(2026, 6, 7)
TABLES: dict[str, list[str]] = {
    "funnels": ["gold.funnel_daily", "gold.funnel_attempts"],
    "profiles": ["gold.user_profiles", "gold.user_profiles_history", "gold.user_interests", "gold.user_interest_days"],
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A lake whose texts are all vile."""
    made = Settings(home=tmp_path_factory.mktemp("home"))
    ensure_key_file(made.keys_path)
    ledger, ann = Ledger(made), {"user_id": pseudonym_of(TEXT, made.keys_path)}
    cell = {"funnel": "shop", "funnel_version": 1, "entry_date": DAY, "breakdown": "scene", "breakdown_value": TEXT,
            "step_number": 1, "step": TEXT, "attempts_count": 3, "mature_attempts_count": 3}  # fmt: skip
    topic = ann | {"topic_kind": "tag", "topic_name": TEXT, "rank": 1, "share_ppm": 9, "interest": Decimal(1)}
    person = ann | {"region": TEXT, "acquisition_channel": TEXT, "is_registered": True, "top_interests": [TEXT]}
    rows: dict[str, list[dict[str, Any]]] = {
        "gold.funnel_daily": [cell, cell | {"breakdown": "total", "breakdown_value": "(all)"}],
        "gold.user_profiles": [person],
        "gold.user_profiles_history": [person | {"known_from": AT}],
        "gold.user_interests": [topic],
        "silver.quarantine": [{"topic": "views", "reasons": ["malformed_json"], "detail": TEXT, "source_uri": TEXT}],
        "ops.runs": [{"run_id": TEXT, "command": "build", "detail": TEXT}],
    }
    for table, each in rows.items():
        ledger.append(table, [filled(made, table, row) for row in each])
    common: dict[str, Any] = {"slices": (), "ingest_seq": 1, "watermark": AT, "contract_version": "1.0.0", "rows": 1}
    common |= {"verdict": "passed", "run_id": "r", "known_from": AT}
    for family, tables in TABLES.items():
        name = release_id(family, 1)
        publish(ledger, family, 1, [Publication(name, family, t, ledger.open(t).version(), **common) for t in tables])
    return made


@pytest.fixture(autouse=True)
def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))


def said(*words: str) -> str:
    ended = CliRunner().invoke(build_app(), [*words], catch_exceptions=False)
    return ended.output


PROFILE = "SELECT region, top_interests, acquisition_channel FROM gold.user_profiles"
COMMANDS = [
    ("sql", PROFILE),
    ("sql", PROFILE, "--format", "json"),
    ("sql", "SELECT MAP {region: region} AS m FROM gold.user_profiles"),
    ("sql", "SELECT run_id, detail FROM ops.runs"),
    ("profile", TEXT),
    ("profile", TEXT, "--format", "json"),
    ("funnel", "show", "shop", "--by", "scene"),
    ("funnel", "show", "shop", "--by", "scene", "--format", "json"),
    ("quarantine",),
    ("quarantine", "--format", "json"),
    ("quarantine", "show", "--reason", "malformed_json"),
    ("quarantine", "show", "--reason", "malformed_json", "--format", "json"),
]


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: words[0])
def test_a_terminal_is_given_no_orders(words: tuple[str, ...]) -> None:
    told = said(*words)
    assert ORDERS.findall(told) == []
    if words[-1] == "json":
        json.loads(told)


def test_what_is_shown_is_the_text_itself_in_every_format() -> None:
    one = "SELECT region FROM gold.user_profiles"
    assert json.loads(said("sql", one, "--format", "json")) == [{"region": TEXT}]
    assert VILE[1] in said("sql", one, "--format", "csv")
    table = said("sql", one)
    for word in ("[bold red]x[/]", ":smile:", "<script>alert(1)</script>", r"\x1b[2J", r"\x9b2J\x7f\x08\u202etxt"):
        assert word in table, word
    assert "[link=http://x]" in said("funnel", "show", "shop", "--by", "scene").replace("\n", "")


def test_the_report_runs_nothing_of_it(tmp_path: Path) -> None:
    said("report", "--output", str(tmp_path / "page.html"))
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)" in page, "it is there, as text"
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "\x1b" not in page


@pytest.mark.parametrize("text", [TEXT, VILE[2]], ids=["all", "path"])
@pytest.mark.parametrize(
    "words",
    [("sql", "SELECT CAST('{}' AS INT)"), ("funnel", "show", "{}"), ("profile", "nobody {}"), ("repair", "{}"),
     ("quarantine", "replay", "--reason", "{}", "--with", "{}"), ("backfill", "plan", "{}"),
     ("history", "gold.funnel_daily", "--key", "funnel={}"), ("sql", "SELECT 1", "--release", "{}")],
    ids=lambda words: words[0],
)  # fmt: skip
def test_an_error_that_quotes_it_orders_nothing_and_changes_nothing(
    words: tuple[str, ...], text: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("sys.argv", ["reelhouse", *(word.replace("{}", text.replace("\x00", "")) for word in words)])
    before = {path for path in settings.home.rglob("*") if "aside" not in path.parts}
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    told = capfd.readouterr().err
    assert ORDERS.findall(told) == []
    assert [line for line in told.splitlines() if line.startswith(("ERROR forged", "level="))] == []
    assert {path for path in settings.home.rglob("*") if "aside" not in path.parts} == before


def test_texts_of_people_stay_as_they_are() -> None:
    for text in ("商店\u3000直播", "👩\u200d👩 é e\u0301", "tab\tline\nend", "עברית"):
        assert inert(text) == text
