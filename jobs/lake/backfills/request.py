"""Requests: what is made anew, by which slices, why and for whom, as reviewed data under infra/backfills."""

import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from jobs.definitions.funnel.checking import read_definitions
from jobs.lake.backfills.slices import DaysSlice, FunnelSlice, Slice, UsersSlice
from jobs.lake.contracts import contract
from jobs.lake.errors import ContractError, UsageError
from jobs.lake.publications import families
from jobs.lake.reviewed import read_reviewed
from jobs.lake.settings import ROOT

FOLDER = ROOT / "infra" / "backfills"
README = "see infra/backfills/README.md"
MOST_SLICES = 1000


class Part(BaseModel):
    """How a table is cut into slices."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class ByDays(Part):
    """Days from `first` to `last`, both included, so many in a slice."""

    by: Literal["days"]
    first: date = Field(alias="from")
    last: date = Field(alias="to")
    each: int = Field(default=1, ge=1)

    def slices(self) -> tuple[Slice, ...]:
        """In the order of time; none when the last day is before the first."""
        days = [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]
        return tuple(DaysSlice(tuple(days[n : n + self.each])) for n in range(0, len(days), self.each))


class ByUsers(Part):
    """Everybody, in so many parts of about one size."""

    by: Literal["users"]
    buckets: int = Field(ge=1)

    def slices(self) -> tuple[Slice, ...]:
        """Bucket by bucket."""
        return tuple(UsersSlice(number, self.buckets) for number in range(1, self.buckets + 1))


class ByFunnels(Part):
    """Versions of funnels, each written `name@version`."""

    by: Literal["funnels"]
    versions: tuple[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*@[1-9][0-9]*$")], ...]

    def slices(self) -> tuple[Slice, ...]:
        """Version by version, each once."""
        parts = [text.split("@") for text in dict.fromkeys(self.versions)]
        return tuple(FunnelSlice(name, int(version)) for name, version in parts)


class Request(BaseModel):
    """A reviewed file of infra/backfills."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    table: str
    reason: str = Field(min_length=1)
    owner: str = Field(min_length=1)
    slices: Annotated[ByDays | ByUsers | ByFunnels, Field(discriminator="by")]

    @property
    def fingerprint(self) -> str:
        """Changes with what is asked for; not with the words that say why."""
        asked = self.model_dump_json(include={"name", "table", "slices"})
        return hashlib.sha256(asked.encode()).hexdigest()[:16]


def file_of(asked: Path) -> Path:
    """The file that is asked for; a name alone is one of infra/backfills, as of patches."""
    named = FOLDER / f"{asked}.yaml"
    return named if asked.parent == Path() and not asked.exists() and named.is_file() else asked


def read_request(file: Path, schemas_dir: Path) -> Request:
    """The request of a file that can be done; UsageError names file, place and remedy."""
    if not file.is_file():
        known = ", ".join(path.name for path in sorted(FOLDER.glob("*.yaml")))
        raise UsageError(f"{file}: is not there; infra/backfills has {known or 'none'}")
    request = read_reviewed(Request, file, README)
    if request.name != file.stem:
        raise UsageError(f"{file}: name: is {request.name!r}; write {file.stem!r}, as its file")
    refuse_impossible(request, str(file), schemas_dir)
    return request


def refuse_impossible(request: Request, where: str, schemas_dir: Path) -> None:
    """UsageError for a table that is not made anew by such slices, for no slice, too many, or a funnel that is none."""
    try:
        promised = contract(request.table, schemas_dir)
    except ContractError as unknown:
        raise UsageError(f"{where}: table: {unknown}") from unknown
    if not promised.backfill:
        raise UsageError(
            f"{where}: table: {request.table} is not made anew by slices; {_instead(request, schemas_dir)}"
        )
    if request.slices.by not in promised.backfill:
        raise UsageError(
            f"{where}: slices.by: {request.table} has no slices by {request.slices.by}; "
            f"write by: {' or '.join(promised.backfill)}"
        )
    count = len(request.slices.slices())
    if not 1 <= count <= MOST_SLICES:
        raise UsageError(f"{where}: slices: are {count}; ask for 1 to {MOST_SLICES}, larger ones if need be")
    if isinstance(request.slices, ByFunnels):
        known = {f"{one.name}@{one.version}" for one in read_definitions(schemas_dir)}
        for stray in [each for each in request.slices.versions if each not in known]:
            raise UsageError(f"{where}: slices.versions: {stray} is no funnel; there are {', '.join(sorted(known))}")


def _instead(request: Request, schemas_dir: Path) -> str:
    """What to write, or to run, in place of a table that has no slices."""
    family = contract(request.table, schemas_dir).family
    if family is None:
        return "ingest alone writes it; `reelhouse replay` and `reelhouse quarantine replay` send records again"
    for table in families(schemas_dir)[family]:
        if contract(table, schemas_dir).backfill:
            return f"it follows {table}: write table: {table}"
    return f"its family is made anew as a whole: `reelhouse build {family} --full`"
