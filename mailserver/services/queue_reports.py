"""What senders are told of their queued mail: reports are handed over exactly once (RFC 3461 §5.2, RFC 3464).

A report for people here is placed under its id, which a replay finds; one for another system is queued in the same
transaction that ends it. In between a crash costs nothing: the claim's lease runs out, and the report is written anew.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta

from mailserver.dsn.facts import Action, RecipientReport
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.observability.repeats import Repeats
from mailserver.services.delivery import Deliveries
from mailserver.services.incoming import IncomingMail
from mailserver.services.queueing import Wake, without_return_path
from mailserver.services.returns import Report, Writer
from mailserver.tasks import end_task
from storage import outgoing_enqueue, outgoing_reports
from storage import submission_closing as closing
from storage.errors import ContentDamaged, MessageGone, OverQuota, StorageError
from storage.events import tell_of_dropped_report
from storage.outgoing_content import read_chunk
from storage.outgoing_types import (
    BodyKind,
    Envelope,
    HeldReason,
    Lane,
    QueuedRecipient,
    ReportedRecipient,
    ReportKind,
    ReportWork,
    Submitter,
)
from storage.placing import AlreadyPlaced
from storage.store import MailStore
from storage.submissions import TYPE_NAME
from storage.type_states import begin_change
from storage.types import InboundId, MessageId, Modseq, Placed
from tenants.errors import TenantsError
from tenants.types import Recipient, Resolution

REPORTS = counter(
    "outgoing_reports", "Reports to senders, by what they tell and what became of them.", "kind", "outcome"
)

CLAIM_RECIPIENTS = 200
PLAIN_AFTER_CLAIMS = 3  # without a result, perhaps because of what the message holds: then without any of it
DROPPED_AFTER_CLAIMS = 6
AT_ONCE = 8
RETRY_S = 1.0

_ACTIONS = {
    ReportKind.FAILED: Action.FAILED,
    ReportKind.EXPIRED: Action.FAILED,
    ReportKind.DELAYED: Action.DELAYED,
    ReportKind.RELAYED: Action.RELAYED,
}
_EXPIRED = "4.4.7"

Resolve = Callable[[str], Awaitable[Resolution | None]]
"""What a reverse path reaches; None: an address of another system. Raises TenantsError, OverQuota, StoreUnavailable."""

log = get_logger()


class QueueReports:
    """One per process of the role outbound. `wake` it when something is to be told; it also looks by itself."""

    def __init__(
        self,
        store: MailStore,
        resolve: Resolve,
        deliveries: Deliveries,
        writer: Writer,
        *,
        lease_s: float,
        expire_after_s: float,
        group_s: float,
        look_every_s: float,
        is_outbound_on: bool,
        wake_queue: Wake,
    ) -> None:
        self._store = store
        self._resolve = resolve
        self._deliveries = deliveries
        self._writer = writer
        self._lease_s = lease_s
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._expire_after = timedelta(seconds=expire_after_s)
        self._group_s = group_s
        self._look_every_s = look_every_s
        self._held = None if is_outbound_on else HeldReason.OUTBOUND_OFF
        self._wake_queue = wake_queue
        self._wake = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run_forever(), name="outbound: reports")

    async def close(self) -> None:
        await end_task(self._task)

    def wake(self) -> None:
        self._wake.set()

    async def _run_forever(self) -> None:
        """A door of its own: neither Postgres away nor a bug in one report ends it."""
        while True:
            try:
                async with asyncio.timeout(self._look_every_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            else:
                await asyncio.sleep(self._group_s)  # recipients of a message that fail together are told together
            self._wake.clear()
            try:
                while await self.tell():
                    pass
            except StorageError as error:
                if (left_out := self._repeats.worth_saying("away")) is not None:
                    log.warning("reports to senders wait", error=str(error), left_out=left_out)
                await asyncio.sleep(RETRY_S)
            except Exception:
                log.exception("a report to a sender failed")
                await asyncio.sleep(RETRY_S)

    async def tell(self) -> int:
        """Write what there is to tell, a bounded number of recipients; returns how many reports.

        All are tried; then raises what the first failure was. What failed is claimed again when its lease has ended.
        """
        works = await outgoing_reports.claim(self._store.database, CLAIM_RECIPIENTS, lease_s=self._lease_s)
        for result in await asyncio.gather(*map(self._tell_in_turn, works), return_exceptions=True):
            if result is not None:
                raise result
        return len(works)

    async def _tell_in_turn(self, work: ReportWork) -> None:
        async with self._turns:
            try:
                await self._tell(work)
            except StorageError:
                raise
            except Exception as error:
                if work.claims <= DROPPED_AFTER_CLAIMS:
                    raise
                log.exception("a report cannot be written", outgoing=work.message.id)
                await self._end_untold(work, type(error).__name__)

    async def _tell(self, work: ReportWork) -> None:
        reverse_path = work.message.reverse_path
        try:
            resolution = await self._resolve(reverse_path)
        except (TenantsError, OverQuota) as error:
            await self._end_untold(work, type(error).__name__)
            return
        try:
            mail = self._writer.write(await self._report(work), resolution)
        except MessageGone:
            await self._end_untold(work, "MessageGone")
            return
        people = list(resolution.recipients) if resolution is not None else []
        placed = await self._place(work, mail, people)
        elsewhere = [reverse_path] if resolution is None else [forward.address for forward in resolution.elsewhere]
        await self._end(work, mail, elsewhere, placed)
        REPORTS.labels(work.kind.name.lower(), "told").inc()
        log.info(
            "a sender was told",
            tenant=work.message.tenant_id,
            outgoing=work.message.id,
            kind=work.kind.name.lower(),
            recipients=len(work.recipients),
        )

    async def _place(self, work: ReportWork, mail: IncomingMail, people: list[Recipient]) -> MessageId | None:
        """What the sender's own account got, unless a process that was killed placed it. Raises StoreUnavailable."""
        if not people:
            return None
        outcomes = await self._deliveries.deliver_once(
            mail.octets, people, once=InboundId(work.id), received_at=mail.received_at
        )
        for outcome in outcomes:
            if isinstance(outcome, StorageError) and not isinstance(outcome, AlreadyPlaced):
                log.warning("a report was not placed", outgoing=work.message.id, reason=type(outcome).__name__)
        of_sender = (each for each in outcomes if isinstance(each, Placed))
        return next((each.message_id for each in of_sender if each.account_id == work.message.account_id), None)

    async def _end(self, work: ReportWork, mail: IncomingMail, elsewhere: list[str], placed: MessageId | None) -> None:
        """In one transaction: the report is queued if it goes elsewhere, what it tells of is over, and the submission's
        record, if there is one, has it. The account is locked before the recipients."""
        tenant_id, account_id, outgoing_id = work.message.tenant_id, work.message.account_id, work.message.id
        keys = await self._store.keys.of(tenant_id)
        modseq: Modseq | None = None
        async with self._store.database.transaction(tenant_id) as connection:
            if (
                placed is not None
                and account_id is not None
                and await closing.is_of_submission(connection, tenant_id, account_id, outgoing_id)
            ):
                modseq = await begin_change(connection, tenant_id, account_id, TYPE_NAME)
            is_first = await outgoing_reports.end(connection, work)
            if is_first and placed is not None and account_id is not None and modseq is not None:
                await closing.add_report(connection, tenant_id, account_id, outgoing_id, placed, modseq)
            if is_first and elsewhere:
                with memoryview(mail.octets) as whole, without_return_path(whole) as sent:
                    envelope = Envelope(
                        "",
                        tuple(QueuedRecipient(address) for address in elsewhere),
                        needs_utf8=mail.needs_utf8,
                        body=BodyKind.EIGHTBIT,
                    )
                    await outgoing_enqueue.enqueue_within(
                        connection,
                        keys,
                        Submitter(tenant_id, None),
                        envelope,
                        sent,
                        queued_at=mail.received_at,
                        held=self._held,
                    )
        if account_id is not None and modseq is not None:
            self._store.announce(tenant_id, account_id, modseq)
        if is_first and elsewhere:
            self._wake_queue({Lane(tenant_id, QueuedRecipient(address).domain) for address in elsewhere})

    async def _end_untold(self, work: ReportWork, reason: str) -> None:
        async with self._store.database.transaction(work.message.tenant_id) as connection:
            await outgoing_reports.end(connection, work)
        await tell_of_dropped_report(self._store.database, work.message.tenant_id, work.message.reverse_path, reason)
        REPORTS.labels(work.kind.name.lower(), "nobody").inc()
        log.warning("a sender cannot be told", outgoing=work.message.id, reason=reason)

    async def _report(self, work: ReportWork) -> Report:
        """Raises MessageGone, StoreUnavailable."""
        message = work.message
        keys = await self._store.keys.of(message.tenant_id)
        try:
            octets = (
                b"\r\n"
                if work.claims > PLAIN_AFTER_CLAIMS
                else await read_chunk(self._store.database, keys, message, 0)
            )
        except ContentDamaged:
            log.error("a queued message is damaged", outgoing=message.id)
            octets = b"\r\n"
        return Report(
            message.tenant_id,
            message.reverse_path,
            tuple(self._of(work.kind, each) for each in work.recipients),
            octets,
            message.queued_at,
            envelope_id=message.envelope_id,
            return_content=message.return_content,
            queue_id=str(message.id),
            future_release=message.future_release,
        )

    def _of(self, kind: ReportKind, recipient: ReportedRecipient) -> RecipientReport:
        reply = recipient.reply
        said = f"{reply.code} {reply.enhanced} {reply.text}" if reply.code else reply.text
        status = _EXPIRED if kind is ReportKind.EXPIRED else reply.enhanced
        return RecipientReport(
            recipient.address,
            _ACTIONS[kind],
            status or ("2.0.0" if kind is ReportKind.RELAYED else "5.0.0"),
            original=recipient.original_recipient,
            answer=said or None,
            remote_host=reply.host or None if reply.code else None,
            last_attempt_at=recipient.attempted_at,
            retry_until=recipient.waits_since + self._expire_after if kind is ReportKind.DELAYED else None,
        )
