"""Which definitions mean the same on every engine of ours, whatever the data (docs/adr/0025).

The words of a `where` are the author's own, and only few of them were compared (tests/lake/test_engines_agree.py):
ratios of decimals have other digits, weekdays other numbers, sums too large for 64 bits fail on one and not on another.
"""

from __future__ import annotations

from collections.abc import Mapping

from jobs.definitions.funnel.model import Definition
from jobs.definitions.funnel.predicate import syntax_of

PLAIN = {
    "COLUMN_REF", "VALUE_CONSTANT", "CONJUNCTION_AND", "CONJUNCTION_OR", "OPERATOR_NOT", "OPERATOR_IS_NULL",
    "OPERATOR_IS_NOT_NULL", "OPERATOR_COALESCE", "COMPARE_EQUAL", "COMPARE_NOTEQUAL", "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO", "COMPARE_GREATERTHAN", "COMPARE_GREATERTHANOREQUALTO", "COMPARE_BETWEEN",
    "COMPARE_IN", "COMPARE_NOT_IN", "COMPARE_DISTINCT_FROM", "COMPARE_NOT_DISTINCT_FROM",
}  # fmt: skip
LIKE = ("~~", "!~~")
NESTED = ("array", "map", "struct")


def is_portable(definition: Definition, types: Mapping[str, str]) -> bool:
    """Whether all it asks for was compared; `types` are Spark's of the properties (jobs/definitions/funnel/vocabulary).

    The text of a list tells nulls in other letters, and an instant in JSON has other digits.
    """
    broken_down = [types.get(name, "string") for name in definition.broken_down_by]
    held = [types.get(name, "timestamp") for name in definition.hold]
    return (
        all(is_plain(where) for where in definition.predicates)
        and not any(kind.startswith(NESTED) for kind in broken_down)
        and "timestamp" not in held
    )


def is_plain(where: str) -> bool:
    """Whether a predicate only compares properties with each other, or with what is written there."""
    return all(_is_plain(part) for part in syntax_of(where))


def _is_plain(part: Mapping[str, object]) -> bool:
    match part.get("class"):
        case None:
            return True
        case "FUNCTION":
            return part["function_name"] in LIKE
        case "CAST":  # true, and DATE'2026-12-01', are casts of constants
            child = part["child"]
            return isinstance(child, Mapping) and child.get("class") == "CONSTANT"
    return part["type"] in PLAIN
