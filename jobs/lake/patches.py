"""Patches: how refused records are put right, as reviewed data under infra/patches."""

from functools import reduce
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.definitions.funnel.vocabulary import did_you_mean
from jobs.lake.errors import UsageError
from jobs.lake.event_contracts import all_topics, event_contract, versions
from jobs.lake.mended_json import Repair, mended, strict
from jobs.lake.reviewed import read_reviewed
from jobs.lake.settings import ROOT

FOLDER = ROOT / "infra" / "patches"
MICROSECONDS = 1_000_000
Body = dict[str, Any]


class Step(BaseModel):
    """One change of a record."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def on(self, body: Body) -> Body:
        """The body after the step."""
        return body


class MendJson(Step):
    """Drop a byte order mark and what follows the first JSON object, and mend what is named; done as the text is read.

    `also`: NaN becomes null, a comma before a closing bracket goes, strings in single quotes get double ones.
    """

    do: Literal["mend_json"]
    also: tuple[Repair, ...] = ()


class Rename(Step):
    """Give a field its promised name, where that is not there."""

    do: Literal["rename"]
    old: str = Field(alias="from")
    to: str

    def on(self, body: Body) -> Body:
        """The body with the field under its new name."""
        if self.old not in body or body.get(self.to) is not None:
            return body
        return {name: value for name, value in body.items() if name != self.old} | {self.to: body[self.old]}


class MapValue(Step):
    """Put one value of a field in the place of another."""

    do: Literal["map_value"]
    field: str
    values: dict[str, str]

    def on(self, body: Body) -> Body:
        """The body with the other value, if it has one of those listed."""
        value = body.get(self.field)
        return body | {self.field: self.values[value]} if isinstance(value, str) and value in self.values else body


class ShiftClock(Step):
    """Move the time of the event."""

    do: Literal["shift_clock"]
    seconds: int

    def on(self, body: Body) -> Body:
        """The body with its time moved."""
        at = body.get("event_time")
        return body | {"event_time": at + self.seconds * MICROSECONDS} if type(at) is int else body


class Version(Step):
    """Judge the record by another version of the topic's event contract, and send it as such."""

    do: Literal["version"]
    to: int = Field(ge=1)


class Patch(BaseModel):
    """A reviewed file: which topic's records, what is done to them, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int = Field(ge=1)
    owner: str
    why: str
    topic: str
    steps: tuple[Annotated[MendJson | Rename | MapValue | ShiftClock | Version, Field(discriminator="do")], ...] = ()

    @property
    def contract_version(self) -> int | None:
        """The version of the event contract that the records are judged by; None for that of each record."""
        return next((step.to for step in reversed(self.steps) if isinstance(step, Version)), None)

    def read(self, value: bytes) -> Body | None:
        """The body of a refused record after every step; None for what still is no JSON object with each field once."""
        repairs = [step.also for step in self.steps if isinstance(step, MendJson)]
        try:
            body = mended(value, list(chain(*repairs))) if repairs else strict(value.decode())
        except (ValueError, RecursionError):
            return None
        return reduce(lambda made, step: step.on(made), self.steps, body) if isinstance(body, dict) else None


def read_patch(name: str, schemas_dir: Path, folder: Path = FOLDER) -> Patch:
    """The patch of that name that can be applied; UsageError names the file, the place in it, and what there is."""
    file = folder / f"{name}.yaml"
    known = sorted(each.stem for each in folder.glob("*.yaml"))
    if name not in known:
        raise UsageError(f"no patch {name!r}; {folder} has {', '.join(known) or 'none'}")
    patch = read_reviewed(Patch, file, "see infra/patches/README.md")
    if patch.name != name:
        raise UsageError(f"{file}: name is {patch.name!r}; call it {name!r}, as its file")
    refuse_idle(patch, str(file), schemas_dir)
    return patch


def refuse_idle(patch: Patch, where: str, schemas_dir: Path) -> None:
    """UsageError for a topic, a version or a field that no contract knows: such a patch would mend nothing."""
    topics = all_topics(schemas_dir)
    if patch.topic not in topics:
        raise UsageError(f"{where}: topic: {patch.topic!r} is none; {did_you_mean(patch.topic, topics)}")
    there = versions(patch.topic, schemas_dir)
    fields = {each.name for n in there for each in event_contract(patch.topic, n, schemas_dir).fields}
    renamed = {step.old for step in patch.steps if isinstance(step, Rename)}
    for number, step in enumerate(patch.steps):
        place = f"{where}: steps.{number}"
        if isinstance(step, Version) and step.to not in there:
            raise UsageError(
                f"{place}.to: {patch.topic} has no version {step.to}; there are {', '.join(map(str, there))}"
            )
        if isinstance(step, Rename) and step.to not in fields:
            raise UsageError(f"{place}.to: {step.to!r} is no field of {patch.topic}; {did_you_mean(step.to, fields)}")
        if isinstance(step, MapValue) and step.field not in fields | renamed:
            raise UsageError(
                f"{place}.field: {step.field!r} is no field of {patch.topic}; {did_you_mean(step.field, fields)}"
            )
