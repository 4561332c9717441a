"""What a service is to those who start, stop and look at it."""

import socket
from abc import ABC, abstractmethod
from pathlib import Path

from jobs.lake.settings import Settings


class Service(ABC):
    """One of ours, or an outside one that takes its place.

    A subclass says how to start it, when it is well, and what is due once it is.
    """

    name: str
    patience_seconds: float = 120.0

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @property
    def folder(self) -> Path:
        """Everything the service keeps: record, log, data."""
        return self.settings.home / "services" / self.name

    @property
    def log(self) -> Path:
        """What the service printed, over all its starts."""
        return self.folder / f"{self.name}.log"

    @property
    @abstractmethod
    def outside(self) -> str:
        """The address of the outside service in use, or empty when it is ours."""

    @property
    @abstractmethod
    def address(self) -> str:
        """Where clients find it, ours or outside."""

    @property
    @abstractmethod
    def ports(self) -> dict[str, int]:
        """The loopback ports ours listens on, by the setting that names each."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what the first start needs; harmless when it is there."""

    @abstractmethod
    def command(self) -> list[str]:
        """The command line of our process."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """The whole environment of our process."""

    @abstractmethod
    def is_well(self) -> bool:
        """Say whether clients are being served; never raises, never takes more than a few seconds."""

    def warm(self) -> None:
        """What a fresh start is made to do at once, so that its first client need not wait for it."""
        return

    def settle(self) -> None:
        """What is due once the service is well; harmless when done before."""
        return


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether somebody listens on a port of this machine."""
    try:
        with socket.create_connection((host, port), timeout=1.0):
            return True
    except OSError:
        return False
