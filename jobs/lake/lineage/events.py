"""Run events of OpenLineage: a run, its job, and its datasets with their columns, counts and verdicts.

Of rows they tell how many, of columns the names: no value of any row.
"""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    DatasetFacet,
    RunFacet,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_version_dataset,
    documentation_dataset,
    error_message_run,
    job_type_job,
    output_statistics_output_dataset,
    schema_dataset,
)

from jobs.lake.contract_model import Contract
from jobs.lake.contracts import contract
from jobs.lake.lineage.declared import STAGING, TOPIC, Declared
from jobs.lake.settings import Settings

PRODUCER = "urn:reelhouse:jobs"
NAMESPACE = "reelhouse"
LAKE = "reelhouse://lake"  # as the Airflow assets have it
SEVERITIES = {"critical": "error", "warning": "warn"}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Told:
    """One run of a command, as its events tell of it; `run_id` names it in the ledger."""

    settings: Settings
    declared: Declared
    run_id: str
    command: str
    started_at: datetime

    def started(self) -> RunEvent:
        """It began."""
        return self._event(RunState.START, self.started_at)

    def completed(self, at: datetime, tables: Iterable[Row], checks: Sequence[Row]) -> RunEvent:
        """It ended well: `tables` have what was written (table, version, rows), `checks` are lines of check_results."""
        return self._event(RunState.COMPLETE, at, {row["table"]: row for row in tables}, checks)

    def failed(self, at: datetime, message: str, checks: Sequence[Row]) -> RunEvent:
        """It failed."""
        error = error_message_run.ErrorMessageRunFacet(message, "Python", producer=PRODUCER)
        return self._event(RunState.FAIL, at, checks=checks, facets={"errorMessage": error})

    def _event(
        self,
        state: RunState,
        at: datetime,
        tables: Mapping[str, Row] | None = None,
        checks: Sequence[Row] = (),
        facets: dict[str, RunFacet] | None = None,
    ) -> RunEvent:
        kind = job_type_job.JobTypeJobFacet("BATCH", "REELHOUSE", "COMMAND", producer=PRODUCER)
        # one name for all events of a run: worked out from what the ledger calls it
        identity = uuid.uuid5(uuid.NAMESPACE_URL, f"{self.run_id}/{self.command}/{self.started_at.isoformat()}")
        return RunEvent(
            eventTime=at.isoformat(),
            producer=PRODUCER,
            run=Run(str(identity), facets or {}),
            job=Job(NAMESPACE, self.declared.job, {"jobType": kind}),
            eventType=state,
            inputs=[self._input(name, checks) for name in self.declared.inputs],
            outputs=[self._output(name, tables or {}) for name in self.declared.outputs],
        )

    def _input(self, name: str, checks: Sequence[Row]) -> InputDataset:
        if name.startswith(TOPIC):
            return InputDataset(f"kafka://{self.settings.bootstrap}", name.removeprefix(TOPIC))
        promised = self._promised(name)
        mine = [row for row in checks if row["table"] == promised.name]
        facets = {"dataQualityAssertions": assertions(promised, mine)} if mine else {}
        return InputDataset(LAKE, name, facets, facets=described(promised))

    def _output(self, name: str, tables: Mapping[str, Row]) -> OutputDataset:
        if name.startswith(TOPIC):
            return OutputDataset(f"kafka://{self.settings.bootstrap}", name.removeprefix(TOPIC))
        promised = self._promised(name)
        facets, written = described(promised), tables.get(promised.name)
        facets |= made_from(promised, is_copy=f"{STAGING}{name}" in self.declared.inputs)
        if written is None:
            return OutputDataset(LAKE, name, facets=facets)
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(
            str(written["version"]), producer=PRODUCER
        )
        rows = written.get("rows", written.get("rows_out"))
        counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=rows, producer=PRODUCER)
        return OutputDataset(LAKE, name, {"outputStatistics": counted}, facets=facets)

    def _promised(self, name: str) -> Contract:
        return contract(name.removeprefix(STAGING), self.settings.schemas_dir)


def described(promised: Contract) -> dict[str, DatasetFacet]:
    """What the contract says of a table: its purpose, and its columns with type and meaning."""
    fields = [
        schema_dataset.SchemaDatasetFacetFields(column.name, type=column.type, description=column.description)
        for column in promised.columns
    ]
    return {
        "schema": schema_dataset.SchemaDatasetFacet(fields, producer=PRODUCER),
        "documentation": documentation_dataset.DocumentationDatasetFacet(promised.description, producer=PRODUCER),
    }


def made_from(promised: Contract, *, is_copy: bool) -> dict[str, DatasetFacet]:
    """Which columns each column is made from: a release copies staging, else what the contract declares."""
    if is_copy:
        how = column_lineage_dataset.Transformation("DIRECT", subtype="IDENTITY", masking=False)
        staged = f"{STAGING}{promised.name}"
        sources = {name: [_field(f"{staged}.{name}", how)] for name in promised.names}
    else:
        how = column_lineage_dataset.Transformation("DIRECT", subtype="TRANSFORMATION", masking=False)
        sources = {
            column.name: [_field(source, how) for source in column.sources]
            for column in promised.columns
            if column.sources
        }
    if not sources:
        return {}
    fields = {name: column_lineage_dataset.Fields(found) for name, found in sources.items()}
    return {"columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet(fields, producer=PRODUCER)}


def _field(source: str, how: Any) -> column_lineage_dataset.InputField:
    table, _, column = source.rpartition(".")
    return column_lineage_dataset.InputField(LAKE, table, column, [how])


def assertions(promised: Contract, checks: Iterable[Row]) -> Any:
    """What the checks of a table found; of a failed one the rows that broke it."""
    columns = {check.name: check.column for check in promised.checks}
    found = [
        data_quality_assertions_dataset.Assertion(
            row["check"],
            bool(row["success"]),
            column=columns.get(row["check"]),
            severity=SEVERITIES.get(row["severity"]),
            actual=None if row["success"] else f"{row['unexpected_rows']} rows",
        )
        for row in checks
    ]
    return data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(found, producer=PRODUCER)
