"""What each commit to a public table notes of the release that it is of: enough to write `ops.publications` again.

A release's commits have its facts, their own slices, and the versions of all tables of the family; those of a rollback
or of upkeep, whose rows are an older release's, say which. All say what was published until then, so that a release
that was killed, and never was, is not taken for one.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jobs.lake.ledger import Ledger
from jobs.lake.publications import Release, app_of, begun, families, number_of, release_id, releases
from jobs.lake.small_commits import note_of
from jobs.lake.staging import Manifest, Ticket, Verdict

if TYPE_CHECKING:
    from deltalake import CommitProperties

NOTE = "publication"
NEVER = 2**63


@dataclass(frozen=True)
class Noted:
    """One commit's note: the release, the table and version that the commit made, when, and what it says.

    `is_undone`: the table was brought back since to what was published before it.
    """

    number: int
    table: str
    version: int
    at: int
    run_id: str
    said: Mapping[str, Any]
    is_undone: bool = False


def of_release(
    manifest: Manifest, verdict: Verdict, ticket: Ticket, told: Sequence[Release], written: Sequence[str],
    contracts: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """The note of a release that writes these tables; `contracts` has the contract version of each of the family."""
    before = [release for release in told if release.number < ticket.number]
    staged = {each.table for each in manifest.tables}
    old = before[-1].tables if before else {}
    verdicts = {table: old[table].verdict if table in old else "unchecked" for table in ticket.base}
    return {
        "published": ranges_of(release.number for release in before),
        "written": list(written),
        "ingest_seq": manifest.released_seq,
        "watermark": manifest.watermark.isoformat() if manifest.watermark else None,
        "known_from": manifest.known_from.isoformat(),
        "tables": {
            table: [
                base + (table in written),
                contracts[table],
                verdict.verdict if table in staged else verdicts[table],
            ]
            for table, base in ticket.base.items()
        },
    }


def of_rows(family: str, number: int, rows_of: int, told: Sequence[Release], **facts: Any) -> str:
    """The note, as it is committed, of a release whose rows are those of an older one."""
    said = {"published": ranges_of(release.number for release in told), "rows_of": rows_of, **facts}
    return json.dumps({"release": release_id(family, number), NOTE: said}, sort_keys=True)


def of_rollback(
    family: str, together: Mapping[str, Mapping[str, Any]], told: Sequence[Release], **facts: str
) -> str:  # fmt: skip
    """The note of a release that puts an older one back, with what the families do that go back `together`."""
    own = dict(together[family])
    return of_rows(family, own.pop("number"), own.pop("rows_of"), told, together=together, **own, **facts)


def noted(note: str) -> "CommitProperties":
    """A commit of delta-rs that says so, as those of Spark do."""
    from deltalake import CommitProperties

    return CommitProperties(custom_metadata={"userMetadata": note})


def notes(ledger: Ledger, family: str) -> list[Noted]:
    """All that the logs of a family's tables still tell, by release; the newest of a release last."""
    found = []
    for table in tables_of(ledger, family):
        settled = NEVER
        for commit in ledger.open(table).history():  # the newest first
            note, version = note_of(commit), int(commit["version"])
            if NOTE in note:
                told = (version, int(commit["timestamp"]), note.get("run_id", ""), note[NOTE])
                found.append(Noted(number_of(note["release"]), table, *told, is_undone=settled < version))
                settled = NEVER
            elif commit["operation"] == "RESTORE":  # as the next run does with what was never published
                settled = min(settled, int(commit["operationParameters"]["version"]))
    return sorted(found, key=lambda each: (each.number, each.at, each.table))


def published_by(told: Iterable[Noted]) -> set[int]:
    """The releases that were published for sure, as later ones say."""
    return {number for each in told for number in numbers_in(each.said["published"])}


def lost_releases(ledger: Ledger, family: str) -> list[str]:
    """The releases of a family that were published for sure, and are not in `ops.publications`.

    Where no commit tells of any, as in a lake from before they had notes, the name of a family that is forgotten.
    """
    there = {release.number for release in releases(ledger, family)}
    lost = [release_id(family, number) for number in sorted(_sure(ledger, family) - there)]
    return lost or ([f"release of {family}"] if not there and is_forgotten(ledger, family) else [])


def is_forgotten(ledger: Ledger, family: str) -> bool:
    """Whether a family of which no release is known has had one, as far as its tables tell.

    They tell by notes, or by rows, unless it is said that those are of a first release that was never published.
    """
    return bool(_sure(ledger, family)) or (begun(ledger, family) is None and is_filled(ledger, family))


def is_filled(ledger: Ledger, family: str) -> bool:
    """Whether any table of the family has rows, published or not."""
    return any(ledger.open(table).count() for table in tables_of(ledger, family))


def tables_of(ledger: Ledger, family: str) -> list[str]:
    """The tables of the family that were made."""
    return [table for table in families(ledger.settings.schemas_dir)[family] if ledger.exists(table)]


def newest_number(ledger: Ledger, family: str) -> int:
    """The highest number that any release of the family got, as the tables' commits say; 0 for none."""
    by_app = [ledger.txn_version(table, app_of(family)) or 0 for table in tables_of(ledger, family)]
    return max([*by_app, *(each.number for each in notes(ledger, family))], default=0)


def _sure(ledger: Ledger, family: str) -> set[int]:
    """The releases that were published for sure, less those that were given up as lost."""
    first = begun(ledger, family) or 0
    return {number for number in published_by(notes(ledger, family)) if number >= first}


def ranges_of(numbers: Iterable[int]) -> str:
    """`1-12,14` of numbers that grow."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def numbers_in(ranges: str) -> list[int]:
    """The numbers again."""
    ends = [each.split("-") for each in ranges.split(",") if each]
    return [number for each in ends for number in range(int(each[0]), int(each[-1]) + 1)]
