"""The graph of all DAGs as plain data; `python -m tests.dags.graph` writes it for review (`make graph`)."""

import json
from pathlib import Path

REVIEWED = Path(__file__).with_name("graph.json")
ROOT = REVIEWED.parents[2]


def awaited(dag):
    condition = getattr(dag.timetable, "asset_condition", None)
    return {found.name for found in condition.objects} if condition else set()


def graph(dags):
    return {
        name: {
            "waits_for": sorted(awaited(dag)),
            "tasks": {
                task.task_id: {
                    "runs": " ".join(task.arguments),
                    "pool": task.pool,
                    "then": sorted(task.downstream_task_ids),
                    "announces": sorted(outlet.name for outlet in task.outlets),
                }
                for task in sorted(dag.tasks, key=lambda task: task.task_id)
            },
        }
        for name, dag in sorted(dags.items())
    }


def write():
    """Parse the DAG folder and write its graph."""
    from airflow.dag_processing.dagbag import DagBag

    dags = dict(DagBag(dag_folder=str(ROOT / "dags")).dags)
    REVIEWED.write_text(json.dumps(graph(dags), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write()
