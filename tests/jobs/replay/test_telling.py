"""What all formats share: ids that stay, order, completeness, pace, and the command."""

import json
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.lake.errors import UsageError
from jobs.lake.event_validator import validator
from jobs.lake.settings import ROOT
from jobs.replay.taobao import read
from jobs.replay.telling.events import complete_at_arrival, told
from jobs.replay.telling.formats import formats, reader
from jobs.replay.telling.local_time import instant, moved
from jobs.replay.telling.log import Log, Stream
from jobs.replay.telling.pace import Pace

SENT = {"sent_time": 1, "producer": {"id": "x", "epoch": 1, "seq": 0}}
TAOBAO = "7,70,700,pv,1511658000\n7,70,700,buy,1511658002\n9,72,701,pv,15"


@pytest.fixture
def taobao(tmp_path) -> Path:
    path = tmp_path / "UserBehavior.csv"
    path.write_text(TAOBAO)
    return path


def test_the_folder_is_the_registry_of_formats():
    assert formats() == ["kuairand", "olist", "rees46", "taobao"]
    with pytest.raises(UsageError, match=r"no format 'tiktok'; use one of kuairand, olist, rees46, taobao"):
        reader("tiktok")


def test_a_log_told_twice_has_the_same_events_in_the_same_order(taobao):
    assert list(told(read(taobao))) == list(told(read(taobao)))


@pytest.mark.parametrize("name", ["kuairand", "olist", "rees46", "taobao"])
def test_every_event_of_a_real_log_keeps_its_contract(real, name):
    wrong = [
        (event.topic, event.body)
        for event in told(reader(name)(real(name), None))
        if not validator(event.topic, 1, ROOT / "schemas").is_valid(SENT | event.body)
    ]
    assert wrong == []


def stream(topic: str, *rows: tuple[int, int]) -> Stream:
    frame = pl.DataFrame(rows, schema=["arrival", "event_time"], orient="row")
    return Stream(topic, "play", frame)


def test_what_arrives_together_is_told_entities_first():
    log = Log("x", "UTC", 3, (stream("videos", (5, 5)), stream("views", (5, 5), (1, 1))), (), 5)
    assert [(event.arrival, event.topic) for event in told(log)] == [(1, "views"), (5, "videos"), (5, "views")]


def test_the_facts_are_complete_up_to_the_earliest_that_is_still_to_come():
    log = Log("x", "UTC", 3, (stream("videos", (0, 0)), stream("views", (1, 1), (2, 2), (9, 3), (10, 10))), (), 10)
    arrivals, complete_until = complete_at_arrival(log)
    assert arrivals.tolist() == [1, 2, 9, 10]
    assert complete_until.tolist() == [1, 2, 3, 10]


def test_the_pace_is_the_logs_own_times_the_speed():
    pace = Pace(1_000.0)
    assert pace.seconds_early(5_000_000) == pytest.approx(0, abs=0.01)
    assert pace.seconds_early(65_000_000) == pytest.approx(0.06, abs=0.02)
    assert Pace(None).seconds_early(65_000_000) == 0


@pytest.mark.parametrize(
    ("local", "zone", "utc"),
    [
        ("2017-10-15 00:00:00", "America/Sao_Paulo", "2017-10-15 03:00:00"),  # did not exist
        ("2018-02-17 23:30:00", "America/Sao_Paulo", "2018-02-18 01:30:00"),  # existed twice
        ("2022-04-08 00:00:00", "Asia/Shanghai", "2022-04-07 16:00:00"),
    ],
)
def test_local_times_become_instants_through_the_changes_of_the_clock(local, zone, utc):
    naive = pl.Series([local, utc]).str.to_datetime(time_unit="us")
    got = pl.DataFrame({"t": naive}).select(local=instant(pl.col("t"), zone), utc=pl.col("t").dt.epoch("us"))
    assert got["local"][0] == got["utc"][1]


def test_moving_by_no_day_changes_nothing_even_in_a_repeated_hour():
    second_time = 1_518_921_000_000_000  # 2018-02-17 23:30 in São Paulo, after the clock went back
    frame = pl.DataFrame({"t": [second_time]})
    assert frame.select(moved(pl.col("t"), 0, "America/Sao_Paulo")).item() == second_time


def run(*arguments: str) -> str:
    result = CliRunner().invoke(build_app(), ["replay", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_command_writes_events_instead_of_sending_them(taobao, tmp_path):
    target = tmp_path / "events.jsonl"
    rows = json.loads(run("taobao", str(taobao), "--to", str(target), "--shift-to", "2026-11-22", "--format", "json"))
    assert rows[-1] == {"topic": "", "kind": "unreadable rows", "sent": 0, "refused": 1}
    lines = [json.loads(line) for line in target.read_text().splitlines()]
    assert [line["topic"] for line in lines] == ["products", "views", "orders", "orders"] + ["control"] * 4
    assert lines[1]["key"] == "7"
    assert lines[1]["headers"]["ce_source"] == "replay:taobao"
    assert lines[1]["headers"]["ce_replayrange"] == "1795276800000000/1795309202000001"
    assert {line["value"]["is_final"] for line in lines[-4:]} == {True}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tiktok", "x"), "no format 'tiktok'"),
        (("taobao", "nowhere.csv"), "no such file or folder"),
        (("taobao", "{log}", "--shift-to", "tomorrow"), "--shift-to tomorrow: no day"),
        (("taobao", "{log}", "--shift-to", "0001-01-01"), "--shift-to 0001-01-01: write a day of the years 1980"),
        (("taobao", "{log}", "--speed", "2", "--as-fast-as-possible"), "exclude each other"),
    ],
)
def test_a_command_that_cannot_be_meant_is_refused(taobao, arguments, message):
    with pytest.raises(UsageError, match=message):
        CliRunner().invoke(
            build_app(), ["replay", *(part.format(log=taobao) for part in arguments)], catch_exceptions=False
        )
