"""The form of each topic's records, put together from its event contracts and the contract of its silver table."""

from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.utils import is_remote

from jobs.definitions.events.form import Form, Role
from jobs.lake.contracts import contract
from jobs.lake.event_contracts import event_contract, versions
from jobs.lake.event_rules import event_struct, row_rules
from jobs.lake.settings import Settings
from jobs.lake.topics import CONTROL, ENTITIES, FACTS

OUTPUTS = (*FACTS, *ENTITIES)


def silver_table(topic: str) -> str:
    """Where the events of a topic go."""
    return f"silver.{topic}"


def role_of(topic: str) -> Role:
    """What kind of topic it is."""
    if topic in FACTS:
        return "fact"
    return "control" if topic == CONTROL else "entity"


def key_field(topic: str) -> str:
    """The body's field that the record's key repeats."""
    if topic in FACTS:
        return "user_id"
    return "source" if topic == CONTROL else f"{topic.removesuffix('s')}_id"


def form(topic: str, settings: Settings) -> Form:
    """How the records of a topic are read; the newest version's fields hold those of the older ones."""
    return _form(topic, settings, is_remote())


@cache
def _form(topic: str, settings: Settings, is_connect: bool) -> Form:
    """The same once for each kind of column: PySpark's functions make one kind for a JVM here, one for Connect."""
    known = versions(topic, settings.schemas_dir)
    promised = {n: event_contract(topic, n, settings.schemas_dir) for n in known}
    columns = () if topic == CONTROL else contract(silver_table(topic), settings.schemas_dir).names
    return Form(
        topic=topic,
        role=role_of(topic),
        key_field=key_field(topic),
        versions={each.type_name: n for n, each in promised.items()},
        fields=promised[known[-1]].fields,
        struct=event_struct(topic, known[-1], settings.schemas_dir),
        rules=tuple(rule for n in known for rule in _rules_of(topic, n, settings, alone=len(known) == 1)),
        columns=columns,
        zone=settings.business_zone,
    )


def _rules_of(topic: str, number: int, settings: Settings, *, alone: bool) -> list[tuple[str, Column]]:
    """The rules of one version, for the rows of that version."""
    rules = row_rules(topic, number, settings.schemas_dir)
    if alone:
        return rules
    applies = F.col("schema_version").eqNullSafe(F.lit(number))
    return [(reason, applies & broken) for reason, broken in rules]
