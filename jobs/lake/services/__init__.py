"""The services beside our jobs: Kafka, a warm Spark Connect server and Airflow; ours on loopback, or outside ones."""

from jobs.lake.errors import UsageError
from jobs.lake.services.airflow import Airflow
from jobs.lake.services.connect import Connect
from jobs.lake.services.kafka import Kafka
from jobs.lake.services.service import Service
from jobs.lake.settings import Settings

SERVICES: dict[str, type[Service]] = {kind.name: kind for kind in (Kafka, Connect, Airflow)}


def services(settings: Settings, names: tuple[str, ...] | list[str] = ()) -> list[Service]:
    """The services of these names, or all; a UsageError lists the names there are."""
    unknown = [name for name in names if name not in SERVICES]
    if unknown:
        raise UsageError(f"no service called {unknown[0]!r}; there are {', '.join(SERVICES)}")
    return [kind(settings) for name, kind in SERVICES.items() if not names or name in names]
