"""A change that breaks readers or producers is refused until it has a new major version."""

import subprocess

import pytest

from jobs.lake.errors import UsageError
from jobs.lake.promises.history import base, check_history

LIKES = "silver/likes.yaml"
EVENT = "events/likes/v1.json"
SCENE = "{name: scene, logicalType: string, physicalType: string, required: true}"
PLACE = "{name: place, classification: public, "
ENVELOPED = '{"$ref": "../envelope/v1.json"},'
NEED = '{"if": {"required": ["kind"], "properties": {"kind": {"enum": ["%s"]}}}, "then": {"required": ["%s"]}},'
BREAKS = {  # what is done to a promise -> file, passage, what it becomes, what is told
    "a column is removed": (LIKES, "      - {name: scene, logicalType: string, physicalType: string, required: true}\n",
        "", "column scene: was removed or renamed"),
    "a column is renamed": (LIKES, "{name: scene, ", PLACE, "column scene: was removed or renamed"),
    "a column is retyped": (LIKES, "physicalType: bigint", "physicalType: int", "is int"),
    "a column must be there now": (LIKES, "{name: device_id, ",
        "{name: device_id, required: true, ", "is required now"),
    "the grain changes": (LIKES, "{name: kind, ",
        "{name: kind, primaryKey: true, ", "grain: was event_id, is event_id x kind"),
    "a value is no longer allowed": (EVENT, '"report"', '"report2"', "kind: enum is stricter"),
    "a bound is lower": (EVENT, '"maximum": 1000000', '"maximum": 100', "comment_length: maximum is stricter"),
    "a field is removed": (EVENT, '"share_channel"', '"channel"', "share_channel: was removed or renamed"),
    "a field must be there now": (EVENT, '"required": ["kind", ',
        '"required": ["kind", "region", ', "region: is required now"),
    "a field has another type": (EVENT, '"type": "integer"', '"type": "string"', "comment_length: type was integer"),
    "a kind asks for more": (EVENT, '["follow", "unfollow"]', '["follow", "unfollow", "like"]', "body: asks more"),
    "every kind asks for more": (EVENT, ENVELOPED, ENVELOPED + '{"required": ["region"]},', "body: asks more"),
    "the envelope is stricter": ("events/envelope/v1.json", '"maxLength": 128}',
        '"maxLength": 12}', "id: maxLength is str"),
}  # fmt: skip
KEEPS = {
    "a column is added": (LIKES, f"      - {SCENE}\n", f"      - {SCENE}\n      - {SCENE.replace('scene', 'mood')}\n"),
    "a column may be null now": (LIKES, "{name: scene, logicalType: string, physicalType: string, required: true}",
                                 "{name: scene, logicalType: string, physicalType: string}"),
    "a new major version": (LIKES, "version: 1.1.0", "version: 2.0.0"),
    "a value more is allowed": (EVENT, '"report"', '"report", "hide"'),
    "a new kind asks for its own": (EVENT, ENVELOPED, ENVELOPED + NEED % ("hide", "region")),
    "a kind asks for what all had to have": (EVENT, ENVELOPED, ENVELOPED + NEED % ("follow", "scene")),
    "a field is added": (EVENT, '"app_version":', '"mood": {"type": "string"}, "app_version":'),
    "a text is corrected": (LIKES, "What people did with content", "What people do with content"),
}  # fmt: skip


def git(folder, *words):
    subprocess.run(
        ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *words],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def released(schemas):
    """The small set of promises, committed on main."""
    git(schemas.parent, "init", "-q", "-b", "main")
    git(schemas.parent, "add", ".")
    git(schemas.parent, "commit", "-q", "-m", "promised")
    return schemas


def told(schemas, revision="HEAD"):
    return [str(problem) for problem in check_history(schemas, base(schemas.parent, revision))]


@pytest.mark.parametrize("name", BREAKS)
def test_a_breaking_change_is_refused(released, edit, name):
    file, old, new, expected = BREAKS[name]
    edit(file, old, new)
    lines = told(released)
    assert any(f"schemas/{file}: " in line and expected in line for line in lines), lines
    assert all(line.count("; ") == 1 for line in lines)


@pytest.mark.parametrize("name", KEEPS)
def test_what_breaks_nobody_passes(released, edit, name):
    edit(*KEEPS[name])
    assert told(released) == []


def test_a_new_major_version_may_break(released, edit):
    edit(LIKES, "{name: scene, ", PLACE)
    edit(LIKES, "version: 1.1.0", "version: 2.0.0")
    assert told(released) == []


def test_a_table_goes_only_after_it_was_deprecated(released, edit):
    path = released / "ops" / "leases.yaml"
    text = path.read_text(encoding="utf-8")
    path.unlink()
    assert told(released) == ["schemas/ops/leases.yaml: is gone; set status: deprecated for one release first"]
    path.write_text(text.replace("status: active", "status: deprecated"), encoding="utf-8")
    git(released.parent, "commit", "-q", "-a", "-m", "deprecated")
    path.unlink()
    assert told(released) == []


def test_a_version_of_an_event_never_goes(released):
    (released / EVENT).unlink()
    assert [line for line in told(released) if line.startswith(f"schemas/{EVENT}: is gone")]


def test_a_branch_is_compared_with_where_it_left_main(released, edit):
    git(released.parent, "checkout", "-q", "-b", "work")
    edit(LIKES, "{name: scene, ", PLACE)
    git(released.parent, "commit", "-q", "-a", "-m", "one")
    git(released.parent, "commit", "-q", "--allow-empty", "-m", "two")
    assert any("column scene: was removed" in line for line in told(released, None))


def test_on_main_the_commit_before_counts(released, edit):
    assert base(released.parent, None).note == "no earlier commit: nothing was compared with an earlier version"
    edit(LIKES, "{name: scene, ", PLACE)
    git(released.parent, "commit", "-q", "-a", "-m", "one")
    assert any("column scene: was removed" in line for line in told(released, None))


def test_without_git_nothing_is_compared_and_that_is_said(schemas):
    before = base(schemas.parent, None)
    assert before.note == "no git here: nothing was compared with an earlier version"
    assert check_history(schemas, before) == []


def test_an_unknown_revision_is_refused(released):
    with pytest.raises(UsageError, match="--base nowhere: git knows no such commit"):
        base(released.parent, "nowhere")


def test_an_old_promise_that_was_none_binds_nobody(released, edit):
    (released / "ops" / "leases.yaml").write_text("nothing: at all\n", encoding="utf-8")
    git(released.parent, "commit", "-q", "-a", "-m", "broken")
    assert told(released) == []
