"""A request for a backfill is read whole, or refused in one line that says where and what to write instead."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from jobs.lake.backfills.request import FOLDER, file_of, read_request
from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, UsersSlice
from jobs.lake.errors import UsageError
from jobs.lake.promises.backfills import check_backfills
from jobs.lake.settings import ROOT

SCHEMAS = ROOT / "schemas"
DAYS = {"by": "days", "from": "2026-03-01", "to": "2026-03-05", "each": 2}
GOOD: dict[str, Any] = {"name": "r", "table": "gold.funnel_attempts", "reason": "why", "owner": "me", "slices": DAYS}
NO_FUNNEL = {"by": "funnels", "versions": ["checkout@99"]}
REFUSED = {
    "a table that follows": (
        {"table": "gold.funnel_daily"},
        "table: .*; it follows .*: write table: gold.funnel_attempts",
    ),
    "a table of everybody": (
        {"table": "gold.user_scores"},
        "table: .*; .* as a whole: `reelhouse build scores --full`",
    ),
    "a table ingest writes": ({"table": "silver.views"}, "table: .*; ingest alone writes it; `reelhouse replay`"),
    "a table nobody promised": ({"table": "gold.funel"}, "table: no table 'gold.funel' is promised"),
    "slices of another kind": ({"table": "silver.sessions"}, "slices.by: .*no slices by days; write by: users"),
    "no kind": ({"slices": {"from": "2026-03-01"}}, "slices: Unable to extract tag"),
    "a day that is none": ({"slices": DAYS | {"to": "2026-02-30"}}, "slices.days.to: "),
    "days backwards": ({"slices": DAYS | {"to": "2026-02-01"}}, "slices: are 0; ask for 1 to 1000"),
    "too many": ({"slices": {"by": "users", "buckets": 1001}}, "slices: are 1001; ask for 1 to 1000"),
    "no such funnel": ({"slices": NO_FUNNEL}, "slices.versions: checkout@99 is no funnel; .*checkout@1"),
    "no version": ({"slices": NO_FUNNEL | {"versions": ["checkout"]}}, "slices.funnels.versions.0: "),
    "no reason": ({"reason": ""}, "reason: String should have at least 1 character"),
    "a word too many": ({"until": 1}, "until: Extra inputs"),
    "another name than its file": ({"name": "q"}, "name: is 'q'; write 'r', as its file"),
}


def written(folder: Path, **changed: Any) -> Path:
    file = folder / "r.yaml"
    file.write_text(yaml.safe_dump(GOOD | changed))
    return file


def test_days_users_and_funnels_are_cut_into_slices(tmp_path: Path) -> None:
    days = read_request(written(tmp_path), SCHEMAS).slices.slices()
    assert days == tuple(DaysSlice(tuple(date(2026, 3, n) for n in some)) for some in ((1, 2), (3, 4), (5,)))
    assert [one.name for one in days] == ["2026-03-01..2026-03-02", "2026-03-03..2026-03-04", "2026-03-05"]
    by_users = read_request(written(tmp_path, table="silver.sessions", slices={"by": "users", "buckets": 2}), SCHEMAS)
    assert by_users.slices.slices() == (UsersSlice(1, 2), UsersSlice(2, 2))
    versions = {"by": "funnels", "versions": ["checkout@1", "checkout@1"]}
    assert read_request(written(tmp_path, slices=versions), SCHEMAS).slices.slices() == (FunnelSlice("checkout", 1),)


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_done_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    changed, told = REFUSED[name]
    with pytest.raises(UsageError, match=f"^{tmp_path}/r.yaml: {told}") as refused:
        read_request(written(tmp_path, **changed), SCHEMAS)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (yaml.safe_dump(GOOD).replace("'2026-03-05'", "2026-02-30").encode(), "is no YAML: day is out of range"),
        (b"name: \xff\xfe", "is no YAML: 'utf-8' codec"),
        (b"name: [r\nowner: me", "is no YAML: expected ',' .* on line 2"),
        (b"", "has no fields; write `name: "),
        (b"- name", "has no fields; write `name: "),
    ],
    ids=["a day no calendar has", "no text", "no YAML", "empty", "a list"],
)
def test_what_is_no_request_at_all_is_refused_in_one_line(tmp_path: Path, text: bytes, told: str) -> None:
    file = tmp_path / "r.yaml"
    file.write_bytes(text)
    with pytest.raises(UsageError, match=rf"^{tmp_path}/r.yaml: ?{told}.*; see infra/backfills/README.md$"):
        read_request(file, SCHEMAS)


def test_a_file_that_is_none_or_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="x.yaml: is not there; infra/backfills has .*first_week_of_march.yaml"):
        read_request(tmp_path / "x.yaml", SCHEMAS)
    (tmp_path / "y.yaml").write_text("a: [")
    with pytest.raises(UsageError, match="y.yaml: is no YAML: .*; see infra/backfills/README.md"):
        read_request(tmp_path / "y.yaml", SCHEMAS)


def test_a_request_is_asked_for_by_its_file_or_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    file = FOLDER / "first_week_of_march.yaml"
    assert read_request(file_of(Path("first_week_of_march")), SCHEMAS) == read_request(file, SCHEMAS)
    with pytest.raises(UsageError, match="^second_week: is not there; infra/backfills has first_week_of_march.yaml"):
        read_request(file_of(Path("second_week")), SCHEMAS)


def test_words_that_say_why_may_change_under_way_and_what_is_asked_for_may_not(tmp_path: Path) -> None:
    first = read_request(written(tmp_path), SCHEMAS).fingerprint
    assert read_request(written(tmp_path, reason="other words", owner="you"), SCHEMAS).fingerprint == first
    assert read_request(written(tmp_path, slices=DAYS | {"each": 3}), SCHEMAS).fingerprint != first


def test_make_check_reads_every_request_we_ship(tmp_path: Path) -> None:
    assert list(FOLDER.glob("*.yaml"))
    assert [str(problem) for problem in check_backfills(SCHEMAS)] == []
    (tmp_path / "schemas").symlink_to(SCHEMAS)
    (tmp_path / "infra" / "backfills").mkdir(parents=True)
    written(tmp_path / "infra" / "backfills", table="gold.funnel_daily")
    (line,) = (str(problem) for problem in check_backfills(tmp_path / "schemas"))
    assert line.startswith("infra/backfills/r.yaml: table: gold.funnel_daily is not made anew by slices; it follows")
