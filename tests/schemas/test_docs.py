"""docs/tables says what the contracts say, and `reelhouse contracts` tells so in its exit code."""

import json

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.contracts import all_tables, contract
from jobs.lake.promises.docs import stale, write_docs
from jobs.lake.settings import ROOT


@pytest.fixture
def reelhouse(schemas, monkeypatch):
    """Run the command line on the small set of promises."""
    monkeypatch.setenv("REELHOUSE_SCHEMAS_DIR", str(schemas))

    def run(*words):
        done = CliRunner().invoke(build_app(), list(words))
        return done.exit_code, done.stdout, done.stderr

    return run


def test_the_docs_we_ship_are_as_the_contracts_say():
    assert [str(problem) for problem in stale(ROOT / "schemas", ROOT / "docs" / "tables")] == []


def test_a_page_names_grain_columns_privacy_checks_and_readers(schemas, tmp_path):
    write_docs(schemas, tmp_path / "docs")
    page = (tmp_path / "docs" / "silver.likes.md").read_text(encoding="utf-8")
    assert "| grain | One row per event_id: the first arrival of each act. (`event_id`) |" in page
    assert "| `user_id` | string | required | personal | user_id of the test |" in page
    assert "| made from | [bronze.events](bronze.events.md) |" in page
    assert "| ids_are_v7 | critical | Every event id is a UUIDv7. |" in page
    bronze = (tmp_path / "docs" / "bronze.events.md").read_text(encoding="utf-8")
    assert "[silver.likes](silver.likes.md)" in bronze
    assert "topic `likes`" in bronze


def test_a_changed_contract_makes_its_page_stale_and_a_gone_table_its_page_go(schemas, edit, tmp_path):
    docs = tmp_path / "docs"
    write_docs(schemas, docs)
    assert stale(schemas, docs) == []
    edit("silver/likes.yaml", "Where it was shared to.", "Whereto.")
    (docs / "gold.gone.md").write_text("old", encoding="utf-8")
    pages = [problem.file.removeprefix("docs/tables/") for problem in stale(schemas, docs)]
    assert pages == ["events.likes.md", "gold.gone.md", "silver.likes.md"]
    write_docs(schemas, docs)
    assert stale(schemas, docs) == []


def test_stale_docs_fail_and_fresh_docs_pass(reelhouse, tmp_path):
    docs = str(tmp_path / "docs")
    assert reelhouse("contracts", "docs", "--check", "--folder", docs)[0] == 2
    assert reelhouse("contracts", "docs", "--folder", docs)[0] == 0
    assert reelhouse("contracts", "docs", "--check", "--folder", docs)[0] == 0


def test_a_bad_contract_ends_with_two_and_one_line_each(reelhouse, edit):
    edit("silver/likes.yaml", "physicalType: timestamp", "physicalType: datetime")
    code, out, err = reelhouse("contracts", "check")
    assert (code, out) == (2, "")
    assert (
        "ContractError: schemas/silver/likes.yaml: column event_time: physicalType: type 'datetime' is none we use"
        in err
    )
    assert "note: no git here" in err


def test_a_patch_of_no_topic_ends_with_two(reelhouse, schemas):
    (schemas.parent / "infra" / "patches").mkdir(parents=True)
    patch = schemas.parent / "infra" / "patches" / "shares.yaml"
    patch.write_text("name: shares\nversion: 1\nowner: o\nwhy: w\ntopic: liks\n", encoding="utf-8")
    code, _, err = reelhouse("contracts", "check")
    assert code == 2
    assert "ContractError: infra/patches/shares.yaml: topic: 'liks' is none; did you mean 'likes'?" in err


def test_problems_come_as_json_alone_on_stdout(reelhouse, edit):
    edit("silver/likes.yaml", "version: 1.1.0", "version: one")
    code, out, _ = reelhouse("contracts", "check", "--format", "json")
    assert code == 2
    assert {"file", "place", "message", "remedy"} == set(json.loads(out)[0])


def test_a_table_is_shown(reelhouse):
    code, out, _ = reelhouse("contracts", "show", "ops.leases", "--format", "json")
    assert code == 0
    assert [column["column"] for column in json.loads(out) if column["grain"]] == ["name", "token", "expires_at"]
    assert "grain" in reelhouse("contracts", "show", "ops.leases")[1]


def test_every_table_is_shown_on_80_columns_with_no_name_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    for table in all_tables(ROOT / "schemas"):
        columns = contract(table, ROOT / "schemas").columns
        told = CliRunner().invoke(build_app(), ["contracts", "show", table]).stdout
        lines = told.splitlines()
        assert max(map(len, lines)) <= 80
        assert [line.split()[0] for line in lines if not line.startswith(" ")] == [column.name for column in columns]
        words = " ".join(told.split())
        assert [column.name for column in columns if " ".join(column.description.split()) not in words] == []
        assert len(lines) < 6 * len(columns)
