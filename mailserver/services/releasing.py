"""Mail whose time has come is sent (RFC 4865): once, whichever process is killed at whichever step.

1. A lease is committed. From here on nobody can cancel it.
2. Copies for people here are placed under the submission's id, which a replay finds.
3. What goes to other systems is queued, the submission is final, and its Email leaves Scheduled, in one transaction
   that only the lease's holder can commit. What groups and forwardings of other companies make of it is queued just
   before, leased.

Who is killed between these leaves a lease that ends; the next one does the same, and each step finds what is done.
Whom it does not reach the sender hears of in a report, for nobody waits for an answer.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from mmap import mmap

from mailserver.dsn.facts import Action, RecipientReport
from mailserver.observability.logs import get_logger
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.errors import OnlyReturns, SenderNotOwned
from mailserver.services.forwarding import Outgoing, with_field
from mailserver.services.incoming import Addressee
from mailserver.services.queueing import Queueing
from mailserver.services.returns import Report, wants
from mailserver.services.sender_checks import check_reverse_path
from mailserver.services.spool import Spool
from mailserver.services.submission_envelopes import (
    NO,
    EnvelopeRecipient,
    Fate,
    SubmissionEnvelope,
    read_fates,
    write_fates,
)
from mailserver.services.submissions import addressee, fates_of, incoming, reason_of
from storage import held_mail, outgoing_content
from storage.errors import OverQuota, SendingLimitReached, StorageError, StoreUnavailable
from storage.held_mail import DueSubmission, ReleaseLost
from storage.outgoing_enqueue import NewOutgoing
from storage.outgoing_types import Notify, OutgoingId, QueuedMessage
from storage.steps import reached
from storage.store import MailStore
from storage.submissions import UndoStatus
from storage.types import InboundId, Placed, SubmissionId
from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantsError, TenantSuspended
from tenants.types import AccountId, Address, Principal, TenantId

LEASE_S = 300.0
AT_ONCE = 20
_PLACING_S = 360.0

log = get_logger()


class Releases:
    """One in the role upkeep. `clock` is aware UTC."""

    def __init__(
        self,
        store: MailStore,
        recipients: Recipients,
        arrivals: Arrivals,
        queueing: Queueing,
        *,
        lease_s: float = LEASE_S,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._arrivals = arrivals
        self._queueing = queueing
        self._lease_s = lease_s
        self._clock = clock

    async def release_due(self) -> int:
        """Returns how many went. One that cannot go now is tried again when its lease has ended."""
        released = 0
        while True:
            due = await held_mail.lease_due(self._store.database, self._clock(), AT_ONCE, lease_s=self._lease_s)
            reached("release: leased")
            for each in due:
                try:
                    released += await self._release(each)
                except ReleaseLost:
                    continue
                except SendingLimitReached:
                    log.info("a message waits on, for its sender has reached a limit", submission=each.submission_id)
                except StorageError as error:
                    log.warning(
                        "a message cannot be sent yet", submission=each.submission_id, reason=type(error).__name__
                    )
            if len(due) < AT_ONCE:
                return released

    async def _release(self, due: DueSubmission) -> bool:
        found = await held_mail.load_due(self._store.database, due)
        if found is None:
            return False
        message, kept = found
        who = _who(due, message)
        fates = read_fates(kept)
        addresses = await self._recipients.sender_addresses(who)
        try:
            check_reverse_path(message.reverse_path, addresses)
        except SenderNotOwned:
            addresses = frozenset()
        try:
            is_there = bool(addresses) and await self._is_there(min(addresses))
        except (AccountSuspended, TenantSuspended):
            log.info("a message waits on, for its sender is suspended", submission=due.submission_id)
            return False
        if not is_there:  # the person, or their address, is gone
            await self._give_up(due)
            return True
        recipients = [_recipient(each) for each in fates]
        addressees, refused = await self._addressees(who, message, recipients)
        with Spool() as spool:
            await self._read(message, spool)
            await self._send(due, message, who, addressees, recipients, refused, spool)
        return True

    async def _is_there(self, address: str) -> bool:
        """Whether somebody has this address of the sender. Raises AccountSuspended, TenantSuspended."""
        try:
            await self._recipients.resolve(address)
        except (RecipientUnknown, DomainNotLocal):
            return False
        except OverQuota:
            return True
        return True

    async def _addressees(
        self, who: Principal, message: QueuedMessage, recipients: Sequence[EnvelopeRecipient]
    ) -> tuple[dict[str, Addressee], dict[str, str]]:
        """By path; and why the others cannot be sent to any more. Raises StoreUnavailable."""
        found: dict[str, Addressee] = {}
        refused: dict[str, str] = {}
        for each in recipients:
            try:
                resolution = await self._arrivals.resolve(each.path, reverse_path=message.reverse_path, sender=who)
            except (TenantsError, OverQuota, OnlyReturns) as refusal:
                refused[each.path] = reason_of(refusal)
                continue
            found[each.path] = addressee(each, resolution)
        return found, refused

    async def _read(self, message: QueuedMessage, spool: Spool) -> None:
        keys = await self._store.keys.of(message.tenant_id)
        spool.write(f"Return-Path: <{message.reverse_path}>\r\n".encode())
        for chunk in range(outgoing_content.last_chunk(message.octets) + 1):
            spool.write(await outgoing_content.read_chunk(self._store.database, keys, message, chunk))

    async def _send(
        self,
        due: DueSubmission,
        message: QueuedMessage,
        who: Principal,
        addressees: dict[str, Addressee],
        recipients: Sequence[EnvelopeRecipient],
        refused: dict[str, str],
        spool: Spool,
    ) -> None:
        submission_id = SubmissionId(due.submission_id)
        reachable = [each for each in recipients if each.path in addressees]
        reached_by = [addressees[each.path] for each in reachable]
        envelope = SubmissionEnvelope(
            message.reverse_path,
            tuple(reachable),
            message.envelope_id,
            message.return_content,
            future_release=message.future_release,
        )
        mail = incoming(
            submission_id,
            envelope,
            reached_by,
            spool.octets(),
            message.queued_at,
            who=who,
            needs_utf8=message.needs_utf8,
        )

        async def settle(outgoing: Sequence[Outgoing], outcomes: Sequence[Placed | Exception | None]) -> None:
            reached("release: placed")
            fates = [
                replace(fate, delivered=NO, reply=f"550 5.2.0 {reason_of(outcome)}")
                if isinstance(outcome, Exception)
                else fate
                for fate, outcome in zip(fates_of(reachable, reached_by, outcomes), outcomes, strict=True)
            ]
            fates += [
                Fate(each.given, each.path, delivered=NO, reply=f"550 5.1.1 {refused[each.path]}")
                for each in recipients
                if each.path in refused
            ]
            await self._settle(due, message, outgoing, mail.octets, write_fates(fates))

        await self._arrivals.take_once(mail, InboundId(due.submission_id), settle)
        reached("release: settled")
        await self._tell_of(message, mail.octets, recipients, refused)

    async def _settle(
        self,
        due: DueSubmission,
        message: QueuedMessage,
        outgoing: Sequence[Outgoing],
        octets: bytes | mmap,
        fates: str,
    ) -> None:
        """Raises ReleaseLost, SendingLimitReached, StoreUnavailable: then none of it happened."""
        tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
        ours = [each for each in outgoing if each.submitter.tenant_id == tenant_id]
        others = [each for each in outgoing if each.submitter.tenant_id != tenant_id]
        leased: list[tuple[Outgoing, OutgoingId]] = []
        try:
            for each in others:
                passed_on = with_field(each.added, octets)
                outgoing_id = await self._queueing.enqueue_leased(
                    each.submitter, each.envelope, passed_on, received_at=message.queued_at, lease_s=_PLACING_S
                )
                leased.append((each, outgoing_id))
            async with self._store.database.transaction(tenant_id) as connection:
                modseq = await held_mail.begin_release(connection, due)
                own_id: OutgoingId | None = None
                for each in ours:
                    if each.submitter.account_id is not None:
                        own_id = await self._queueing.enqueue_kept(connection, _kept(message, each, self._clock()))
                        await held_mail.keep_request(connection, message)
                    else:
                        passed_on = with_field(each.added, octets)
                        await self._queueing.enqueue_within(
                            connection, each.submitter, each.envelope, passed_on, received_at=message.queued_at
                        )
                modseq = await held_mail.finish_release(
                    connection, due, modseq, undo_status=UndoStatus.FINAL, fates=fates, outgoing_id=own_id
                )
                reached("release: written, not committed")
        except BaseException:
            for each, outgoing_id in leased:
                with contextlib.suppress(StoreUnavailable):  # then it leaves when its lease ends, once too often
                    await self._queueing.withdraw(each.submitter, outgoing_id)
            raise
        if modseq is not None:
            self._store.announce(tenant_id, account_id, modseq)
        for each in ours:
            self._queueing.tell(each.submitter, each.envelope)
        for each, outgoing_id in leased:
            with contextlib.suppress(StoreUnavailable):  # then it leaves when its lease ends
                await self._queueing.let_go(each.submitter, each.envelope, outgoing_id)

    async def _tell_of(
        self,
        message: QueuedMessage,
        octets: bytes | mmap,
        recipients: Sequence[EnvelopeRecipient],
        refused: dict[str, str],
    ) -> None:
        """Of addresses that were good when it was written, and are no more."""
        told = tuple(
            RecipientReport(each.path, Action.FAILED, "5.1.1", original=each.original_recipient)
            for each in recipients
            if each.path in refused and wants(each.notify, Notify.FAILURE)
        )
        if not told:
            return
        report = Report(
            message.tenant_id,
            message.reverse_path,
            told,
            octets,
            message.queued_at,
            envelope_id=message.envelope_id,
            return_content=message.return_content,
            queue_id=f"S{message.id}",
            future_release=message.future_release,
        )
        try:
            await self._arrivals.report(report)
        except StorageError as error:
            log.error("a notification was lost", reason=type(error).__name__, queue_id=f"S{message.id}")

    async def _give_up(self, due: DueSubmission) -> None:
        """Nobody may send it any more, and nobody has it."""
        tenant_id, account_id = TenantId(due.tenant_id), AccountId(due.account_id)
        async with self._store.database.transaction(tenant_id) as connection:
            modseq = await held_mail.begin_release(connection, due)
            modseq = await held_mail.finish_release(
                connection, due, modseq, undo_status=UndoStatus.CANCELED, fates="{}", outgoing_id=None
            )
        if modseq is not None:
            self._store.announce(tenant_id, account_id, modseq)
        log.warning("a message is not sent, for its sender is gone", submission=due.submission_id)


def _who(due: DueSubmission, message: QueuedMessage) -> Principal:
    """Who submitted it, as far as sending asks for them; they may be signed in nowhere now."""
    local_part, _, domain = message.reverse_path.rpartition("@")
    return Principal(
        TenantId(due.tenant_id),
        AccountId(due.account_id),
        Address(local_part, domain),
        display_name="",
        language="en",
        time_zone="UTC",
        quota_octets=None,
        is_administrator=False,
    )


def _recipient(fate: Fate) -> EnvelopeRecipient:
    notify = None if fate.notify is None else Notify(fate.notify)
    return EnvelopeRecipient(fate.given, fate.path, notify, fate.original_recipient)


def _kept(message: QueuedMessage, outgoing: Outgoing, now: datetime) -> NewOutgoing:
    """Its octets rest under its id already. It waits in the queue from now on."""
    return NewOutgoing(
        outgoing.submitter, outgoing.envelope, message.octets, now, message.content_name, None, message.id
    )
