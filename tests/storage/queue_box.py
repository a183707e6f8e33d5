"""The queue as one tenant uses it, and how attempts end."""

import itertools
from datetime import UTC, datetime, timedelta

from storage import outbox, outgoing_enqueue, outgoing_lists
from storage.errors import SendingLimitReached
from storage.outgoing_acts import Chosen
from storage.outgoing_enqueue import NewOutgoing, SendingLimits
from storage.outgoing_types import (
    Ending,
    Envelope,
    EventKind,
    HeldReason,
    Lane,
    LastReply,
    LeasedRecipient,
    Notify,
    OutgoingId,
    QueuedRecipient,
    ReportKind,
    Settlement,
    Submitter,
)
from storage.store import MailStore
from tenants.types import AccountId
from tests.conftest import Company, plain_message

MANY = SendingLimits(10_000, 10_000, 10_000, 10_000)
ANN = AccountId(77)
LEASE_S = 60.0
_numbers = itertools.count(1)


class Box:
    """The queue as one tenant uses it."""

    def __init__(self, store: MailStore, company: Company) -> None:
        self.store = store
        self.database = store.database
        self.tenant_id = company.tenant_id

    async def put(
        self,
        *addresses: str,
        octets: bytes = plain_message(),
        account_id: AccountId | None = ANN,
        limits: SendingLimits = MANY,
        notify: Notify | None = None,
        reverse_path: str = "ann@company.test",
        held: HeldReason | None = None,
        first_attempt_at: datetime | None = None,
        lease_s: float = 0.0,
    ) -> OutgoingId:
        envelope = Envelope(
            reverse_path, tuple(QueuedRecipient(each, f"rfc822;{each}", notify) for each in addresses), "envid"
        )
        return await outgoing_enqueue.enqueue(
            self.database,
            await self.store.keys.of(self.tenant_id),
            Submitter(self.tenant_id, account_id),
            envelope,
            memoryview(octets),
            queued_at=datetime.now(UTC),
            limits=limits,
            held=held,
            first_attempt_at=first_attempt_at,
            lease_s=lease_s,
        )

    async def message(self, account_id: AccountId | None, recipients: int) -> NewOutgoing:
        """Its octets are its reverse path, which no other has."""
        reverse_path = f"p{next(_numbers)}@company.test"
        return await outgoing_enqueue.prepare(
            await self.store.keys.of(self.tenant_id),
            Submitter(self.tenant_id, account_id),
            Envelope(reverse_path, tuple(QueuedRecipient(f"r{n}@far.example") for n in range(recipients))),
            memoryview(reverse_path.encode()),
            queued_at=datetime.now(UTC),
        )

    async def put_together(
        self, *messages: NewOutgoing, limits: SendingLimits = MANY
    ) -> list[OutgoingId | SendingLimitReached]:
        return await outgoing_enqueue.enqueue_together(self.database, messages, limits=limits, held=None)

    async def lease(
        self, domain: str = "far.example", room: int = 100, lease_s: float = LEASE_S
    ) -> list[LeasedRecipient]:
        return await outbox.lease(self.database, {Lane(self.tenant_id, domain): room}, lease_s=lease_s)

    async def settle(self, *settlements: Settlement) -> list[Settlement]:
        return await outbox.settle(self.database, settlements, report_wait_s=0.0)

    async def listed(self, **chosen: object) -> list[outgoing_lists.ListedRecipient]:
        return await outgoing_lists.list_recipients(self.database, Chosen(self.tenant_id, **chosen), 1000)  # type: ignore[arg-type]

    async def due(self) -> dict[str, datetime | None]:
        lanes = await outbox.find_lanes(self.database, Lane(self.tenant_id, ""), 1000)
        return {each.domain: each.due_at for each in lanes if each.tenant_id == self.tenant_id}

    async def events(self, outgoing_id: OutgoingId) -> list[EventKind]:
        found = await outgoing_lists.list_events(self.database, self.tenant_id, outgoing_id, 100)
        return [EventKind(each.kind) for each in found]


def delivered(recipient: LeasedRecipient, report: ReportKind = ReportKind.NONE) -> Settlement:
    return Settlement(recipient, Ending.DELIVERED, LastReply(250, "2.0.0", "Taken", "mx.far.example"), report)


def deferred(recipient: LeasedRecipient, wait_s: float, report: ReportKind = ReportKind.NONE) -> Settlement:
    at = datetime.now(UTC) + timedelta(seconds=wait_s)
    return Settlement(recipient, Ending.DEFERRED, LastReply(450, "4.2.0", "Later", "mx"), report, next_attempt_at=at)


def failed(recipient: LeasedRecipient) -> Settlement:
    return Settlement(recipient, Ending.FAILED, LastReply(550, "5.1.1", "Nobody", "mx"), ReportKind.FAILED)
