"""The gate: Great Expectations judges a staged table by its contract, and keeps no value of any row.

Everything is judged over the whole staging first; only what fails is judged again day by day, to name the days.
Importing Great Expectations takes seconds, so only `check` does it.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from jobs.lake.contracts import Contract
from jobs.lake.errors import ContractError
from jobs.lake.expectations import Expected, expected_of, on_day

if TYPE_CHECKING:
    from great_expectations.core.expectation_validation_result import ExpectationValidationResult
    from great_expectations.datasource.fluent.interfaces import Batch
    from great_expectations.expectations.expectation import Expectation
    from pyspark.sql import DataFrame

# Whether is one pass for all columns of a table; how many costs a pass each, so only what failed is counted.
# Counts only: the examples Great Expectations would add are values of people.
WHETHER = {"result_format": "BOOLEAN_ONLY"}
HOW_MANY = {"result_format": "BASIC", "partial_unexpected_count": 0, "exclude_unexpected_values": True}
ONE_NUMBER = {"result_format": "COMPLETE"}  # safe for queries: what they return is one number, never a row
ANSWER = "SELECT * FROM ({query}) AS answer(value) WHERE NOT COALESCE({accept}, FALSE)"


@dataclass(frozen=True)
class Finding:
    """What one expectation found on one table, or on one `day` of it."""

    table: str
    rule: Expected
    success: bool
    observed: str | None
    unexpected_rows: int | None
    day: date | None = None

    @property
    def blocks(self) -> bool:
        """Whether it stops the release."""
        return not self.success and self.rule.severity == "critical"


class Gate:
    """One ephemeral context of Great Expectations, for all tables of a check."""

    def __init__(self) -> None:
        os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
        import great_expectations as gx
        from great_expectations.data_context.types.base import ProgressBarsConfig

        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        self._source = context.data_sources.add_spark("staging", persist=False)

    def judge(self, promised: Contract, frame: "DataFrame", slices: Sequence[date]) -> list[Finding]:
        """One finding per expectation; of a failed one that can be told by day, one per failing day instead."""
        found = self._run(promised, frame, expected_of(promised, slices))
        failed = [finding.rule for finding in found if not finding.success and on_day(finding.rule, promised)]
        if not (failed and slices):
            return found
        by_day = self._by_day(promised, frame, failed, slices)
        told = {finding.rule.name for finding in by_day}
        return [finding for finding in found if finding.rule.name not in told] + by_day

    def _by_day(
        self, promised: Contract, frame: "DataFrame", failed: Sequence[Expected], slices: Sequence[date]
    ) -> list[Finding]:
        from pyspark.sql import functions as F

        found = []
        for day in slices:
            rows = frame.where(F.col(promised.slice_column or "") == F.lit(day))
            found += [replace(finding, day=day) for finding in self._run(promised, rows, failed) if not finding.success]
        return found

    def _run(self, promised: Contract, frame: "DataFrame", rules: Sequence[Expected]) -> list[Finding]:
        by_name = {rule.name: rule for rule in rules}
        if len(by_name) != len(rules):
            raise ContractError(f"{promised.name}: two checks have one name; give each a name of its own")
        batch = self._batch(promised.name, frame)
        results = _validate(batch, [rule for rule in rules if rule.kind], WHETHER)
        results += _validate(batch, [by_name[_name(result)] for result in results if not result.success], HOW_MANY)
        results += _validate(batch, [rule for rule in rules if not rule.kind], ONE_NUMBER)
        found = {_name(result): result for result in results}  # of two, the later one, with its count
        return [_finding(promised, rule, found[rule.name]) for rule in rules]

    def _batch(self, name: str, frame: "DataFrame") -> "Batch":
        number = len(self._source.assets)
        asset = self._source.add_dataframe_asset(f"{name}-{number}")
        return asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})


def _validate(
    batch: "Batch", rules: Sequence[Expected], result_format: dict[str, Any]
) -> "list[ExpectationValidationResult]":
    import great_expectations as gx

    if not rules:
        return []
    suite = gx.ExpectationSuite(name="promised", expectations=[_expectation(rule) for rule in rules])
    return list(batch.validate(suite, result_format=result_format).results)


def _name(result: "ExpectationValidationResult") -> str:
    meta = (result.expectation_config.meta if result.expectation_config else None) or {}
    return str(meta["check"])


def _expectation(rule: Expected) -> "Expectation":
    """Our rule as an expectation, found again by the name in its `meta`."""
    from great_expectations import expectations as gxe

    words: dict[str, Any] = {"severity": rule.severity, "meta": {"check": rule.name}, "description": rule.description}
    query = ANSWER.replace("{query}", rule.query).replace("{accept}", rule.accept)
    arguments = rule.arguments if rule.kind else {"unexpected_rows_query": query}
    expectation: Expectation = getattr(gxe, rule.kind or "UnexpectedRowsExpectation")(**arguments, **words)
    return expectation


def _finding(promised: Contract, rule: Expected, result: "ExpectationValidationResult") -> Finding:
    """One result in numbers; an expectation that could not be evaluated is a broken contract."""
    failure = _exception(result.exception_info)
    if failure:
        raise ContractError(f"{promised.name}: check {rule.name} cannot be evaluated: {failure}")
    facts = result.result
    if rule.kind:
        counted = 0 if result.success else facts.get("unexpected_count")
        return Finding(promised.name, rule, bool(result.success), _share(facts), counted)
    answers = [row["value"] for row in facts.get("details", {}).get("unexpected_rows", [])]
    value = answers[0] if answers else None
    wrong = int(value) if rule.is_row_rule and value is not None else (0 if result.success else None)
    return Finding(promised.name, rule, bool(result.success), None if value is None else str(value), wrong)


def _share(facts: dict[str, Any]) -> str | None:
    """The result of a column expectation in words: 3 of 1000 rows."""
    if "unexpected_count" not in facts:
        return None
    return f"{facts['unexpected_count']} of {facts.get('element_count', '?')} rows"


def _exception(info: Any) -> str:
    """The first exception of a result, in one line; "" when there was none."""
    infos: Iterable[Any] = [info] if "raised_exception" in (info or {}) else (info or {}).values()
    for one in infos:
        if one.get("raised_exception"):
            return str(one.get("exception_message")).strip().splitlines()[0][:300]
    return ""
