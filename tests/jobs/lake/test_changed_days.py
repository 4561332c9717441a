"""Which days of a table a run has changed: those on which any row differs in anything."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from pyspark.sql import DataFrame

from jobs.lake.families.funnel_refresh import changed_days
from jobs.lake.families.funnel_tables import ATTEMPTS, CONVERSIONS, OPENINGS

TableMaker = Callable[[str, list[dict[str, Any]]], DataFrame]
AT, A_TICK = datetime(2026, 6, 8, 1, tzinfo=UTC), timedelta(microseconds=1)
MONDAY, TUESDAY, LATER = date(2026, 6, 8), date(2026, 6, 9), date(2026, 6, 20)


def test_a_day_has_changed_where_any_row_differs_by_a_microsecond_or_by_how_often_it_is_there(
    table: TableMaker,
) -> None:
    same = {"entry_date": MONDAY, "entry_event_id": "same", "step_times": [AT]}
    moved = {"entry_date": TUESDAY, "entry_event_id": "moved", "step_times": [AT], "conversion_date": LATER}
    opened = {"entry_date": MONDAY, "first_entry_at": AT}
    then, now = [same, moved], [same, moved | {"step_times": [AT + A_TICK]}]
    found = changed_days(
        {
            ATTEMPTS: (table(ATTEMPTS, then), table(ATTEMPTS, now)),
            OPENINGS: (table(OPENINGS, [opened]), table(OPENINGS, [opened, opened])),
        }
    )
    assert found == {ATTEMPTS: (TUESDAY,), OPENINGS: (MONDAY,), CONVERSIONS: (LATER,)}
