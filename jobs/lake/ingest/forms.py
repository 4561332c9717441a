"""The form of each topic's records, put together from its event contracts and the contract of its silver table."""

from functools import cache

from pyspark.sql import Column
from pyspark.sql import functions as F
from pyspark.sql.utils import is_remote

from jobs.definitions.events.form import Edition, Form, Role
from jobs.lake.contracts import contract
from jobs.lake.event_contracts import EventContract, event_contract, versions
from jobs.lake.event_rules import row_rules, struct_of
from jobs.lake.event_versions import Contracts, held_fields, unpromised_fields
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


def form(topic: str, settings: Settings, contracts: Contracts | None = None) -> Form:
    """How the records of a topic are read: each by the version of the contract that its type names.

    `contracts` names the versions that count (`contracts_of`); None for all that there are. ContractError where two
    versions say a column in two ways, or an id of a person would lie in silver as it is.
    """
    known = versions(topic, settings.schemas_dir)
    return _form(topic, settings, tuple(known if contracts is None else contracts.get(topic, known[:1])), is_remote())


@cache
def _form(topic: str, settings: Settings, known: tuple[int, ...], is_connect: bool) -> Form:
    """The same once for each kind of column: PySpark's functions make one kind for a JVM here, one for Connect."""
    promised = [event_contract(topic, n, settings.schemas_dir) for n in known]
    fields = held_fields(promised)
    columns = () if topic == CONTROL else contract(silver_table(topic), settings.schemas_dir).names
    return Form(
        topic=topic,
        role=role_of(topic),
        key_field=key_field(topic),
        editions=tuple(edition_of(each, columns) for each in promised),
        fields=fields,
        struct=struct_of(fields),
        rules=tuple(rule for n in known for rule in _rules_of(topic, n, settings, alone=len(known) == 1)),
        columns=columns,
        zone=settings.business_zone,
    )


def edition_of(promised: EventContract, columns: tuple[str, ...]) -> Edition:
    """One version of the records; `columns` are silver's, none for a topic that has no table there."""
    unpromised = unpromised_fields(promised, columns) if columns else ()
    return Edition(promised.version, promised.type_name, promised.fields, unpromised)


def _rules_of(topic: str, number: int, settings: Settings, *, alone: bool) -> list[tuple[str, Column]]:
    """The rules of one version, for the rows of that version."""
    rules = row_rules(topic, number, settings.schemas_dir)
    if alone:
        return rules
    applies = F.col("schema_version").eqNullSafe(F.lit(number))
    return [(reason, applies & broken) for reason, broken in rules]
