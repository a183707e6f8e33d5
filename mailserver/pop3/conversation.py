"""What a POP3 session knows between commands (RFC 1939 §3)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

from structlog.typing import FilteringBoundLogger

from mailserver.services.connections import Seat
from mailserver.services.exchanges import Exchange
from mailserver.services.login import Logins
from mailserver.services.maildrop import Maildrop, MaildropMessage
from storage.store import MailStore
from tenants.types import Principal

SIGNED_OUT = "You were signed out: sign in again"


class State(Enum):
    """UPDATE is not here: it is what QUIT does in TRANSACTION."""

    AUTHORIZATION = auto()
    TRANSACTION = auto()
    OVER = auto()


class NoSuchMessage(Exception):
    """The number names no message, or one that this session has deleted."""


@dataclass(frozen=True, slots=True)
class Services:
    """All that a session can reach."""

    store: MailStore
    logins: Logins


@dataclass(slots=True, eq=False)
class Conversation:
    """`peer` is the client's address. `deleted` holds message numbers. `sign_out` ends the connection.

    `exchange`: a challenge was sent, and the next line answers it.

    `is_interrupted`: an answer broke off in the middle, so nothing that follows could be understood.
    """

    services: Services
    peer: str
    log: FilteringBoundLogger
    sign_in_failures_left: int
    is_encrypted: bool
    can_encrypt: bool
    state: State = State.AUTHORIZATION
    user: str | None = None
    who: Principal | None = None
    maildrop: Maildrop | None = None
    deleted: set[int] = field(default_factory=set)
    seat: Seat | None = None
    exchange: Exchange | None = None
    wants_tls: bool = False
    is_interrupted: bool = False
    sign_out: Callable[[str], None] | None = None

    @property
    def person(self) -> Principal:
        assert self.who is not None
        return self.who

    @property
    def opened(self) -> Maildrop:
        """The maildrop; ALLOWED_IN sees to it that handlers which ask have one."""
        assert self.maildrop is not None
        return self.maildrop

    def enter(self, who: Principal) -> None:
        """Somebody has signed in. Raises TooManyConnections."""
        self.seat = self.services.logins.connections.enter(
            who.account_id,
            self.peer,
            epoch=who.sign_in_epoch,
            token=who.credential.token,
            end=self._signed_out,
        )

    def _signed_out(self) -> None:
        if self.sign_out is not None:
            self.sign_out(SIGNED_OUT)

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        if self.seat is not None:
            self.services.logins.connections.leave(self.seat)
            self.seat = None

    def message(self, number: int) -> MaildropMessage:
        """Raises NoSuchMessage."""
        if number > len(self.opened.messages) or number in self.deleted:
            raise NoSuchMessage
        return self.opened.messages[number - 1]

    def present(self) -> Iterator[tuple[int, MaildropMessage]]:
        """What is not deleted, with its numbers."""
        return ((n, each) for n, each in enumerate(self.opened.messages, 1) if n not in self.deleted)

    def count_present(self) -> tuple[int, int]:
        """How many that are, and their octets."""
        octets = sum(each.octets for _, each in self.present())
        return len(self.opened.messages) - len(self.deleted), octets
