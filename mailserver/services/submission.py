"""Submission: someone who signed in sends a message, to people of this installation and to other systems.

The door has checked that the addresses the message claims are the sender's own. Clients keep the copy in Sent
themselves, by APPEND.

A message for both is queued first, leased so that it does not leave yet, then placed here, then let go. If placing is
refused, what was queued is taken back: the sender is told of one refusal, and nobody has the message. If this process
ends in between, the lease runs out and the message leaves, though the sender was never told 250 and may send it again:
twice is better than never.
"""

from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.observability.logs import get_logger
from mailserver.services.delivery import Deliveries
from mailserver.services.queueing import Queueing
from storage.errors import SendingLimitReached, StorageError, StoreUnavailable
from storage.outgoing_types import BodyKind, Envelope, OutgoingId, QueuedRecipient, ReturnContent, Submitter
from storage.types import Placed
from tenants.types import Principal, Recipient

PLACING_S = 120.0  # longer than a door waits for a message to be stored

log = get_logger()


class Submissions:
    """One per process."""

    def __init__(self, deliveries: Deliveries, queueing: Queueing) -> None:
        self._deliveries = deliveries
        self._queueing = queueing

    async def submit(
        self,
        who: Principal,
        octets: bytes | mmap,
        recipients: Sequence[Recipient],
        elsewhere: Sequence[QueuedRecipient] = (),
        *,
        reverse_path: str,
        received_at: datetime,
        envelope_id: str | None = None,
        return_content: ReturnContent | None = None,
        needs_utf8: bool = False,
        body: BodyKind = BodyKind.EIGHTBIT,
    ) -> list[Placed | StorageError | None]:
        """Deliver here and queue for elsewhere, durable with one answer: outcomes of `recipients`, as
        `Deliveries.deliver` gives them, then of `elsewhere` (None: queued).

        A refusal is all recipients' refusal. Raises StoreUnavailable: then the message was not accepted.
        """
        if not elsewhere:
            return await self._deliveries.deliver(
                octets, recipients, reverse_path=reverse_path, received_at=received_at
            )
        submitter = Submitter(who.tenant_id, who.account_id)
        envelope = Envelope(reverse_path, tuple(elsewhere), envelope_id, return_content, needs_utf8, body)
        try:
            if not recipients:
                await self._queueing.enqueue(submitter, envelope, octets, received_at=received_at)
                return [None] * len(elsewhere)
            outgoing_id = await self._queueing.enqueue_leased(
                submitter, envelope, octets, received_at=received_at, lease_s=PLACING_S
            )
        except SendingLimitReached as refusal:
            return [refusal] * (len(recipients) + len(elsewhere))
        return await self._place_then_let_go(
            submitter, envelope, outgoing_id, octets, recipients, received_at=received_at
        )

    async def _place_then_let_go(
        self,
        submitter: Submitter,
        envelope: Envelope,
        outgoing_id: OutgoingId,
        octets: bytes | mmap,
        recipients: Sequence[Recipient],
        *,
        received_at: datetime,
    ) -> list[Placed | StorageError | None]:
        try:
            outcomes = await self._deliveries.deliver(
                octets, recipients, reverse_path=envelope.reverse_path, received_at=received_at
            )
        except BaseException:
            await self._take_back(submitter, outgoing_id)
            raise
        if any(isinstance(outcome, StorageError) for outcome in outcomes):
            await self._take_back(submitter, outgoing_id)
            return [*outcomes, *([None] * len(envelope.recipients))]
        try:
            await self._queueing.let_go(submitter, envelope, outgoing_id)
        except StoreUnavailable:
            log.warning("what was queued leaves only when its lease ends", outgoing=outgoing_id)
        return [*outcomes, *([None] * len(envelope.recipients))]

    async def _take_back(self, submitter: Submitter, outgoing_id: OutgoingId) -> None:
        try:
            await self._queueing.withdraw(submitter, outgoing_id)
        except StoreUnavailable:
            log.error("a refused message could not be taken back and leaves", outgoing=outgoing_id)
