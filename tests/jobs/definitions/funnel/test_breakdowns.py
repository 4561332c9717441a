"""Breakdowns by two properties at once: named in the definition, refused when misspelt."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.definitions.funnel.checking import check_words
from jobs.definitions.funnel.language import read_definition
from jobs.definitions.funnel.model import Definition
from jobs.lake.errors import DefinitionError
from jobs.lake.settings import ROOT

BAD = {  # the breakdowns -> what is told
    "[[scene]]": "breakdowns[1]: is ['scene']; write a pair of different properties",
    "[[scene, scene]]": "breakdowns[1]: is ['scene', 'scene']; write a pair of different properties",
    "[[scene, 3]]": "breakdowns[1]: is ['scene', 3]; write a pair",
    "[scene, scene]": "breakdowns[2]: 'scene' is there already; remove one",
    "[[scene, source], [source, scene]]": "breakdowns[2]: ['source', 'scene'] is there already; remove one",
    "[3]": "breakdowns: is [3]; write properties and pairs",
    "": "breakdowns: is None; write properties and pairs",
    "[scene, [scene, sauce]]": "breakdowns[2][2]: 'sauce' is no property; did you mean 'source'?",
    "[scene, [sc ene, source]]": "breakdowns[2]: 'sc ene' is no property; write a column name",
}


def definition(breakdowns: str, file: Path) -> Definition:
    file.write_text(
        f"name: demo\nversion: 1\nwindow: 1h\nsteps: [{{name: seen, event: play}}]\nbreakdowns: {breakdowns}\n"
    )
    found = read_definition(file)
    check_words(found, str(file), ROOT / "schemas")
    return found


@pytest.mark.parametrize("breakdowns", BAD)
def test_a_bad_breakdown_is_refused_with_its_place(breakdowns: str, tmp_path: Path) -> None:
    with pytest.raises(DefinitionError) as error:
        definition(breakdowns, tmp_path / "bad.yaml")
    assert f":5: {BAD[breakdowns]}" in str(error.value)


def test_a_pair_is_named_by_both_and_needs_neither_alone(tmp_path: Path) -> None:
    found = definition("[scene, [source, generation]]", tmp_path / "good.yaml")
    assert found.broken_down == {"scene": ("scene",), "source x generation": ("source", "generation")}
    assert found.broken_down_by == ("scene", "source", "generation")


def test_pairs_are_part_of_the_meaning_and_their_absence_changes_no_older_hash(tmp_path: Path) -> None:
    shop = read_definition(ROOT / "schemas" / "funnels" / "log_olist.yaml")
    assert shop.fingerprint == "beacc8e848694692"
    paired = definition("[scene, [scene, source]]", tmp_path / "a.yaml")
    assert paired.fingerprint != definition("[scene]", tmp_path / "a.yaml").fingerprint
