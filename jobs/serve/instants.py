"""Points in time as people write them on the command line."""

from datetime import datetime

from jobs.lake.errors import UsageError
from jobs.lake.ledger import Ledger
from jobs.lake.publications import as_of as known_at
from jobs.lake.publications import name_of, releases
from jobs.lake.settings import Settings


def as_of_instant(text: str) -> datetime | None:
    """The instant an `--as-of` names, None for the empty text; UsageError for one that leaves room for doubt."""
    try:
        moment = datetime.fromisoformat(text) if text else None
    except ValueError as wrong:
        raise UsageError(f"--as-of {text!r} is no instant; write it as 2026-11-23T03:00:00Z") from wrong
    if moment is not None and moment.tzinfo is None:
        raise UsageError(f"--as-of {text!r} has no zone; end it in Z or an offset such as +08:00")
    return moment


def asked_moment(settings: Settings, as_of: str, release: str) -> datetime | None:
    """The moment that `--as-of`, or `--release` (as that one came out), names; None for neither.

    UsageError for both, for a release that is not there, and for one that another took the place of by then.
    """
    if not release:
        return as_of_instant(as_of)
    if as_of:
        raise UsageError("--as-of and --release both name a moment; write one of them")
    found = releases(Ledger(settings))
    named = next((each for each in found if name_of(each) == release), None)
    if named is None:
        newest = {each.family: name_of(each) for each in found}
        raise UsageError(f"no release {release!r}; the newest are {', '.join(newest.values()) or 'none yet'}")
    moment = named.facts.known_from
    seen = known_at(found, moment)[named.family]
    if seen.facts.run_id != named.facts.run_id:  # upkeep's copies have the same rows, of the same run
        raise UsageError(f"{release} has the time of {name_of(seen)}, which took its place; ask for that one")
    return moment
