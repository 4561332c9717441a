from __future__ import annotations
import pytest
from jobs.lake.remaking import from_versions, released
from jobs.lake import repairing
import tests.lake.test_published_again as t
from tests.lake.test_published_again import shop, history


@pytest.mark.parametrize("name", ["staging", "upkeep", "older", "republish"])
def test_red(name, request, monkeypatch, tmp_path, spark):
    with pytest.raises((Exception, pytest.fail.Exception)) as e:
        if name == "staging":
            monkeypatch.setattr(released, "of_staging", lambda *a: False)
            t.test_a_torn_commit_of_a_release_is_made_again_from_what_was_staged(request.getfixturevalue("shop"), spark)
        elif name == "upkeep":
            monkeypatch.setattr(released, "of_upkeep", lambda *a: False)
            t.test_a_torn_commit_of_upkeep_is_made_again(tmp_path / "x")
        elif name == "older":
            monkeypatch.setattr(from_versions, "older", lambda *a: None)
            t.test_the_history_comes_back_from_files_that_were_written_together(
                request.getfixturevalue("history"), spark
            )
        else:
            monkeypatch.setattr(from_versions, "republish", lambda *a: None)
            t.test_the_history_comes_back_from_files_that_were_written_together(
                request.getfixturevalue("history"), spark
            )
    print("RED", name, type(e.value).__name__, str(e.value)[:300].replace("\n", " | "))
