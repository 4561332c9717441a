"""The errors Reelhouse raises: each names what broke, where, and what to do about it.

The exit code tells the schedule what kind of failure it was: 1 ours, 2 the caller's words, 3 bad data (never retried),
4 another run is at work, 5 a service was not there (worth retrying).
"""

RUNBOOKS = "docs/runbooks/"


class ReelhouseError(Exception):
    """Anything we raise on purpose; the command line prints it in one line and exits with `exit_code`.

    `runbook` is the page for whoever has to act on it; a caller's own mistake carries its remedy with it instead.
    """

    exit_code = 1
    runbook = ""

    @property
    def told(self) -> str:
        """The error in one line, with the page that helps, unless the words name one."""
        said = str(self)
        return said if RUNBOOKS in said or not self.runbook else f"{said}; see {RUNBOOKS}{self.runbook}"


class UsageError(ReelhouseError):
    """The caller's words are off: a bad definition, contract, setting, slice or file format. Nothing was written."""

    exit_code = 2


class SettingsError(UsageError):
    """A setting is missing or impossible."""


class ContractError(UsageError):
    """A contract is invalid, or rows do not keep it."""


class DefinitionError(UsageError):
    """A funnel definition is impossible or misspelt."""


class SliceError(UsageError):
    """A slice is not a day, or not one the table has."""


class BackfillError(UsageError):
    """A backfill stands otherwise than the call takes for granted, or its family is not ready for it."""

    runbook = "backfill.md"


class QueryError(UsageError):
    """A query is misspelt, or asks for what readers may not see or change."""


class TooMuchError(ReelhouseError):
    """The engine of small runs leaves a run to Spark; told in a warning, never to the caller."""

    runbook = "build.md"


class StoppedError(ReelhouseError):
    """A backfill was paused or cancelled while it was at work."""

    runbook = "backfill.md"


class LeaseError(ReelhouseError):
    """Another run holds the lease of this table family or ingest."""

    exit_code = 4
    runbook = "lease.md"


class BooksError(ReelhouseError):
    """The books of a run do not balance."""

    exit_code = 3
    runbook = "books.md"


class QualityError(ReelhouseError):
    """A critical check failed; nothing was released."""

    exit_code = 3
    runbook = "red-check.md"


class UnerasedError(ReelhouseError):
    """A person who was to be erased is still in files that readers or jobs see."""

    exit_code = 3
    runbook = "erasure.md"


class TopicError(ReelhouseError):
    """A topic was re-created, or lost a range to retention."""

    exit_code = 3
    runbook = "topics.md"


class DamageError(ReelhouseError):
    """A file of a table is torn, garbled or gone; nothing was written."""

    exit_code = 3
    runbook = "lake.md"


class ServiceError(ReelhouseError):
    """A service does not start, answer or stop."""

    exit_code = 5
    runbook = "services.md"


class DiskError(ServiceError):
    """There is no room on the disk, or no more of it for us."""

    runbook = "disk.md"


class BrokerError(ServiceError):
    """The broker does not answer."""

    runbook = "broker.md"


class PromiseError(ReelhouseError):
    """What a contract promises was not kept; nothing is broken that this would mend."""

    runbook = "promises.md"


class WriteError(ReelhouseError):
    """A write would break an invariant: a repeated (app id, version), a stale fencing token, a foreign schema."""

    runbook = "release.md"


class KeyFileError(ReelhouseError):
    """The pseudonymisation key is missing, unreadable to us, readable to others, or has an unknown id."""

    runbook = "key-file.md"
