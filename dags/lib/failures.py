"""The kinds of failure a command can end with, told apart by its exit code (jobs/lake/errors.py)."""

from airflow.sdk.exceptions import AirflowException


class JobFailed(AirflowException):
    """The command failed for a reason of its own; retried as usual."""


class WrongCall(JobFailed):
    """Exit 2: a bad definition, contract, setting or slice. Nothing was written; a retry would fail alike."""


class BadData(JobFailed):
    """Exit 3: the books do not balance, a critical check failed, a topic is not what it was. Never retried."""


class ServiceLost(JobFailed):
    """Exit 5: the broker or Spark was not there. Worth another try."""


class PromiseBroken(JobFailed):
    """`reelhouse alerts` found a broken promise and has told people itself. Trying again would find the same."""


LEASE_HELD = 4
KINDS: dict[int, type[JobFailed]] = {2: WrongCall, 3: BadData, 5: ServiceLost}
NAMED: dict[str, type[JobFailed]] = {"PromiseError": PromiseBroken}  # by the error that the result names


def failure_of(code: int, error: str) -> type[JobFailed]:
    """What kind of failure a command ended with."""
    return NAMED.get(error) or KINDS.get(code, JobFailed)
