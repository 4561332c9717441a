"""The gate: Great Expectations judges a staged table by its contract, and keeps no value of any row.

Everything is judged over the whole staging first; only what fails is judged again day by day, to name the days.
Importing Great Expectations takes seconds, so only `check` does it.
"""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.errors import PySparkException

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
        self._tables = context.data_sources.add_spark("staging", persist=False)
        self._numbers = context.data_sources.add_pandas("numbers")

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
        results = self._judge_columns(promised, frame, [rule for rule in rules if not rule.number])
        results |= self._judge_numbers(promised, frame, [rule for rule in rules if rule.number])
        return [results[rule.name] for rule in rules]

    def _judge_columns(self, promised: Contract, frame: "DataFrame", rules: Sequence[Expected]) -> dict[str, Finding]:
        """Expectations of the table's columns: one pass for all, and one more for those that fail."""
        if not rules:
            return {}
        by_name = {rule.name: rule for rule in rules}
        batch = _batch(self._tables, promised.name, frame)
        results = _validate(batch, rules, WHETHER)
        results |= _validate(batch, [by_name[name] for name, result in results.items() if not result.success], HOW_MANY)
        return {name: _finding(promised, by_name[name], result) for name, result in results.items()}

    def _judge_numbers(self, promised: Contract, frame: "DataFrame", rules: Sequence[Expected]) -> dict[str, Finding]:
        """Expectations of what SQL says of the table: one query for all, and its one row is judged."""
        if not rules:
            return {}
        import pandas as pd

        numbers = _ask(promised, frame, rules)
        one_row = pd.DataFrame({name: pd.Series([number], dtype=object) for name, number in numbers.items()})
        results = _validate(_batch(self._numbers, promised.name, one_row), rules, WHETHER)
        return {rule.name: _of_number(promised, rule, results[rule.name], numbers[rule.name]) for rule in rules}


def _batch(source: Any, name: str, frame: Any) -> "Batch":
    """A frame of Spark's or pandas' as Great Expectations takes it."""
    asset = source.add_dataframe_asset(f"{name}-{len(source.assets)}")
    batch: Batch = asset.add_batch_definition_whole_dataframe("all").get_batch(batch_parameters={"dataframe": frame})
    return batch


def _ask(promised: Contract, frame: "DataFrame", rules: Sequence[Expected]) -> dict[str, Any]:
    """The numbers of all rules, by one query; when that fails, each is asked alone to name the one that is broken."""
    try:
        return _answers(promised, frame, rules)
    except PySparkException:
        for rule in rules:
            try:
                _answers(promised, frame, [rule])
            except PySparkException as failure:
                why = str(failure).strip().splitlines()[0][:300]
                raise ContractError(f"{promised.name}: check {rule.name} cannot be evaluated: {why}") from failure
        raise


def _answers(promised: Contract, frame: "DataFrame", rules: Sequence[Expected]) -> dict[str, Any]:
    view = f"judged_{promised.name.replace('.', '_')}"
    numbers = [rule.number.replace("{batch}", view) for rule in rules]
    frame.createOrReplaceTempView(view)
    try:
        (row,) = frame.selectExpr(*numbers, "COUNT(*)").collect()  # counting makes it one row, come what may
    finally:
        frame.sparkSession.catalog.dropTempView(view)
    return dict(zip((rule.name for rule in rules), row, strict=False))


def _validate(
    batch: "Batch", rules: Sequence[Expected], result_format: dict[str, Any]
) -> "dict[str, ExpectationValidationResult]":
    """Results by the names of the rules."""
    import great_expectations as gx

    if not rules:
        return {}
    suite = gx.ExpectationSuite(name="promised", expectations=[_expectation(rule) for rule in rules])
    return {_name(result): result for result in batch.validate(suite, result_format=result_format).results}


def _name(result: "ExpectationValidationResult") -> str:
    meta = (result.expectation_config.meta if result.expectation_config else None) or {}
    return str(meta["check"])


def _expectation(rule: Expected) -> "Expectation":
    """Our rule as an expectation, found again by the name in its `meta`."""
    from great_expectations import expectations as gxe

    words: dict[str, Any] = {"severity": rule.severity, "meta": {"check": rule.name}, "description": rule.description}
    expectation: Expectation = getattr(gxe, rule.kind)(**rule.arguments, **words)
    return expectation


def _finding(promised: Contract, rule: Expected, result: "ExpectationValidationResult") -> Finding:
    """One result of a column expectation."""
    _refuse_failure(promised, rule, result)
    counted = 0 if result.success else result.result.get("unexpected_count")
    return Finding(promised.name, rule, bool(result.success), _share(result.result), counted)


def _of_number(promised: Contract, rule: Expected, result: "ExpectationValidationResult", number: Any) -> Finding:
    """One result about a number; of a row rule it is the number of rows that break it."""
    _refuse_failure(promised, rule, result)
    observed = None if result.success or number is None else str(number)
    wrong = int(number) if rule.is_row_rule and observed is not None else (0 if result.success else None)
    return Finding(promised.name, rule, bool(result.success), observed, wrong)


def _refuse_failure(promised: Contract, rule: Expected, result: "ExpectationValidationResult") -> None:
    """An expectation that could not be evaluated is a broken contract."""
    failure = _exception(result.exception_info)
    if failure:
        raise ContractError(f"{promised.name}: check {rule.name} cannot be evaluated: {failure}")


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
