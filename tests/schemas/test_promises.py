"""The promises we ship keep their rules; each way of breaking one is told in one line with file, place and remedy."""

from dataclasses import replace

import pytest

from jobs.lake.contracts import all_tables, contract
from jobs.lake.errors import ContractError
from jobs.lake.glossary import read_yaml
from jobs.lake.promises.events import check_events
from jobs.lake.promises.layout import check_layout
from jobs.lake.promises.levels import wrong_levels
from jobs.lake.promises.tables import check_tables
from jobs.lake.settings import ROOT

SCHEMAS = ROOT / "schemas"
BROKEN = read_yaml(ROOT / "tests" / "schemas" / "broken.yaml")


def test_the_promises_we_ship_keep_their_rules():
    problems = [*check_tables(SCHEMAS), *check_events(SCHEMAS), *check_layout(SCHEMAS)]
    assert [str(problem) for problem in problems] == []


@pytest.mark.parametrize("table", all_tables(SCHEMAS))
def test_spark_and_arrow_have_the_promised_columns(table):
    promised = contract(table, SCHEMAS)
    assert tuple(promised.spark_schema().names) == tuple(promised.arrow_schema().names) == promised.names
    assert [column.kind.logical for column in promised.columns]


def test_the_small_set_is_whole(schemas):
    assert [str(problem) for problem in [*check_tables(schemas), *check_events(schemas)]] == []


@pytest.mark.parametrize("name", BROKEN["tables"])
def test_a_broken_table_contract_is_told_in_one_line(schemas, edit, name):
    case = BROKEN["tables"][name]
    edit(case["in"], case["was"], case["becomes"])
    lines = [str(problem) for problem in check_tables(schemas)]
    assert any(line.startswith(case["told"]) for line in lines), lines
    assert all("; " in line and "\n" not in line for line in lines)


@pytest.mark.parametrize("missing", ["latency", "completeness", "quality"])
def test_a_gold_table_promises_latency_completeness_and_quality(missing):
    whole = contract("gold.funnel_daily", SCHEMAS)
    left = replace(whole, promises={name: text for name, text in whole.promises.items() if name != missing})
    assert [(place, words) for place, words, _ in wrong_levels(left)] == [("slaProperties", f"promises no {missing}")]


@pytest.mark.parametrize("name", BROKEN["events"])
def test_a_broken_event_contract_is_told_in_one_line(schemas, edit, name):
    case = BROKEN["events"][name]
    edit(case["in"], case["was"], case["becomes"])
    lines = [str(problem) for problem in check_events(schemas)]
    assert any(line.startswith(case["told"]) for line in lines), lines
    assert all("; " in line and "\n" not in line for line in lines)


def test_a_table_nobody_promised_is_told(schemas):
    with pytest.raises(ContractError, match=r"no table 'gold\.nothing' is promised; write .*gold/nothing\.yaml"):
        contract("gold.nothing", schemas)


def test_path_module_and_test_stand_together(schemas):
    module = schemas.parent / "jobs" / "silver" / "carts.py"
    module.parent.mkdir(parents=True)
    module.write_text("def x() -> None: ...\n\n\ndef build(views): ...\n", encoding="utf-8")
    lines = [str(problem) for problem in check_layout(schemas)]
    assert (
        "schemas/silver/likes.yaml: tests/jobs/silver/test_likes.py is missing; the path is the name: write it" in lines
    )
    assert "jobs/silver/carts.py: builds a table nobody promised; write schemas/silver/carts.yaml" in lines
    assert not [line for line in lines if "ops" in line]


def test_a_funnel_that_is_none_is_told(schemas):
    (schemas / "funnels").mkdir()
    (schemas / "funnels" / "odd.yaml").write_text("name: odd\nversion: 1\nwindow: soon\n", encoding="utf-8")
    lines = [str(problem) for problem in check_layout(schemas) if problem.file.endswith("odd.yaml")]
    assert len(lines) == 1
    assert lines[0].startswith("schemas/funnels/odd.yaml:")
