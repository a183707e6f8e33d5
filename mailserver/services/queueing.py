"""Queueing: mail for other systems is made durable, for the role outbound to bring there (DESIGN §4.5).

Outbound is off unless WAYPOST_OUTBOUND is on: what is queued meanwhile is held, and stays so until somebody releases
it, for mail that leaves weeks later without a word surprises its sender.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from mailserver.observability.metrics import counter
from storage import outbox, outgoing_enqueue
from storage.errors import SendingLimitReached
from storage.group_commit import GroupCommit
from storage.outgoing_enqueue import NewOutgoing, SendingLimits
from storage.outgoing_types import Envelope, HeldReason, Lane, OutgoingId, Submitter
from storage.query import Connection
from storage.store import MailStore
from tenants.types import AccountId

QUEUED = counter("queued_recipients", "Recipients of other systems that were queued, held ones among them.")

COMPANY_S = 0.02  # how long a commit waits for more, where several come at once
TOGETHER_OCTETS = 65_536  # messages up to this size share a commit with others of their tenant
_INSTALLATION = AccountId(0)  # in whose name its own mail waits for a commit
_RETURN_PATH = b"Return-Path:"

Wake = Callable[[Iterable[Lane]], None]


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What people may send to other systems. Recipients are counted, not messages."""

    person_recipients_an_hour: int = 1_000  # one person, in any 60 minutes
    person_recipients_a_day: int = 5_000  # one person, in any 24 hours
    tenant_recipients_an_hour: int = 50_000  # all people of a tenant, in any 60 minutes
    tenant_recipients_a_day: int = 250_000  # all people of a tenant, in any 24 hours

    def limits(self) -> SendingLimits:
        return SendingLimits(
            self.person_recipients_an_hour,
            self.person_recipients_a_day,
            self.tenant_recipients_an_hour,
            self.tenant_recipients_a_day,
        )


class Queueing:
    """One per process. `wake` tells the role outbound, after the commit; it never blocks or raises."""

    def __init__(self, store: MailStore, config: QueueConfig, *, is_outbound_on: bool, wake: Wake) -> None:
        self._store = store
        self._limits = config.limits()
        self._held = None if is_outbound_on else HeldReason.OUTBOUND_OFF
        self._wake = wake
        self._together = GroupCommit[NewOutgoing, OutgoingId | SendingLimitReached](company_s=COMPANY_S)

    async def enqueue(
        self,
        who: Submitter,
        envelope: Envelope,
        octets: bytes | mmap,
        *,
        received_at: datetime,
        held_until: datetime | None = None,
    ) -> OutgoingId:
        """Durable when it returns. A Return-Path field that stands first (a door's) is left out: only the last host
        writes one. Raises SendingLimitReached, StoreUnavailable."""
        outgoing_id = await self._enqueue(who, envelope, octets, received_at, held_until, lease_s=0.0)
        self._tell(who, envelope)
        return outgoing_id

    async def enqueue_leased(
        self, who: Submitter, envelope: Envelope, octets: bytes | mmap, *, received_at: datetime, lease_s: float
    ) -> OutgoingId:
        """Durable, and not sent before `let_go`, or before `lease_s` has passed. Raises as `enqueue`."""
        return await self._enqueue(who, envelope, octets, received_at, None, lease_s=lease_s)

    async def let_go(self, who: Submitter, envelope: Envelope, outgoing_id: OutgoingId) -> None:
        await outbox.let_go(self._store.database, who.tenant_id, outgoing_id)
        self._tell(who, envelope)

    async def withdraw(self, who: Submitter, outgoing_id: OutgoingId) -> None:
        await outbox.withdraw(self._store.database, who.tenant_id, outgoing_id)

    async def enqueue_kept(self, connection: Connection, message: NewOutgoing) -> OutgoingId:
        """In a transaction: a message whose octets are in the queue's keeping already. Raises SendingLimitReached.

        `tell` of it, and of what is queued by `enqueue_within`, after the commit.
        """
        return await outgoing_enqueue.enqueue_kept(connection, message, limits=self._limits, held=self._held)

    async def enqueue_within(
        self,
        connection: Connection,
        who: Submitter,
        envelope: Envelope,
        octets: bytes | mmap,
        *,
        received_at: datetime,
    ) -> OutgoingId:
        """In a transaction that does more: mail that no limit counts."""
        keys = await self._store.keys.of(who.tenant_id)
        with memoryview(octets) as whole, without_return_path(whole) as sent:
            return await outgoing_enqueue.enqueue_within(
                connection, keys, who, envelope, sent, queued_at=received_at, held=self._held
            )

    def tell(self, who: Submitter, envelope: Envelope) -> None:
        """What was queued in somebody's transaction has committed."""
        self._tell(who, envelope)

    async def _enqueue(
        self,
        who: Submitter,
        envelope: Envelope,
        octets: bytes | mmap,
        received_at: datetime,
        held_until: datetime | None,
        *,
        lease_s: float,
    ) -> OutgoingId:
        keys = await self._store.keys.of(who.tenant_id)
        with memoryview(octets) as whole, without_return_path(whole) as sent:
            if len(sent) <= TOGETHER_OCTETS and held_until is None and not lease_s:
                return await self._enqueue_with_others(
                    await outgoing_enqueue.prepare(keys, who, envelope, sent, queued_at=received_at)
                )
            return await outgoing_enqueue.enqueue(
                self._store.database,
                keys,
                who,
                envelope,
                sent,
                queued_at=received_at,
                limits=self._limits,
                held=self._held,
                first_attempt_at=held_until,
                lease_s=lease_s,
            )

    async def _enqueue_with_others(self, message: NewOutgoing) -> OutgoingId:
        who = message.who
        result = await self._together.do(
            who.tenant_id, _INSTALLATION if who.account_id is None else who.account_id, message, self._write
        )
        if isinstance(result, SendingLimitReached):
            raise result
        return result

    async def _write(self, messages: Sequence[NewOutgoing]) -> Sequence[OutgoingId | SendingLimitReached]:
        return await outgoing_enqueue.enqueue_together(
            self._store.database, messages, limits=self._limits, held=self._held
        )

    def _tell(self, who: Submitter, envelope: Envelope) -> None:
        QUEUED.labels().inc(len(envelope.recipients))
        self._wake({Lane(who.tenant_id, recipient.domain) for recipient in envelope.recipients})


def without_return_path(octets: memoryview) -> memoryview:
    """The message without a Return-Path in its first line; one with folded lines is none of ours and stays."""
    beginning = bytes(octets[:1_000])
    if not beginning.startswith(_RETURN_PATH):
        return octets[:]
    end = beginning.find(b"\r\n")
    return octets[end + 2 :] if end >= 0 else octets[:]
