"""The form of one topic's records: what a reader must know of its contract, as one value."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pyspark.sql import Column
from pyspark.sql.types import StructType

if TYPE_CHECKING:
    from jobs.lake.event_contracts import EventField

Pseudonym = Callable[[Column], Column]
Role = Literal["fact", "entity", "control"]


@dataclass(frozen=True)
class Edition:
    """One version of a topic's records: the fields of its bodies, and those of them that silver has no column for."""

    version: int
    type_name: str
    fields: "tuple[EventField, ...]"
    unpromised: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)  # one form is only ever equal to itself, so what is made of it can be cached
class Form:
    """How the records of one topic are read.

    `rules` are (reason, condition) over the columns `body` and `schema_version`; a condition is true where the row
    breaks the rule and never null. `editions` are the contract's versions, the oldest first; `fields` are those of all
    of them, under silver's names, as a body holds them once it is read; `columns` are silver's.
    """

    topic: str
    role: Role
    key_field: str
    editions: tuple[Edition, ...]
    fields: "tuple[EventField, ...]"
    struct: StructType
    rules: tuple[tuple[str, Column], ...]
    columns: tuple[str, ...]
    zone: str

    @property
    def versions(self) -> Mapping[str, int]:
        """The contract's version by ce_type."""
        return {each.type_name: each.version for each in self.editions}

    @property
    def field(self) -> "dict[str, EventField]":
        """The body's fields by name."""
        return {field.name: field for field in self.fields}
