"""A server to be measured, whatever it is."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Doors:
    """host:port of each."""

    imap: str
    imaps: str
    smtp: str
    lmtp: str
    submissions: str


@dataclass(frozen=True, slots=True)
class Ports:
    """Of loopback: the doors of both servers are near these; mail for other systems goes to `sink`."""

    waypost: int = 22_000
    peers: int = 19_000
    sink: int = 18_925


class Target(Protocol):
    """Its users are u0000@example.test and so on, all with the password PASSWORD."""

    @property
    def name(self) -> str: ...

    @property
    def doors(self) -> Doors: ...

    def start_for_seeding(self) -> None:
        """Empty, and as fast at being filled as it can be."""

    def start(self) -> None:
        """Durable, as it is to be measured; what was there is kept."""

    def stop(self) -> None:
        """Nothing happens when it does not run."""

    def root_pids(self) -> list[int]:
        """Of its process trees."""

    def queue_pids(self) -> list[int]:
        """The same, of those alone that hold the queue of mail for other systems and work it off."""


USERS = 2000
PASSWORD = "pw"


class CannotStart(Exception):
    """The text says why, and what to do."""
