"""How badly senders behave: shares of records by profile."""

from dataclasses import dataclass

from jobs.lake.errors import UsageError


@dataclass(frozen=True)
class Misbehaviour:
    """Shares of the records (or of the devices, or runs per 100,000 records) that go wrong."""

    late_seconds: float = 0.0  # half a minute to an hour
    late_days: float = 0.0  # 10 to 48 hours
    late_month: float = 0.0  # 3 to 30 days
    duplicates: float = 0.0  # a third at once, a third within hours, a third on the next day
    conflicts: float = 0.0
    broken: float = 0.0  # all kinds of `jobs.simulate.breakages`, in turn
    wrong_clocks: float = 0.0  # of the devices
    lost_runs: float = 0.0
    repeated_runs: float = 0.0


PROFILES = {
    "none": Misbehaviour(),
    "mild": Misbehaviour(
        late_seconds=0.02, late_days=0.004, late_month=0.0006, duplicates=0.01, conflicts=0.0008, broken=0.006,
        wrong_clocks=0.01, lost_runs=1.0, repeated_runs=1.0,
    ),
    "wild": Misbehaviour(
        late_seconds=0.08, late_days=0.02, late_month=0.006, duplicates=0.05, conflicts=0.006, broken=0.04,
        wrong_clocks=0.06, lost_runs=6.0, repeated_runs=6.0,
    ),
}  # fmt: skip


def misbehaviour(profile: str) -> Misbehaviour:
    """The profile of that name; an unknown name is a UsageError."""
    if profile not in PROFILES:
        raise UsageError(f"--misbehave {profile}: no such profile; write one of {', '.join(PROFILES)}")
    return PROFILES[profile]
