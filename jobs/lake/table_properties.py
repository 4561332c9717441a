"""Delta properties of our tables: what every reader understands, and no personal value in the log."""

from jobs.lake.contracts import Contract

KEPT = "interval 30 days"
LOG_KEPT = {"ops.leases": "interval 1 days"}  # renewed three times a minute; nobody asks for its past
PLANNED = "bronze.events"  # its commits say what batches were to read: upkeep lets them go, once that is put by


def properties(promised: Contract) -> dict[str, str]:
    """The properties a table is made with."""
    kept = {"delta.enableExpiredLogCleanup": "false"} if promised.name == PLANNED else {}
    return kept | {
        "delta.dataSkippingStatsColumns": ",".join(measured(promised)),
        "delta.checkpointInterval": "20",
        "delta.enableDeletionVectors": "false",
        "delta.logRetentionDuration": LOG_KEPT.get(promised.name, KEPT),
    }


def measured(promised: Contract) -> tuple[str, ...]:
    """The columns whose least and greatest value a table's log has; none about people."""
    # A file of bronze holds records of all topics: the least and greatest of its texts say nothing.
    is_mixed = promised.name.startswith("bronze.")
    return tuple(
        column.name
        for column in promised.columns
        if column.privacy != "personal" and is_measurable(column.type) and not (is_mixed and column.type == "string")
    )


def is_measurable(kind: str) -> bool:
    """Whether Delta keeps a least and a greatest value for columns of this type."""
    return not kind.startswith(("array", "map", "struct", "binary", "boolean"))
