"""`ops.publications`, hurt or gone: what was published is told again, and the table is written anew.

It is told by the table's own files, those of its past among them, as far as they can be read; and by the notes of the
public tables' commits. The new table is made beside the old one, which is then set aside, whole.
"""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from jobs.lake.ailments import is_whole, known_files
from jobs.lake.aside import Mended, set_aside
from jobs.lake.errors import WriteError
from jobs.lake.leases import Leases, Look
from jobs.lake.ledger import Ledger
from jobs.lake.mending import proven
from jobs.lake.publications import TABLE, Publication, app_of, begin, families, number_of, release_id
from jobs.lake.release_notes import is_filled, newest_number, notes, published_by
from jobs.lake.remaking.from_notes import Told, count_at, told_by_notes
from jobs.lake.runner import lease_name
from jobs.lake.scanning import LOG, folder_of
from jobs.lake.settings import Settings

MAKING, MADE = "publications-making", "publications-made"  # a folder under this name is whole
SHOWN = 20


def tell_again(settings: Settings, run_id: str, *, accept_loss: bool) -> Mended:
    """Write the table anew, under the leases of all families.

    WriteError, with nothing changed, where releases are told nowhere, unless that is accepted, or where a release
    names rows that its table has not.
    """
    ledger = Ledger(settings)
    with every_lease(ledger, run_id) as look:
        moved = taken_up(settings)
        if moved is None:
            told = told_of(ledger)
            note = loss_of(ledger, told)
            if note and not accept_loss:
                raise WriteError(
                    f"{note}; nothing was changed. Put the files back from a copy, or go on without with `reelhouse "
                    f"repair {TABLE} --accept-loss`; see docs/runbooks/lake.md"
                )
            known = {
                family: {number: lines for number, lines in found.items() if lines} for family, found in told.items()
            }
            refuse_unfounded(ledger, known)
            write(ledger, known)
            look()
            moved = swap(settings)
        else:
            note = ""
        version, rows = proven(ledger, TABLE)
        return Mended(TABLE, moved, version, rows, note=note)


@contextmanager
def every_lease(ledger: Ledger, run_id: str) -> Iterator[Look]:
    """No family releases meanwhile, as far as the look tells that is yielded."""
    leases = Leases(ledger)
    with ExitStack() as stack:
        names = map(lease_name, families(ledger.settings.schemas_dir))
        held = [stack.enter_context(leases.held(name, run_id)) for name in names]
        yield partial(leases.check, *held)


def told_of(ledger: Ledger) -> dict[str, Told]:
    """The releases of each family: as the table's files have them, the others as commits tell."""
    in_files: dict[str, Told] = {family: {} for family in families(ledger.settings.schemas_dir)}
    for row in rows_in(ledger):
        line = Publication(**{**row, "slices": tuple(row["slices"] or ())})
        if line.family in in_files:
            in_files[line.family].setdefault(number_of(line.release_id), {})[line.table] = line
    return {
        family: {number: noted.get(number, {}) | own.get(number, {}) for number in sorted({*noted, *own})}
        for (family, noted), own in zip(told_by_notes(ledger, in_files).items(), in_files.values(), strict=True)
    }


def rows_in(ledger: Ledger) -> Iterator[dict[str, Any]]:
    """The rows of all files of the table that can be read, those that its log names last.

    Rows are only ever added to it: what a file of its past has, compacted since or of a commit that is lost, holds.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, schema, known = folder_of(ledger.path(TABLE)), ledger.schema(TABLE), known_files(ledger.settings)
    files = [
        file for file in folder.rglob("*.parquet") if LOG not in file.parts and is_whole(known, TABLE, folder, file)
    ]
    newest = named(folder)
    for file in sorted(files, key=lambda each: (each in newest, each.name)):
        held = pq.ParquetFile(file).read()
        columns = [held[name] if name in held.column_names else pa.nulls(len(held)) for name in schema.names]
        yield from pa.table(columns, names=schema.names).cast(schema).to_pylist()


def named(folder: Path) -> set[Path]:
    """The files of the newest version; none where the log cannot be read."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return {Path(file) for file in DeltaTable(folder).file_uris()}
    except DeltaError:
        return set()


def loss_of(ledger: Ledger, told: dict[str, Told]) -> str:
    """In words which releases nothing tells of any more; empty for none."""
    lost = [
        release_id(family, number)
        for family, found in told.items()
        for number in sorted(published_by(notes(ledger, family)) | found.keys())
        if not found.get(number)
    ]
    lines = sum(len(lines) for found in told.values() for lines in found.values())
    untold = count_said(ledger) - lines
    words = ([f"releases {', '.join(lost[:SHOWN])}{' …' if len(lost) > SHOWN else ''}"] if lost else []) + (
        [f"{untold} lines of the log"] if untold > 0 else []
    )
    words += [
        f"all releases of {family}" for family, found in told.items() if not found and was_released(ledger, family)
    ]
    return f"{TABLE}: {', '.join(words)} are told nowhere any more" if words else ""


def count_said(ledger: Ledger) -> int:
    """How many lines there were, by the table's log; 0 where that cannot be read."""
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError

    try:
        return int(DeltaTable(ledger.path(TABLE)).count())
    except DeltaError:
        return 0


def was_released(ledger: Ledger, family: str) -> bool:
    """Whether a release from before commits had notes has committed to a table; perhaps one that was killed then."""
    return not notes(ledger, family) and (newest_number(ledger, family) > 0 or is_filled(ledger, family))


def refuse_unfounded(ledger: Ledger, told: dict[str, Told]) -> None:
    """WriteError unless each version that is named, and that its table still has, has so many rows.

    What is newest of a family must be there.
    """
    every = [(number == max(found), line) for found in told.values() for number, lines in found.items()
             for line in lines.values()]  # fmt: skip
    rows = {place: count_at(ledger, *place) for place in {(line.table, line.version) for _, line in every}}
    for is_newest, line in every:
        there = rows[line.table, line.version]
        if there != line.rows and (is_newest or there is not None):
            raise WriteError(
                f"{TABLE}: {line.release_id} names version {line.version} of {line.table} with {line.rows} rows, which "
                f"{'is not there' if there is None else f'has {there}'}; mend {line.table} first (`reelhouse doctor "
                "--lake`). Nothing was changed"
            )


def write(ledger: Ledger, told: dict[str, Told]) -> None:
    """Make the new table beside the old one, a commit for each family; one whose releases are given up begins anew."""
    settings = ledger.settings
    making = Path(settings.lake_root) / MAKING
    shutil.rmtree(making, ignore_errors=True)
    new = Ledger(settings.model_copy(update={"lake_uri": str(making)}))
    new.open(TABLE)
    for family, found in told.items():
        lines = [{**asdict(line), "slices": list(line.slices)} for lines in found.values() for line in lines.values()]
        if lines:
            new.append(TABLE, lines, app=app_of(family), version=max(found))
        else:
            begin(new, family, newest_number(ledger, family) + 1)
    if proven(new, TABLE)[1] != sum(len(lines) for found in told.values() for lines in found.values()):
        raise WriteError(f"{TABLE}: was not written whole; nothing was changed")
    made = Path(settings.lake_root) / MADE
    shutil.rmtree(made, ignore_errors=True)
    folder_of(new.path(TABLE)).rename(made)
    shutil.rmtree(making)


def swap(settings: Settings) -> tuple[str, ...]:
    """Set the old table aside and put the new one in its place; where the old one lies then."""
    place = folder_of(settings.table_path(TABLE))
    moved = [set_aside(settings, TABLE, place)[1]] if place.exists() else []
    place.parent.mkdir(parents=True, exist_ok=True)
    (Path(settings.lake_root) / MADE).rename(place)
    return tuple(map(str, moved))


def taken_up(settings: Settings) -> tuple[str, ...] | None:
    """End what a killed repair left between the two moves; None when there is no such."""
    is_between = (Path(settings.lake_root) / MADE).exists() and not folder_of(settings.table_path(TABLE)).exists()
    return swap(settings) if is_between else None
