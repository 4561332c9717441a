"""The errors Reelhouse raises: each names what broke, where, and what to do about it."""


class ReelhouseError(Exception):
    """Anything we raise on purpose; the command line prints it in one line and exits with `exit_code`."""

    exit_code = 1


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


class LeaseError(ReelhouseError):
    """Another run holds the lease of this table family or ingest."""


class BooksError(ReelhouseError):
    """The books of a run do not balance."""


class QualityError(ReelhouseError):
    """A critical check failed; nothing was released."""


class TopicError(ReelhouseError):
    """A topic was re-created, lost a range to retention, or cannot be reached."""


class ServiceError(ReelhouseError):
    """A service does not start, answer or stop."""


class WriteError(ReelhouseError):
    """A write would break an invariant: a repeated (app id, version), a stale fencing token, a foreign schema."""


class KeyFileError(ReelhouseError):
    """The pseudonymisation key is missing, unreadable to us, readable to others, or has an unknown id."""
