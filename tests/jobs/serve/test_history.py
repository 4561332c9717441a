"""A published table whose changes are not booked cell by cell says what tells of them."""

from pathlib import Path

import pytest

from jobs.lake.errors import UsageError
from jobs.lake.restating.cells import RESTATED
from jobs.lake.settings import Settings
from jobs.serve.history import TOLD_ELSEWHERE, history
from jobs.serve.tables import public_tables

SETTINGS = Settings()
OTHERS = [table for table in public_tables(SETTINGS) if table not in RESTATED]


@pytest.mark.parametrize("table", OTHERS)
def test_a_table_without_restatements_says_what_tells_of_it(table: str) -> None:
    with pytest.raises(UsageError) as refused:
        history(SETTINGS, table, ["user_id=u1"])
    said = str(refused.value)
    asked = "--with-silver " if table.startswith("silver.") else ""
    assert f'`reelhouse sql {asked}--release RELEASE "FROM {table}"`' in said
    assert TOLD_ELSEWHERE.get(table, "") in said
    assert "gold.funnel_daily" in said


def test_a_profile_has_a_table_of_its_own_for_that() -> None:
    with pytest.raises(UsageError, match=r"gold.user_profiles' has no .* row of gold.user_profiles_history; "):
        history(SETTINGS, "gold.user_profiles", [])
    with pytest.raises(UsageError, match=r"'gold.user_profile' has no history; write one of gold.funnel_conversions"):
        history(SETTINGS, "gold.user_profile", [])


def test_each_of_them_stands_on_the_page_with_its_reason() -> None:
    page = (Path(__file__).parents[3] / "docs/restatements.md").read_text()
    missing = [table for table in (*RESTATED, *OTHERS) if f"`{table}`" not in page]
    assert missing == []
    assert set(TOLD_ELSEWHERE) <= set(OTHERS)
