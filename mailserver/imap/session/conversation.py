"""What a session knows between commands, shared by all handlers: who, which mailbox, what the client understands."""

from collections.abc import AsyncIterator, Callable
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime

from structlog.typing import FilteringBoundLogger

from mailserver.imap.session.state import State
from mailserver.imap.session.view import MailboxView, Manner
from mailserver.imap.wire.commands import Append, AppendMessage, Command, Replace
from mailserver.imap.wire.response_codes import HighestModseq
from mailserver.imap.wire.responses import Condition, Response, Untagged
from mailserver.services.connections import Seat
from mailserver.services.login import Logins
from mailserver.services.opening import Pictures
from mailserver.services.searching import Searches
from mailserver.services.spool import Spool
from mailserver.services.watching import Watch, Watchers
from storage.placing import PreparedMessage
from storage.store import MailStore
from storage.types import MailboxId, Uid
from tenants.types import Principal


@dataclass(frozen=True, slots=True)
class Services:
    """All that a session can reach."""

    store: MailStore
    logins: Logins
    watchers: Watchers
    searches: Searches
    pictures: Pictures = field(default_factory=Pictures)


@dataclass(frozen=True, slots=True)
class AwaitedLine:
    """A command that goes on with a line of its own grammar, a SASL response or DONE, which `take` answers."""

    command: Command
    take: Callable[["Conversation", bytes], AsyncIterator[Response]]


@dataclass(slots=True)
class Appending:
    """An APPEND or REPLACE whose messages are on their way.

    `message` goes into `spool` now. Those of before are in `messages`: packed, or in a spool of their own when they are
    long. `has_nul`: a NUL has come, as a literal8 may hold it.
    """

    command: Append | Replace
    message: AppendMessage
    spool: Spool
    replaced: tuple[MailboxId, Uid] | None = None
    announced_octets: int = 0
    has_nul: bool = False
    messages: list[tuple[PreparedMessage | Spool, AppendMessage]] = field(default_factory=list)

    def close(self) -> None:
        self.spool.close()
        for content, _ in self.messages:
            if isinstance(content, Spool):
                content.close()


SIGNED_OUT = "You were signed out: sign in again"
OF_THE_CONNECTION = frozenset({"append_limit_octets", "mechanisms", "sign_out"})
"""Of what has a default, that which is not forgotten with the person."""


@dataclass(slots=True, eq=False)
class Conversation:
    """`peer` is the client's address, `wake` has the transport look for updates, `sign_out` end the connection.

    `must_look`: the selected mailbox is to be asked for changes. `is_interrupted`: a literal was promised and not
    delivered, so nothing that follows could be understood.

    `append_limit_octets`: the largest message that APPEND takes, None: not known here.
    `mechanisms`: those of SASL that are offered.
    `is_rev2`: the client has enabled IMAP4rev2. `is_utf8`: it has enabled UTF8=ACCEPT or IMAP4rev2, so mailbox names
    travel as UTF-8, and strings may be quoted with UTF-8 in them; `is_utf8_accept`: the former by its own name.
    """

    services: Services
    peer: str
    log: FilteringBoundLogger
    wake: Callable[[], None]
    now: Callable[[], datetime]
    sign_in_failures_left: int
    is_encrypted: bool
    can_encrypt: bool
    state: State = State.NOT_AUTHENTICATED
    who: Principal | None = None
    seat: Seat | None = None
    view: MailboxView | None = None
    watch: Watch | None = None
    append_limit_octets: int | None = None
    mechanisms: tuple[str, ...] = ()
    is_condstore: bool = False
    is_qresync: bool = False
    is_rev2: bool = False
    is_utf8: bool = False
    is_utf8_accept: bool = False
    must_look: bool = False
    looked_at: float = 0.0
    appending: Appending | None = None
    awaited: AwaitedLine | None = None
    is_idling: bool = False
    wants_tls: bool = False
    is_compressed: bool = False
    is_interrupted: bool = False
    sign_out: Callable[[str], None] | None = None

    @property
    def person(self) -> Principal:
        """Who has signed in; ALLOWED_IN sees to it that handlers which ask have somebody."""
        assert self.who is not None
        return self.who

    @property
    def selected(self) -> MailboxView:
        """The selected mailbox; ALLOWED_IN sees to it that handlers which ask have one."""
        assert self.view is not None
        return self.view

    @property
    def has_news(self) -> bool:
        """May the selected mailbox have changed beyond its view? Own changes that the view has passed do not count."""
        if self.view is None or self.watch is None:
            return False
        return self.must_look or self.watch.modseq > self.view.cursor

    @property
    def manner(self) -> Manner:
        """How this client is told of changes."""
        return Manner(
            with_modseq=self.is_condstore,
            by_uid=self.is_qresync,
            with_recent=not self.is_rev2,
            with_uid=self.is_rev2,
        )

    def admit(self, who: Principal) -> None:
        """Somebody has signed in. Raises TooManyConnections."""
        self.seat = self.services.logins.connections.enter(
            who.account_id,
            self.peer,
            epoch=who.sign_in_epoch,
            token=who.credential.token,
            end=self._signed_out,
        )
        self.who = who
        self.state = State.AUTHENTICATED

    def forget_person(self) -> None:
        """What was said since the greeting counts no more, except that the connection is encrypted, how often signing
        in failed, and what the client called itself (RFC 8437 §3)."""
        self.close()
        for each in fields(self):
            if each.default is not MISSING and each.name not in OF_THE_CONNECTION:
                setattr(self, each.name, each.default)
        self.log = self.log.try_unbind("tenant", "account")

    def begin_watching(self) -> None:
        """Before a mailbox is read, so that no change slips between reading and watching."""
        self.must_look = False
        self.watch = self.services.watchers.watch(self.person.tenant_id, self.person.account_id, self._hinted)

    def select(self, view: MailboxView) -> None:
        self.view = view
        self.state = State.SELECTED

    def deselect(self) -> None:
        self.view = None
        if self.watch is not None:
            self.watch.close()
            self.watch = None
        if self.state is State.SELECTED:
            self.state = State.AUTHENTICATED

    def enable_condstore(self) -> list[Response]:
        """The client has shown that it knows CONDSTORE; the first time it learns HIGHESTMODSEQ (RFC 7162 §3.1)."""
        if self.is_condstore:
            return []
        self.is_condstore = True
        return [] if self.view is None else [highest_modseq(self.view)]

    def enable_qresync(self) -> list[Response]:
        """From now on the client hears of VANISHED where EXPUNGE was; CONDSTORE is part of it (RFC 7162 §3.2.3)."""
        self.is_qresync = True
        return self.enable_condstore()

    def close(self) -> None:
        """The connection is gone: let go of everything."""
        self.deselect()
        self.state = State.LOGOUT
        self.awaited = None
        self.is_idling = False
        if self.appending is not None:
            self.appending.close()
            self.appending = None
        if self.seat is not None:
            self.services.logins.connections.leave(self.seat)
            self.seat = None

    def _signed_out(self) -> None:
        if self.sign_out is not None:
            self.sign_out(SIGNED_OUT)

    def _hinted(self) -> None:
        if self.is_idling:
            self.wake()


def highest_modseq(view: MailboxView) -> Untagged:
    return Untagged(Condition.OK, "Highest mod-sequence", HighestModseq(view.sync.tell()))
