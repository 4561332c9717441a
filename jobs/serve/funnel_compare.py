"""Two published versions of one funnel side by side: where their numbers differ, by whom, and why."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from jobs.lake.errors import UsageError
from jobs.lake.settings import Settings
from jobs.serve.asked import Row, entered, quoted, refuse_swapped, refuse_unknown, rows_of

DAILY, ATTEMPTS = "gold.funnel_daily", "gold.funnel_attempts"
DIFFERENCES = ("entry_date", "value", "step", "attempts_one", "attempts_other", "attempts_more", "people_one",
               "people_other", "people_more")  # fmt: skip
EXAMPLES = ("user_id", "entry_date", "one", "other", "why")


@dataclass(frozen=True)
class Comparison:
    """What is compared: two versions of a funnel, by one breakdown, over entry days (ISO, empty for all)."""

    name: str
    one: int
    other: int
    by: str = "total"
    first: str = ""
    last: str = ""

    @property
    def condition(self) -> str:
        """SQL that is true of the rows of the two versions on these days."""
        mine = [f"funnel = {quoted(self.name)}", f"funnel_version IN ({self.one}, {self.other})"]
        return " AND ".join([*mine, *entered(self.first, self.last)])


def check(settings: Settings, asked: Comparison) -> None:
    """UsageError for a funnel, version or breakdown that is not published, and for days that are swapped."""
    refuse_swapped(asked.first, asked.last)
    rows = rows_of(settings, DAILY, "SELECT DISTINCT funnel, funnel_version, breakdown FROM gold.funnel_daily")
    refuse_unknown(asked.name, {row["funnel"] for row in rows}, "funnel")
    for version in (asked.one, asked.other):
        mine = [row for row in rows if row["funnel"] == asked.name]
        refuse_unknown(version, {row["funnel_version"] for row in mine}, f"version of {asked.name}")
        refuse_unknown(asked.by, {row["breakdown"] for row in mine if row["funnel_version"] == version}, "breakdown")
    if asked.one == asked.other:
        raise UsageError(f"version {asked.one} of {asked.name} is named twice; name two versions")


def differences(settings: Settings, asked: Comparison) -> list[Row]:
    """One row per day, value and step whose counts differ, in the columns of DIFFERENCES; steps are matched by name."""
    side = f"""SELECT entry_date, breakdown_value AS value, step, step_number, attempts_count AS attempts,
        people_count AS people FROM gold.funnel_daily WHERE {asked.condition} AND breakdown = {quoted(asked.by)}"""  # noqa: S608
    query = f"""
        WITH one AS ({side} AND funnel_version = {asked.one}), other AS ({side} AND funnel_version = {asked.other}),
        both_sides AS (
            SELECT entry_date, value, step, coalesce(one.step_number, other.step_number) AS step_number,
                coalesce(one.attempts, 0) AS attempts_one, coalesce(other.attempts, 0) AS attempts_other,
                coalesce(one.people, 0) AS people_one, coalesce(other.people, 0) AS people_other
            FROM one FULL JOIN other USING (entry_date, value, step))
        SELECT *, attempts_other - attempts_one AS attempts_more, people_other - people_one AS people_more
        FROM both_sides WHERE attempts_one <> attempts_other OR people_one <> people_other
        ORDER BY entry_date, value, step_number, step"""  # noqa: S608 (words checked against what is published)
    return [{name: row[name] for name in DIFFERENCES} for row in rows_of(settings, DAILY, query)]


def examples(settings: Settings, asked: Comparison, most: int) -> list[Row]:
    """Up to `most` people whose best attempt of a day differs, the furthest apart first, in the columns of EXAMPLES."""
    best = f"""SELECT user_id, entry_date, max_by(struct_pack(reached := reached, step := reached_step,
            took_us := epoch_us(step_times[len(step_times)]) - epoch_us(step_times[1]), excluded := is_excluded),
            (reached, -epoch_us(step_times[len(step_times)]))) AS best
        FROM gold.funnel_attempts WHERE {asked.condition} AND set_aside = '(none)'"""  # noqa: S608
    query = f"""
        WITH one AS ({best} AND funnel_version = {asked.one} GROUP BY ALL),
        other AS ({best} AND funnel_version = {asked.other} GROUP BY ALL)
        SELECT user_id, entry_date, one.best AS one, other.best AS other
        FROM one FULL JOIN other USING (user_id, entry_date)
        WHERE one.best.step IS DISTINCT FROM other.best.step OR one.best.excluded IS DISTINCT FROM other.best.excluded
        ORDER BY abs(coalesce(one.best.reached, 1) - coalesce(other.best.reached, 1)) DESC, entry_date, user_id
        LIMIT {int(most)}"""  # noqa: S608
    limits, changed = _limits(settings, asked), tuple(_changed(settings, asked))
    return [
        {"user_id": row["user_id"], "entry_date": row["entry_date"], "one": _got(row["one"]),
         "other": _got(row["other"]), "why": why(row, asked, limits, changed)}
        for row in rows_of(settings, ATTEMPTS, query)
    ]  # fmt: skip


@dataclass(frozen=True)
class Limits:
    """What a version allows: its steps by name, and its window in microseconds (null for the same local day)."""

    steps: frozenset[str]
    window_us: int | None


def why(row: Row, asked: Comparison, limits: dict[int, Limits], changed: tuple[str, ...] = ()) -> str:
    """Why the two versions part ways over a person, from the further attempt and what the other version allows.

    Where that does not tell, the parts of the definition that `changed` are named.
    """
    one, other = row["one"], row["other"]
    is_one = other is None or (one is not None and one["reached"] >= other["reached"])
    (further, near, version) = (one, other, asked.other) if is_one else (other, one, asked.one)
    allowed = limits[version]
    if near is not None and near["excluded"] and not further["excluded"]:
        return f"v{version} excludes it: an event came between that it forbids"
    if further["step"] not in allowed.steps:
        return f"v{version} has no step {further['step']}"
    if allowed.window_us is not None and further["took_us"] > allowed.window_us:
        took, window = (timedelta(microseconds=us) for us in (further["took_us"], allowed.window_us))
        return f"{further['step']} came {took} after the entry, v{version} waits {window}"
    stopped = "no try gets past its first step" if near is None else f"its best try stops at {near['step']}"
    return f"in v{version} {stopped}" + (f"; changed are {', '.join(changed)}" if changed else "")


def changes(settings: Settings, asked: Comparison) -> list[str]:
    """What the two definitions say differently, a line each; empty when one of the files is not there any more."""
    return [f"{key}: {_short(one)} → {_short(other)}" for key, (one, other) in _changed(settings, asked).items()]


def _changed(settings: Settings, asked: Comparison) -> dict[str, tuple[Any, Any]]:
    """Each part of the definition that differs, in both versions."""
    from jobs.definitions.funnel.checking import read_definitions

    mine = [one for one in read_definitions(settings.schemas_dir) if one.name == asked.name]
    found = {definition.version: definition for definition in mine}
    if asked.one not in found or asked.other not in found:
        return {}
    one, other = (asdict(found[version]) for version in (asked.one, asked.other))
    return {key: (one[key], other[key]) for key in one if key not in ("name", "version") and one[key] != other[key]}


def _short(value: Any) -> str:
    """A part of a definition in a few words."""
    if isinstance(value, tuple | list):
        return ", ".join(_short(part) for part in value) or "none"
    if isinstance(value, dict):
        told = [value["name"]] if "name" in value else []
        return " ".join(told + [f"{key}={_short(part)}" for key, part in value.items() if key != "name" and part])
    return str(value)


def _limits(settings: Settings, asked: Comparison) -> dict[int, Limits]:
    query = f"""SELECT funnel_version, list(DISTINCT step) AS steps, any_value(window_us) AS window_us
        FROM gold.funnel_daily WHERE {asked.condition} GROUP BY ALL"""  # noqa: S608
    rows = rows_of(settings, DAILY, query)
    return {row["funnel_version"]: Limits(frozenset(row["steps"]), row["window_us"]) for row in rows}


def _got(best: Row | None) -> str:
    """How far a best attempt got."""
    if best is None:
        return "not past its first step"
    return f"{best['step']}, excluded" if best["excluded"] else str(best["step"])
