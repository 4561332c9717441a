"""What a staged table is expected to hold: the contract's `quality:` plus what follows from its columns.

Follows without being written down: the grain is unique, required columns hold no null, `_count` is never negative,
`_rate` lies within 0..1, and rows lie in the slices that are to be replaced. Great Expectations judges them
(jobs/lake/quality.py).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from jobs.lake.contracts import Check, Column, Contract
from jobs.lake.errors import ContractError
from jobs.lake.patterns import expression_of

BOUNDS = {  # a comparison as the bounds of Great Expectations
    "mustBe": ("min_value", "max_value"),
    "mustBeGreaterThan": ("min_value", "strict_min"),
    "mustBeGreaterOrEqualTo": ("min_value",),
    "mustBeLessThan": ("max_value", "strict_max"),
    "mustBeLessOrEqualTo": ("max_value",),
    "mustBeBetween": ("min_value", "max_value"),
}
NEGATIONS = {"mustNotBe": "<> {0}", "mustNotBeBetween": "NOT BETWEEN {0} AND {1}"}
NO_ROWS = ("mustBe", 0)
COUNTING = re.compile(r"SELECT\s+COUNT\(\*\)\s+FROM\s+\{batch\}\s+WHERE\s+(.+)", re.IGNORECASE | re.DOTALL)
CLAUSES = re.compile(
    r"\b(SELECT|GROUP|HAVING|WINDOW|ORDER|SORT|LIMIT|OFFSET|UNION|EXCEPT|MINUS|INTERSECT)\b|--", re.IGNORECASE
)


@dataclass(frozen=True)
class Expected:
    """One expectation: a class of Great Expectations with its arguments, of a column of the table.

    With a `number` it is of a table of one row: what that SQL comes to over `{batch}`, in a column of the rule's name.
    """

    name: str
    severity: str
    description: str
    kind: str
    arguments: dict[str, Any] = field(default_factory=dict)
    number: str = ""
    is_row_rule: bool = False


def expected_of(promised: Contract, slices: Sequence[date] = ()) -> list[Expected]:
    """All expectations of a staged table; `slices` are the days it is to replace, none for other kinds of write."""
    derived = [_unique_grain(promised)] if promised.grain else []
    derived += [rule for column in promised.columns for rule in _of_column(column)]
    if slices and promised.slice_column:
        derived.append(_within(promised.slice_column, slices))
    return derived + [_of_check(promised, check) for check in promised.checks]


def on_day(rule: Expected, promised: Contract) -> bool:
    """Whether the rule can be judged day by day, so that a failure blocks only its day."""
    return rule.is_row_rule and promised.slice_column is not None


def _unique_grain(promised: Contract) -> Expected:
    """Nulls of a nullable grain column count as equal, as a person would read them."""
    name, words = "grain_is_unique", f"One row per {' x '.join(promised.grain)}."
    in_slice = promised.slice_column in promised.grain
    return _of_number(name, "critical", words, _copies(promised.grain), NO_ROWS, is_row_rule=in_slice)


def _copies(columns: Sequence[str]) -> str:
    """How many rows there are more than values of these columns."""
    return f"COUNT(*) - COUNT(DISTINCT STRUCT({', '.join(f'`{name}`' for name in columns)}))"


def _of_column(column: Column) -> list[Expected]:
    rules = []
    if column.required:
        name, words = f"{column.name}_is_there", f"{column.name} is required."
        rules.append(_native(name, words, "ExpectColumnValuesToNotBeNull", column=column.name))
    if column.name.endswith("_count"):
        name, words = f"{column.name}_is_not_negative", "A count is never negative."
        rules.append(_native(name, words, "ExpectColumnValuesToBeBetween", column=column.name, min_value=0))
    if column.name.endswith("_rate"):
        name, words = f"{column.name}_is_a_rate", "A rate lies within 0..1."
        rules.append(
            _native(name, words, "ExpectColumnValuesToBeBetween", column=column.name, min_value=0, max_value=1)
        )
    return rules


def _within(column: str, slices: Sequence[date]) -> Expected:
    days = ", ".join(f"DATE'{day.isoformat()}'" for day in slices)
    number = f"COUNT_IF(`{column}` IS NULL OR `{column}` NOT IN ({days}))"
    words = "Rows lie in the days that are replaced, in no other."
    return _of_number("rows_are_in_their_slices", "critical", words, number, NO_ROWS)


def _native(name: str, description: str, kind: str, severity: str = "critical", **arguments: Any) -> Expected:
    return Expected(name, severity, description, kind, arguments, is_row_rule=True)


def _of_check(promised: Contract, check: Check) -> Expected:
    """A written check: a class of Great Expectations where one says the same, else SQL."""
    name = f"{check.column}_{check.name}" if check.column else check.name
    if check.type == "sql":
        number = as_number((check.query or "").replace("{table}", "{batch}").rstrip("; \n"))
        row_rule = check.must == NO_ROWS
        return _of_number(name, check.severity, check.description, number, check.must, is_row_rule=row_rule)
    kind, arguments = _library_class(check) if check.must == NO_ROWS else ("", {})
    if kind:
        return _native(name, check.description, kind, check.severity, **arguments)
    number = _library_number(promised, check)
    return _of_number(name, check.severity, check.description, number, check.must)


def as_number(query: str) -> str:
    """A query of one number as an expression beside others, so that one pass over the table answers them all."""
    counting = COUNTING.fullmatch(query)
    if counting and not CLAUSES.search(counting[1]):
        return f"COUNT_IF({counting[1]})"
    return f"(\n{query}\n)"


def _of_number(
    name: str, severity: str, words: str, number: str, must: tuple[str, Any], *, is_row_rule: bool = False
) -> Expected:
    """What must be true of one number; a number that is null meets nothing."""
    word, bound = must
    bounds = bound if isinstance(bound, list) else [bound]
    if word in NEGATIONS:  # no class says so: then it must be true, as 1, that the number does not compare
        number, word, bounds = f"INT(({number}) {NEGATIONS[word].format(*bounds)})", "mustBe", [1]
    given = dict.fromkeys(BOUNDS[word], bounds[0]) if len(bounds) == 1 else dict(zip(BOUNDS[word], bounds, strict=True))
    limits = {key: True if key.startswith("strict") else value for key, value in given.items()}
    return Expected(name, severity, words, "ExpectColumnMaxToBeBetween", {"column": name} | limits, number, is_row_rule)


def _library_class(check: Check) -> tuple[str, dict[str, Any]]:
    """The class that says "no row breaks this", if there is one."""
    column, given = {"column": check.column}, check.arguments
    if check.metric == "nullValues":
        return "ExpectColumnValuesToNotBeNull", column
    if check.metric == "invalidValues" and "validValues" in given:
        return "ExpectColumnValuesToBeInSet", column | {"value_set": given["validValues"]}
    if check.metric == "invalidValues" and "pattern" in given:
        return "ExpectColumnValuesToMatchRegex", column | {"regex": expression_of(given["pattern"])}
    if check.metric == "invalidValues" and given.keys() & {"minimum", "maximum"}:
        bounds = {"min_value": given.get("minimum"), "max_value": given.get("maximum")}
        return "ExpectColumnValuesToBeBetween", column | {
            key: value for key, value in bounds.items() if value is not None
        }
    return "", {}


def _library_number(promised: Contract, check: Check) -> str:
    """The metric as an expression over the table, in rows or percent of rows."""
    if check.metric == "rowCount":
        return "COUNT(*)"
    if check.metric == "duplicateValues":
        return _copies(check.arguments.get("properties") or [check.column])
    wrong = _wrong(promised, check)
    if check.unit == "percent":
        return f"COALESCE(100D * COUNT_IF({wrong}) / NULLIF(COUNT(*), 0), 0)"  # a decimal has other digits elsewhere
    return f"COUNT_IF({wrong})"


def _wrong(promised: Contract, check: Check) -> str:
    """The SQL condition of a row that breaks a library metric."""
    given, column = check.arguments, f"`{check.column}`"
    if check.metric == "nullValues":
        return f"{column} IS NULL"
    if check.metric == "missingValues":
        words = _words(value for value in given.get("missingValues", ["", None]) if value is not None)
        return f"{column} IS NULL OR {column} IN ({words})"
    if check.metric == "invalidValues" and "validValues" in given:
        return f"{column} NOT IN ({_words(given['validValues'])})"
    raise ContractError(
        f"{promised.name}: quality {check.name}: metric {check.metric!r} with {sorted(given)} cannot be judged; "
        "write nullValues, missingValues, invalidValues, duplicateValues, rowCount, or type: sql"
    )


def _words(values: Any) -> str:
    """Values as SQL literals."""
    return ", ".join("'" + str(value).replace("\\", "\\\\").replace("'", "\\'") + "'" for value in values)
