"""Refused records are patched by a reviewed file, judged anew, and sent once."""

import json
import shutil
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
from typer.testing import CliRunner

from jobs.__main__ import build_app
from jobs.drills.records import NOON, body_of, micros
from jobs.drills.versions import write_second_version
from jobs.lake.errors import ContractError, UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.patches import FOLDER, Patch, read_patch
from jobs.lake.promises.patches import check_patches
from jobs.lake.settings import ROOT, Settings
from jobs.produce import again, foretelling
from jobs.produce.again import send_again, tried
from jobs.produce.foretelling import CHANGED, NEW, Move

SCHEMAS = ROOT / "schemas"
HEAD = "name: p\nversion: 1\nowner: o\nwhy: w\n"
RENAMED = body_of("views", 1, watch_ms=None, watched_ms=5000)
SKEWED = body_of("views", 2, watch_ms=None, watched_ms=5000, event_time=micros(NOON) - 7_200_000_000,
                 sent_time=micros(NOON) - 3_600_000_000)  # fmt: skip
STILL = body_of("views", 3, watch_ms=None, watched_ms="five")
BODIES = [json.dumps(body).encode() for body in (RENAMED, SKEWED, STILL)] + [b'{"watched_ms":']
PATCH = Patch.model_validate({"name": "watched_ms", "version": 1, "owner": "o", "why": "w", "topic": "views",
                              "steps": [{"do": "rename", "from": "watched_ms", "to": "watch_ms"}]})  # fmt: skip


class Sent:
    """A producer that remembers."""

    bodies: ClassVar[list[dict[str, Any]]] = []
    marks: ClassVar[list[tuple[str, bytes]]] = []
    versions: ClassVar[list[int]] = []
    sources: ClassVar[list[tuple[str, str]]] = []

    def __init__(self, settings: Settings, **given: Any) -> None:
        assert given["source"] in ("app:quarantine", "replay:quarantine")
        self.sources.append((given["source"], given["declared_range"]))
        self.marks.extend(given["marks"])

    def __enter__(self) -> "Sent":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def send(self, topic: str, body: dict[str, Any], *, waiting: bool, version: int) -> None:
        self.bodies.append(body)
        self.versions.append(version)

    def flush(self) -> None:
        pass


def refuse(settings: Settings, came: Sequence[dict[str, Any]]) -> None:
    """Views that came at noon, one offset after the other, into bronze and quarantine."""
    rows, events = [], []
    for number, one in enumerate(came):
        rows.append({"topic": "views", "kafka_topic_id": "t", "kafka_partition": 0, "kafka_offset": number,
                     "kafka_time": NOON, "reasons": [one["reason"]], "ingest_seq": 0,
                     "source_uri": one.get("source_uri"), "schema_version": one.get("schema_version")})  # fmt: skip
        headers = [{"key": name, "value": value} for name, value in one.get("headers", [])]
        events.append({"topic": "views", "topic_id": "t", "partition": 0, "offset": number, "kafka_time": NOON,
                       "value": one["value"], "ingest_seq": 0, "received_date": NOON.date(),
                       "headers": headers})  # fmt: skip
    Ledger(settings).append("silver.quarantine", rows)
    Ledger(settings).append("bronze.events", events)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A lake that has refused four views for their missing watch_ms, and one for its scene."""
    made = Settings(home=tmp_path)
    values = [(value, "missing:watch_ms") for value in BODIES] + [(b"{}", "not_allowed:scene")]
    refuse(made, [{"value": value, "reason": reason} for value, reason in values])
    return made


def test_a_dry_run_tells_what_would_pass_its_days_and_what_is_still_wrong(settings: Settings) -> None:
    found = tried(settings, PATCH, "missing")
    assert sorted(place[2] for place in found.passing) == [0, 1]
    assert dict(found.faults) == {"wrong_type:watch_ms": 1, "malformed_json": 1}
    assert found.days("Asia/Shanghai") == {date(2026, 11, 20): 2}


def test_what_passes_is_sent_once_under_its_id_and_at_the_time_it_happened(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(again, "Producer", Sent)
    monkeypatch.setattr(Sent, "bodies", [])
    monkeypatch.setattr(Sent, "marks", [])
    assert send_again(settings, tried(settings, PATCH, "missing:watch_ms"), NOON) == 2
    assert Sent.marks == [("ce_replayid", b"watched_ms-1.1")]
    told = {body["event_id"]: body for body in Sent.bodies}
    assert told.keys() == {RENAMED["event_id"], SKEWED["event_id"]}
    assert all("sent_time" not in body and body["watch_ms"] == 5000 for body in told.values())
    assert told[RENAMED["event_id"]]["event_time"] == micros(NOON)
    assert told[SKEWED["event_id"]]["event_time"] == micros(NOON - timedelta(hours=1)), "its clock was an hour slow"
    found = tried(settings, PATCH, "missing:watch_ms")
    assert (len(found.passing), found.sent_before) == (0, 2)
    assert send_again(settings, found, NOON) == 0
    assert len(Sent.bodies) == 2
    newer = tried(settings, PATCH.model_copy(update={"version": 2}), "missing:watch_ms")
    assert len(newer.passing) == 2, "another version of the patch begins anew"
    assert (found.replay_id, newer.replay_id) == ("watched_ms-1.2", "watched_ms-2.1")


@pytest.fixture
def second(tmp_path: Path) -> Settings:
    """A lake with a second version of a view, and views of three versions that were refused; one that says none."""
    schemas = Path(shutil.copytree(ROOT / "schemas", tmp_path / "schemas"))
    write_second_version(schemas)
    made = Settings(home=tmp_path, schemas_dir=schemas)
    bodies = [body_of("views", n, watch_ms=None, watched_ms=5000) for n in range(4)] + [body_of("views", 4)]
    versions = [2, 2, 3, 1, 7]
    refuse(made, [
        {"value": json.dumps(body).encode(), "reason": "unknown_version" if n < 4 else "unknown_type",
         "schema_version": versions[n]}
        for n, body in enumerate(bodies)
    ])  # fmt: skip
    return made


@pytest.mark.parametrize(
    ("reason", "to", "passing", "faults"),
    [
        ("unknown_version", None, {0: 2, 1: 2}, {"unknown_version": 1, "missing:watch_ms": 1}),
        ("unknown_version", 2, {0: 2, 1: 2, 2: 2, 3: 2}, {}),
        ("unknown_version", 1, {}, {"missing:watch_ms": 4}),
        ("unknown_type", None, {4: 1}, {}),
        ("unknown_type", 2, {}, {"missing:watched_ms": 1}),
    ],
)
def test_a_record_is_judged_by_its_own_version_or_the_patches_and_sent_as_that(
    second: Settings, monkeypatch: pytest.MonkeyPatch, reason: str, to: int | None,
    passing: dict[int, int], faults: dict[str, int],
) -> None:  # fmt: skip
    steps = [{"do": "version", "to": to}] if to else []
    patch = Patch.model_validate(PATCH.model_dump() | {"steps": steps})
    found = tried(second, patch, reason)
    assert {place[2]: one.version for place, one in found.passing.items()} == passing
    assert dict(found.faults) == faults
    monkeypatch.setattr(again, "Producer", Sent)
    monkeypatch.setattr(Sent, "versions", [])
    assert send_again(second, found, NOON) == len(passing)
    assert sorted(Sent.versions) == sorted(passing.values())


def test_a_patch_to_a_version_that_nobody_wrote_says_what_to_write(settings: Settings) -> None:
    patch = Patch.model_validate(PATCH.model_dump() | {"steps": [{"do": "version", "to": 9}]})
    with pytest.raises(ContractError, match=r"no contract for views version 9; write .*views/v9\.json"):
        tried(settings, patch, "missing:watch_ms")


def test_what_came_from_an_old_log_keeps_its_time_and_is_sent_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent years ago by its own clock, it is not years slow; where the log says when it arrived, that counts."""
    monkeypatch.setattr(again, "Producer", Sent)
    monkeypatch.setattr(Sent, "bodies", [])
    monkeypatch.setattr(Sent, "sources", [])
    settings, at = Settings(home=tmp_path), micros(NOON) - 4 * 365 * 86_400_000_000
    slow = [("ce_replaytime", str(at + 3_600_000_000).encode())]
    came = []
    for number, (source, headers) in enumerate([("replay:kuairand", []), ("replay:kuairand", slow), ("app:ios", [])]):
        time = micros(NOON) if source == "app:ios" else at
        body = body_of("views", number, watch_ms=None, watched_ms=5000, event_time=time, sent_time=time)
        value = json.dumps(body).encode()
        came.append({"value": value, "reason": "missing:watch_ms", "source_uri": source, "headers": headers})
    refuse(settings, came)
    assert send_again(settings, tried(settings, PATCH, "missing:watch_ms"), NOON) == 3
    assert [body["event_time"] for body in Sent.bodies] == [micros(NOON), at, at + 3_600_000_000]
    assert Sent.sources == [("app:quarantine", ""), ("replay:quarantine", f"{at}/{at + 3_600_000_001}")]


@pytest.mark.parametrize(
    ("step", "value", "body"),
    [
        ({"do": "mend_json"}, b'\xef\xbb\xbf {"a":1} trailing', {"a": 1}),
        ({"do": "rename", "from": "a", "to": "b"}, b'{"a":1}', {"b": 1}),
        ({"do": "rename", "from": "a", "to": "b"}, b'{"a":1,"b":2}', {"a": 1, "b": 2}),
        ({"do": "map_value", "field": "a", "values": {"x": "y"}}, b'{"a":"x"}', {"a": "y"}),
        ({"do": "map_value", "field": "a", "values": {"x": "y"}}, b'{"a":["x"]}', {"a": ["x"]}),
        ({"do": "shift_clock", "seconds": -2}, b'{"event_time":5000000}', {"event_time": 3000000}),
        ({"do": "shift_clock", "seconds": -2}, b'{"event_time":"x"}', {"event_time": "x"}),
        ({"do": "mend_json"}, b"no JSON", None),
        ({"do": "mend_json"}, b"[1]", None),
        ({"do": "mend_json"}, b'{"a":1,}', None),
        ({"do": "mend_json", "also": ["trailing_commas"]}, b'{"a":[1,], }', {"a": [1]}),
        ({"do": "shift_clock", "seconds": 0}, b'{"a":1}', {"a": 1}),
        ({"do": "shift_clock", "seconds": 0}, b'{"a":1,"a":1}', None),
        ({"do": "shift_clock", "seconds": 0}, b'{"b":{"a":1,"a":2}}', None),
        ({"do": "shift_clock", "seconds": 0}, b'{"a":NaN}', None),
        ({"do": "shift_clock", "seconds": 0}, b'\xef\xbb\xbf{"a":1}', None),
        ({"do": "shift_clock", "seconds": 0}, '{"a":1}'.encode("utf-16"), None),
        ({"do": "mend_json"}, b'{"a":1,"a":2}', None),
    ],
)
def test_a_step_does(step: dict[str, Any], value: bytes, body: dict[str, Any] | None) -> None:
    facts = {"name": "p", "version": 1, "owner": "o", "why": "w", "topic": "views", "steps": [step]}
    assert Patch.model_validate(facts).read(value) == body


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "is no YAML"),
        ("name: p\nversion: 1", "owner: Field required"),
        ("name: q\nversion: 1\nowner: o\nwhy: w\ntopic: views", "name is 'q'; call it 'p'"),
        ("name: p\nversion: 1\nowner: o\nwhy: w\ntopic: views\nsteps: [{do: dance}]", "steps.0: Input tag 'dance'"),
        ("name: p\nversion: 0\nowner: o\nwhy: w\ntopic: views", "version: Input should be greater"),
        (f"{HEAD}topic: veiws", "topic: 'veiws' is none; did you mean 'views'"),
        (f"{HEAD}topic: envelope", "topic: 'envelope' is none; known are control, likes, "),
        (f"{HEAD}topic: views\nsteps: [{{do: version, to: 9}}]", "steps.0.to: views has no version 9; there are 1"),
        (
            f"{HEAD}topic: views\nsteps: [{{do: mend_json}}, {{do: rename, from: a, to: watch_mss}}]",
            "steps.1.to: 'watch_mss' is no field of views; did you mean 'watch_ms'",
        ),
        (
            f"{HEAD}topic: views\nsteps: [{{do: map_value, field: scne, values: {{a: b}}}}]",
            "steps.0.field: 'scne' is no field of views; did you mean 'scene'",
        ),
        (
            f"{HEAD}topic: views\nsteps: [{{do: mend_json, also: [comments]}}]",
            "steps.0.mend_json.also.0: Input should be",
        ),
    ],
)
def test_a_bad_file_is_refused_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(UsageError, match=words):
        read_patch("p", SCHEMAS, tmp_path)


def test_a_value_may_be_mapped_before_its_field_gets_its_promised_name(tmp_path: Path) -> None:
    steps = "[{do: map_value, field: seen_at, values: {a: b}}, {do: rename, from: seen_at, to: scene}]"
    (tmp_path / "p.yaml").write_text(f"{HEAD}topic: views\nsteps: {steps}")
    assert read_patch("p", SCHEMAS, tmp_path).read(b'{"seen_at": "a"}') == {"scene": "b"}


def test_make_check_reads_every_patch_we_ship(tmp_path: Path) -> None:
    assert list(FOLDER.glob("*.yaml"))
    assert [str(problem) for problem in check_patches(SCHEMAS)] == []
    (tmp_path / "schemas").symlink_to(SCHEMAS)
    (tmp_path / "infra" / "patches").mkdir(parents=True)
    (tmp_path / "infra" / "patches" / "p.yaml").write_text(f"{HEAD}topic: veiws")
    (line,) = (str(problem) for problem in check_patches(tmp_path / "schemas"))
    assert line == "infra/patches/p.yaml: topic: 'veiws' is none; did you mean 'views'?"


def test_a_misspelt_patch_lists_those_there_are() -> None:
    with pytest.raises(UsageError, match="no patch 'watch'; .* has .*watched_ms"):
        read_patch("watch", SCHEMAS)
    assert read_patch("watched_ms", SCHEMAS).steps
    assert read_patch("views_as_they_are", SCHEMAS).steps == ()


@pytest.mark.parametrize("reason", ["conflict", "tombstone", "retracted"])
def test_what_no_patch_can_help_is_refused(settings: Settings, reason: str) -> None:
    with pytest.raises(UsageError, match=f"{reason}: such records cannot be replayed"):
        tried(settings, PATCH, reason)


OF_SCENE, OF_DAY = '{"breakdown":"scene","step_number":1}', '{"breakdown":"total","step_number":'
ROWS = [(OF_SCENE, None, 90), *[(f"{OF_DAY}{n}}}", 4, 5) for n in range(9)]]


@pytest.mark.parametrize("format", ["table", "json"])
def test_the_command_tells_what_would_pass_and_which_numbers_would_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, format: str
) -> None:
    moves = [
        Move("gold.funnel_daily", key, "people_count", old, new, new - (old or 0), CHANGED if old else NEW)
        for key, old, new in ROWS
    ]
    monkeypatch.setattr(foretelling, "foretold", lambda *given: moves)
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    words = ["quarantine", "replay", "--reason", "missing", "--with", "watched_ms", "--dry-run", "--numbers"]
    done = CliRunner().invoke(build_app(), [*words, "--format", format])
    assert done.exit_code == 0, done.output
    if format == "json":
        (row,) = json.loads(done.stdout)
        assert row["passing"] == 2
        assert row["moves"][0] == {
            "table": "gold.funnel_daily", "row": {"breakdown": "scene", "step_number": 1}, "row_is": "new",
            "measure": "people_count", "old": None, "new": 90, "by": 90,
        }  # fmt: skip
        assert len(row["moves"]) == len(ROWS)
    else:
        first = "gold.funnel_daily breakdown=total step_number=0\n  people_count 4 → 5 (+1)"
        assert first in done.stdout, "whole days first"
        assert "10 published numbers of 10 rows would change; 2 more rows" in done.stdout
        assert "rows that would be new: 1\n" in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize(("reason", "told"), [("missing", True), ("not_allowed", False)])
def test_a_dry_run_ends_with_the_command_that_tells_the_numbers_where_any_could_change(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, reason: str, told: bool
) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    words = ["quarantine", "replay", "--reason", reason, "--with", "watched_ms", "--dry-run"]
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code == 0, done.output
    hint = f"by how much: `reelhouse {' '.join(words)} --numbers`"
    assert (hint in done.stdout.splitlines()[-1]) == told
    (row,) = json.loads(CliRunner().invoke(build_app(), [*words, "--format", "json"]).stdout)
    assert "moves" not in row


def test_numbers_are_only_told_of_a_dry_run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REELHOUSE_HOME", str(settings.home))
    words = ["quarantine", "replay", "--reason", "missing", "--with", "watched_ms", "--numbers"]
    done = CliRunner().invoke(build_app(), words)
    assert isinstance(done.exception, UsageError)
    assert "write it with --dry-run" in str(done.exception)
    assert Ledger(settings).read("ops.replays").num_rows == 0
