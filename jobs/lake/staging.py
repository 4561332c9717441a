"""Staging: where a family is built and checked before anybody sees it, and the papers that travel with it.

Tables lie at `<lake>/staging/<layer>/<table>`; beside them, per family, four small JSON files: the manifest (what was
built from what), the verdict (which exact staging passed its checks), the accounts (how it adds up to what it was made
from) and the ticket (which release number it got).
"""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from jobs.lake.errors import WriteError
from jobs.lake.settings import Settings
from jobs.lake.work import Mode, Work

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem


class Paper(BaseModel):
    """A JSON file of one family beside its staging tables."""

    model_config = ConfigDict(frozen=True, extra="forbid")


P = TypeVar("P", bound=Paper)


class StagedTable(Paper):
    """One staged table as it was written: `version` and `table_id` name exactly these rows.

    `removed_version` is that of the keys a merge takes away, staged beside it; None when there are none.
    """

    table: str
    mode: Mode
    slices: tuple[date, ...]
    version: int
    table_id: str
    rows: int
    removed_version: int | None
    contract_version: str

    @property
    def cost(self) -> str:
        """`gold.funnel_daily 3 days 420 rows`; without days where rows are merged, added, or all replaced."""
        return f"{self.table} {f'{len(self.slices)} days ' if self.slices else ''}{self.rows} rows"


class Manifest(Paper):
    """What one build staged, from what. `base_run_id` is the run whose release it builds on ("" before the first)."""

    family: str
    run_id: str
    base_run_id: str
    full: bool
    days: tuple[date, ...]
    held: tuple[date, ...]
    ingest_seq_from: int
    ingest_seq_to: int
    released_seq: int
    watermark: datetime | None
    known_from: datetime
    silver_versions: dict[str, int]
    tables: tuple[StagedTable, ...]

    @property
    def cost(self) -> str:
        """How much is written anew, in words: days and rows of each table."""
        return ", ".join(table.cost for table in self.tables) or "nothing"

    @property
    def fingerprint(self) -> str:
        """Changes whenever anything about the staging changes."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:32]


def manifest_of(work: Work, tables: tuple[StagedTable, ...], base_run_id: str, *, is_progress: bool) -> Manifest:
    """The papers of a build; days done by hand are not all that waits, so they book no progress."""
    return Manifest(
        family=work.family,
        run_id=work.run_id,
        base_run_id=base_run_id,
        full=work.full,
        days=work.days,
        held=work.held,
        ingest_seq_from=work.ingest_seq_from,
        ingest_seq_to=work.ingest_seq_to,
        released_seq=work.ingest_seq_to if is_progress else work.ingest_seq_from,
        watermark=work.watermark,
        known_from=work.known_from,
        silver_versions=work.silver_versions,
        tables=tables,
    )


class Verdict(Paper):
    """That the staging of this fingerprint passed; `verdict` is passed or warned."""

    fingerprint: str
    verdict: str


class Line(Paper):
    """What a table was made from beside what it holds, of one equation, one part of it (a funnel) and one day.

    `left_out` counts by reason what came in and is not counted; `slice` is None for the whole table. Why both sides
    cannot be compared, `not_compared` says; it is empty where they can.
    """

    table: str
    equation: str
    part: str
    slice: date | None
    input_rows: int
    left_out: dict[str, int]
    output_rows: int
    not_compared: str = ""

    @property
    def adds_up(self) -> bool:
        """Whether what came in, less what was left out, is what came out."""
        return self.input_rows - sum(self.left_out.values()) == self.output_rows

    @property
    def is_off(self) -> bool:
        """Whether it is compared, and does not add up."""
        return not self.adds_up and not self.not_compared

    @property
    def words(self) -> str:
        """`2026-11-16: 12 acts in, 1 of_nobody_we_know left out, but 10 out (11 expected)`, with the funnel's name."""
        of = f"{self.part}: " if self.part else ""
        on = f"{self.slice}: " if self.slice else ""
        less = "".join(f", {rows} {reason} left out" for reason, rows in self.left_out.items())
        expected = self.input_rows - sum(self.left_out.values())
        return f"{of}{on}{self.input_rows} {self.equation} in{less}, but {self.output_rows} out ({expected} expected)"


class Accounts(Paper):
    """How the staging of this fingerprint adds up; booked when it is released."""

    fingerprint: str
    lines: tuple[Line, ...]


class Ticket(Paper):
    """The release number of the staging of this fingerprint, so that a killed release goes on as itself.

    `base` has the version of each public table before the release's own commit.
    """

    fingerprint: str
    number: int
    base: dict[str, int]


class Staging:
    """The staging area of one family; or, under another `area`, what a slice of a backfill is built into."""

    def __init__(self, settings: Settings, family: str, area: str = "staging") -> None:
        self.family = family
        self.root = f"{settings.lake_root}/{area}"

    def path(self, table: str) -> str:
        """Where a table is staged."""
        return f"{self.root}/{table.replace('.', '/')}"

    def removed_path(self, table: str) -> str:
        """Where the keys that a merge takes away are staged."""
        return f"{self.path(table)}__removed"

    def manifest(self) -> Manifest | None:
        """What is staged now; None when nothing is, or a build was killed half-way."""
        return self._read("manifest", Manifest)

    def verdict(self) -> Verdict | None:
        """The last passed check, perhaps of an older staging."""
        return self._read("verdict", Verdict)

    def ticket(self) -> Ticket | None:
        """The last release number given out."""
        return self._read("ticket", Ticket)

    def accounts(self) -> Accounts | None:
        """How what is staged now adds up; None when it was not checked, or by a version that did not look."""
        manifest, found = self.manifest(), self._read("accounts", Accounts)
        is_its = manifest is not None and found is not None and found.fingerprint == manifest.fingerprint
        return found if is_its else None

    def note_uncounted(self, counted: Sequence[Line]) -> None:
        """Say in the accounts which of these lines could not be counted anew, though the check may have."""
        accounts = self.accounts()
        uncounted = {(line.table, line.equation): line for line in counted if line.not_compared}
        if accounts and uncounted:
            lines = tuple(uncounted.get((line.table, line.equation), line) for line in accounts.lines)
            self.put(accounts.model_copy(update={"lines": lines}))

    def own_ticket(self) -> Ticket | None:
        """The release number given to what is staged now; None when nothing is, or it has none yet."""
        manifest, ticket = self.manifest(), self.ticket()
        is_its = manifest is not None and ticket is not None and ticket.fingerprint == manifest.fingerprint
        return ticket if is_its else None

    def put(self, paper: Paper) -> None:
        """Write one of the papers, whole or not at all."""
        fs, path = self._place(type(paper).__name__.lower())
        fs.create_dir(path.rsplit("/", 1)[0], recursive=True)
        with fs.open_output_stream(f"{path}.new") as file:
            file.write(paper.model_dump_json(indent=1).encode())
        fs.move(f"{path}.new", path)

    def clear(self) -> None:
        """Forget manifest and verdict before new rows are staged; the ticket stays, so numbers only grow."""
        from pyarrow.fs import FileType

        for name in ("verdict", "accounts", "manifest"):
            fs, path = self._place(name)
            if fs.get_file_info(path).type == FileType.File:
                fs.delete_file(path)

    def _read(self, name: str, kind: type[P]) -> P | None:
        from pyarrow.fs import FileType

        fs, path = self._place(name)
        if fs.get_file_info(path).type != FileType.File:
            return None
        with fs.open_input_stream(path) as file:
            text = file.read()
        try:
            return kind.model_validate_json(text)
        except ValidationError as bad:
            raise WriteError(
                f"{path} is no {name} of this version; delete it and run `reelhouse build {self.family}`"
            ) from bad

    def _place(self, name: str) -> "tuple[FileSystem, str]":
        from pyarrow.fs import FileSystem

        uri = f"{self.root}/{self.family}.{name}.json"
        place: tuple[FileSystem, str] = FileSystem.from_uri(uri.replace("s3a://", "s3://", 1))
        return place
