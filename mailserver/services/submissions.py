"""A person sends an Email that rests in their account (RFC 8621 §7), at once or at a later time (RFC 4865).

At once it goes the way of SMTP submission: the same checks of who writes, the same limits, the same arrivals. For later
it is kept, sealed, in the queue's tables, independent of the Email that it was; `releasing` sends it when its time has
come. Until then it can be canceled.

What is handed in by SMTP for later (`hold`) is kept in the same place; as no Email is it, it has no record.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from mmap import mmap

from mailserver.mime.dates import format_date
from mailserver.mime.header_section import complete_for_submission, count_received, find_end
from mailserver.observability.logs import get_logger
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals, Outcome, Queued
from mailserver.services.errors import ForwardingLoop, OnlyReturns
from mailserver.services.forwarding import body_kind
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.services.queueing import without_return_path
from mailserver.services.sender_checks import check_originators, check_reverse_path
from mailserver.services.spool import Spool
from mailserver.services.submission_envelopes import (
    QUEUED,
    UNKNOWN,
    YES,
    EnvelopeRecipient,
    Fate,
    SubmissionEnvelope,
    check_identity,
    derived_envelope,
    write_fates,
)
from mailserver.services.submission_errors import (
    MayNotSend,
    MessageTooBig,
    MessageUnfit,
    NobodyToSendTo,
    RecipientsRefused,
    TooManyRecipients,
    TooManyWait,
)
from storage import content as stored_content
from storage import held_mail
from storage import submissions as stored
from storage.content import Content
from storage.errors import OverQuota, StorageError
from storage.held_mail import HeldMessage, ReleaseLost
from storage.identities import Identity
from storage.outgoing_types import OutgoingId, Submitter
from storage.store import MailStore
from storage.submissions import NewSubmission, UndoStatus
from storage.type_states import begin_change
from storage.types import IdentityId, MessageId, Placed, SubmissionId, ThreadId
from tenants.errors import (
    AccountSuspended,
    ExpansionTooLarge,
    RecipientUnknown,
    SenderNotWelcome,
    TenantsError,
    TenantSuspended,
)
from tenants.types import Principal, Resolution

MOST_DELAY = timedelta(days=366)
LEAST_HOLD = timedelta(seconds=5)
"""What waits at all waits so long: its client has still to put the Email into Scheduled, from where it leaves."""
MOST_WAITING = 1_000
"""Messages of one person that wait for their time."""
_PIECE_OCTETS = 1_048_576

_REASONS: Mapping[type[Exception], str] = {
    RecipientUnknown: "nobody has this address",
    SenderNotWelcome: "this group does not take your mail",
    ExpansionTooLarge: "this address stands for too many others",
    AccountSuspended: "this mailbox is suspended for now",
    TenantSuspended: "this mailbox is suspended for now",
    OverQuota: "this mailbox is full",
    OnlyReturns: "this address takes returned mail only",
    ForwardingLoop: "the message was passed on from there before",
}

log = get_logger()


@dataclass(frozen=True, slots=True)
class SubmissionLimits:
    message_octets: int = 52_428_800
    header_octets: int = 524_288
    received_fields: int = 100  # more: the message goes in circles
    recipients: int = 1_000
    reached: int = 20_000  # people and addresses elsewhere that the recipients come to


@dataclass(frozen=True, slots=True)
class Submitted:
    id: SubmissionId
    envelope: SubmissionEnvelope
    send_at: datetime
    undo_status: UndoStatus


@dataclass(frozen=True, slots=True)
class _Letter:
    """What will be sent, its header completed, Return-Path first."""

    octets: bytes | mmap
    is_utf8: bool


WriteEnvelope = Callable[[SubmissionEnvelope], str]


class Submissions:
    """One per process. `clock` is aware UTC."""

    def __init__(
        self,
        store: MailStore,
        recipients: Recipients,
        arrivals: Arrivals,
        *,
        hostname: str,
        limits: SubmissionLimits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._arrivals = arrivals
        self._hostname = hostname
        self.limits = limits or SubmissionLimits()
        self._clock = clock

    async def submit(
        self,
        who: Principal,
        identity: Identity,
        message_id: MessageId,
        thread_id: ThreadId,
        envelope: SubmissionEnvelope | None,
        write_envelope: WriteEnvelope,
    ) -> Submitted:
        """Without an envelope the message's own fields say who it is for. `write_envelope` is how its record has it.

        Raises MessageGone, SenderNotOwned, OriginatorInvalid, what `submission_errors` has, SendingLimitReached, and
        StoreUnavailable or ColdTierUnavailable: then it was not taken.
        """
        keys = await self._store.keys.of(who.tenant_id)
        async with self._store.database.read(who.tenant_id) as connection:
            content = await stored_content.open_content(
                connection, self._store.database, self._store.blobs, keys, who.tenant_id, who.account_id, message_id
            )
        if content.octets > self.limits.message_octets:
            raise MessageTooBig(self.limits.message_octets)
        header, rest_at = await self._header(content)
        addresses = await self._recipients.sender_addresses(who)
        if not addresses:
            raise MayNotSend
        check_originators(header, addresses)
        check_identity(header, identity)
        envelope = envelope or derived_envelope(header, identity)
        check_reverse_path(envelope.reverse_path, addresses)
        if not envelope.recipients:
            raise NobodyToSendTo
        if len(envelope.recipients) > self.limits.recipients:
            raise TooManyRecipients(self.limits.recipients)
        addressees = await self._addressees(who, envelope)
        async with self._store.database.read(who.tenant_id) as connection:
            submission_id = await stored.next_id(connection)
        now = self._clock()
        completed = self._completed(who, submission_id, envelope, header, now)
        new = NewSubmission(
            IdentityId(identity.id),
            message_id,
            thread_id,
            write_envelope(envelope),
            envelope.release_at or now,
            UndoStatus.PENDING,
        )
        with Spool() as spool:
            await _copy(content, rest_at, completed, spool)
            letter = _Letter(spool.octets(), _is_utf8(header))
            _check_line_ends(letter.octets)
            if envelope.release_at is not None and envelope.release_at > now:
                await self._hold(who, submission_id, envelope, letter, new, now)
                return Submitted(submission_id, envelope, envelope.release_at, UndoStatus.PENDING)
            await self._send(who, submission_id, envelope, addressees, letter, new, now)
        return Submitted(submission_id, envelope, now, UndoStatus.FINAL)

    async def cancel(self, who: Principal, submission_id: SubmissionId) -> bool:
        """Its Email, if it stands in Scheduled, is a draft again. False: it is on its way. Raises StoreUnavailable."""
        try:
            async with self._store.database.transaction(who.tenant_id) as connection:
                modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
                last = await held_mail.cancel(connection, who.tenant_id, who.account_id, submission_id, modseq)
        except ReleaseLost:
            return False
        self._store.announce(who.tenant_id, who.account_id, last or modseq)
        return True

    async def destroy(self, who: Principal, ids: Sequence[SubmissionId]) -> set[SubmissionId]:
        """The records alone: what waits is sent all the same. Returns those that were there."""
        async with self._store.database.transaction(who.tenant_id) as connection:
            modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
            gone = await stored.destroy(connection, who.tenant_id, who.account_id, ids, modseq)
        self._store.announce(who.tenant_id, who.account_id, modseq)
        return gone

    # -- what is handed in by SMTP (RFC 4865)

    @property
    def longest_hold(self) -> timedelta:
        return MOST_DELAY

    async def check_room(self, who: Principal, /) -> None:
        """Before the message comes (RFC 4865 §6). Raises TooManyWait, StoreUnavailable."""
        async with self._store.database.read(who.tenant_id) as connection:
            if await held_mail.count_held(connection, who.tenant_id, who.account_id) >= MOST_WAITING:
                raise TooManyWait(MOST_WAITING)

    async def hold(self, mail: IncomingMail, release_at: datetime, /) -> SubmissionId:
        """Keep what somebody hands in until its time has come. No Email is it, so nobody sees a record of it; whom it
        is for rests with it. Raises TooManyWait, StoreUnavailable."""
        who = mail.sender
        if who is None or who.account_id is None:
            raise RuntimeError("mail of nobody is not held")
        keys = await self._store.keys.of(who.tenant_id)
        recipients: dict[str, EnvelopeRecipient] = {}
        for each in mail.addressees:  # what was said first counts
            recipients.setdefault(each.path, _recipient(each))
        fates = write_fates([fate_that_waits(each) for each in recipients.values()])
        with memoryview(mail.octets) as whole, without_return_path(whole) as octets:
            message = HeldMessage(
                octets,
                mail.reverse_path,
                mail.envelope_id,
                mail.return_content,
                mail.needs_utf8,
                body_kind(mail.octets),
                mail.received_at,
                mail.future_release,
            )
            async with self._store.database.transaction(who.tenant_id) as connection:
                submission_id = await stored.next_id(connection)
                if await held_mail.count_held(connection, who.tenant_id, who.account_id) >= MOST_WAITING:
                    raise TooManyWait(MOST_WAITING)
                await held_mail.hold(connection, keys, who.account_id, submission_id, message, release_at, fates=fates)
        log.info("a message waits for its time", submission=submission_id, message_id=mail.trace_id)
        return submission_id

    # -- the message

    async def _header(self, content: Content) -> tuple[bytes, int]:
        """The header's lines, and where what follows them begins."""
        if content.header_octets > self.limits.header_octets:
            raise MessageUnfit("its header is too long")
        head = await content.read(0, content.header_octets)
        end = find_end(head, 0)
        header = head if end < 0 else head[:end]
        if count_received(header) > self.limits.received_fields:
            raise MessageUnfit("it goes in circles")
        return header, len(header)

    def _completed(
        self, who: Principal, submission_id: SubmissionId, envelope: SubmissionEnvelope, header: bytes, now: datetime
    ) -> bytes:
        """As the submission door does it: fields for the trace, no blind copies, Date and Message-ID."""
        trace = f"Return-Path: <{envelope.reverse_path}>\r\n"
        trace += f"Received: by {self._hostname} (Waypost)\r\n\tid S{submission_id}"
        if len(envelope.recipients) == 1:
            trace += f" for <{envelope.recipients[0].path}>"
        trace += f";\r\n\t{format_date(now)}\r\n"
        message_id = f"S{submission_id}.{int(now.timestamp())}@{who.address.domain}"
        return trace.encode() + complete_for_submission(header, date=format_date(now), message_id=message_id)

    # -- whom it reaches

    async def _addressees(self, who: Principal, envelope: SubmissionEnvelope) -> list[Addressee]:
        """Raises RecipientsRefused, TooManyRecipients, StoreUnavailable."""
        found: list[Addressee] = []
        wrong: dict[str, str] = {}
        reached = 0
        for each in envelope.recipients:
            try:
                resolution = await self._arrivals.resolve(each.path, reverse_path=envelope.reverse_path, sender=who)
            except (TenantsError, OverQuota, OnlyReturns) as refusal:
                wrong[each.given] = reason_of(refusal)
                continue
            reached += 1 if resolution is None else len(resolution.recipients) + len(resolution.elsewhere)
            found.append(addressee(each, resolution))
        if wrong:
            raise RecipientsRefused(wrong)
        if len(found) > 1 and reached > self.limits.reached:
            raise TooManyRecipients(self.limits.recipients)
        return found

    # -- sending it

    async def _send(
        self,
        who: Principal,
        submission_id: SubmissionId,
        envelope: SubmissionEnvelope,
        addressees: Sequence[Addressee],
        letter: _Letter,
        new: NewSubmission,
        now: datetime,
    ) -> None:
        mail = incoming(
            submission_id, envelope, addressees, letter.octets, now, who=who, needs_utf8=_needs_utf8(envelope, letter)
        )
        outcomes = await self._arrivals.take(mail)
        _raise_refusal(envelope, outcomes)
        fates = write_fates(fates_of(envelope.recipients, addressees, outcomes))
        record = NewSubmission(
            new.identity_id,
            new.message_id,
            new.thread_id,
            new.envelope,
            now,
            UndoStatus.FINAL,
            fates,
            outgoing_id_of(outcomes),
        )
        try:
            async with self._store.database.transaction(who.tenant_id) as connection:
                modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
                await stored.insert(connection, who.tenant_id, who.account_id, submission_id, record, modseq)
        except StorageError as error:  # it is sent, and whoever heard otherwise would send it again
            log.error("a message was sent, and no record of it kept", submission=submission_id, reason=str(error))
            return
        self._store.announce(who.tenant_id, who.account_id, modseq)

    async def _hold(
        self,
        who: Principal,
        submission_id: SubmissionId,
        envelope: SubmissionEnvelope,
        letter: _Letter,
        new: NewSubmission,
        now: datetime,
    ) -> None:
        assert envelope.release_at is not None
        keys = await self._store.keys.of(who.tenant_id)
        record = NewSubmission(
            new.identity_id,
            new.message_id,
            new.thread_id,
            new.envelope,
            envelope.release_at,
            UndoStatus.PENDING,
            write_fates([fate_that_waits(each) for each in envelope.recipients]),
        )
        with memoryview(letter.octets) as whole, without_return_path(whole) as octets:
            message = HeldMessage(
                octets,
                envelope.reverse_path,
                envelope.envelope_id,
                envelope.return_content,
                _needs_utf8(envelope, letter),
                body_kind(letter.octets),
                now,
                envelope.future_release,
            )
            async with self._store.database.transaction(who.tenant_id) as connection:
                modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
                if await held_mail.count_held(connection, who.tenant_id, who.account_id) >= MOST_WAITING:
                    raise TooManyWait(MOST_WAITING)
                await stored.insert(connection, who.tenant_id, who.account_id, submission_id, record, modseq)
                release_at = max(envelope.release_at, now + LEAST_HOLD)
                await held_mail.hold(connection, keys, who.account_id, submission_id, message, release_at)
        self._store.announce(who.tenant_id, who.account_id, modseq)


def incoming(
    submission_id: SubmissionId,
    envelope: SubmissionEnvelope,
    addressees: Sequence[Addressee],
    octets: bytes | mmap,
    received_at: datetime,
    *,
    who: Principal,
    needs_utf8: bool,
) -> IncomingMail:
    """As a door hands it to the arrivals. `octets` have Return-Path first."""
    return IncomingMail(
        octets,
        envelope.reverse_path,
        addressees,
        received_at,
        sender=Submitter(who.tenant_id, who.account_id),
        envelope_id=envelope.envelope_id,
        return_content=envelope.return_content,
        needs_utf8=needs_utf8,
        trace_id=f"S{submission_id}",
        future_release=envelope.future_release,
    )


def addressee(recipient: EnvelopeRecipient, resolution: Resolution | None) -> Addressee:
    return Addressee(recipient.path, resolution, recipient.notify, recipient.original_recipient)


def _recipient(addressee: Addressee) -> EnvelopeRecipient:
    return EnvelopeRecipient(addressee.path, addressee.path, addressee.notify, addressee.original_recipient)


def reason_of(refusal: Exception) -> str:
    return next((reason for kind, reason in _REASONS.items() if isinstance(refusal, kind)), "it cannot be sent to")


def fate_that_waits(recipient: EnvelopeRecipient) -> Fate:
    notify = None if recipient.notify is None else int(recipient.notify)
    return Fate(recipient.given, recipient.path, notify, recipient.original_recipient, QUEUED, "250 2.0.0 It waits")


def fates_of(
    recipients: Sequence[EnvelopeRecipient], addressees: Sequence[Addressee], outcomes: Sequence[Outcome]
) -> list[Fate]:
    """What is known when everything is placed or queued."""
    fates = []
    for recipient, each, outcome in zip(recipients, addressees, outcomes, strict=True):
        resolution = each.resolution
        if resolution is None:
            fates.append(Fate(recipient.given, recipient.path))
            continue
        is_person = len(resolution.recipients) == 1 and not resolution.elsewhere and not resolution.recipients[0].group
        if isinstance(outcome, Placed) or is_person:
            fates.append(Fate(recipient.given, recipient.path, delivered=YES, reply="250 2.1.5 Delivered"))
        else:
            fates.append(Fate(recipient.given, recipient.path, delivered=UNKNOWN, reply="250 2.1.5 Passed on"))
    return fates


def outgoing_id_of(outcomes: Collection[Outcome]) -> OutgoingId | None:
    return next((each.outgoing_id for each in outcomes if isinstance(each, Queued)), None)


def _raise_refusal(envelope: SubmissionEnvelope, outcomes: Sequence[Outcome]) -> None:
    """One answer for all, as after DATA: nobody has it."""
    refusals = [each for each in outcomes if isinstance(each, Exception)]
    personal = {
        recipient.given: reason_of(outcome)
        for recipient, outcome in zip(envelope.recipients, outcomes, strict=True)
        if isinstance(outcome, OverQuota | ForwardingLoop)
    }
    if len(personal) == len(refusals) and personal:
        raise RecipientsRefused(personal)
    for refusal in refusals:
        if not isinstance(refusal, OverQuota | ForwardingLoop):
            raise refusal


def _is_utf8(header: bytes) -> bool:
    """Whether it goes beyond ASCII in a way that there is a name for (RFC 6532)."""
    try:
        return not header.decode().isascii()
    except UnicodeDecodeError:
        return False


def _needs_utf8(envelope: SubmissionEnvelope, letter: _Letter) -> bool:
    paths = (envelope.reverse_path, *(each.path for each in envelope.recipients))
    return letter.is_utf8 or not all(path.isascii() for path in paths)


async def _copy(content: Content, rest_at: int, completed: bytes, spool: Spool) -> None:
    spool.write(completed)
    for at in range(rest_at, content.octets, _PIECE_OCTETS):
        spool.write(await content.read(at, _PIECE_OCTETS))


def _check_line_ends(octets: bytes | mmap) -> None:
    """As DATA is read: no bare CR or LF, no NUL. Raises MessageUnfit."""
    crlf = lf = cr = 0
    previous = b""
    for at in range(0, len(octets), _PIECE_OCTETS):
        piece = octets[at : at + _PIECE_OCTETS]
        if b"\0" in piece:
            raise MessageUnfit("there is a NUL in it")
        lf, cr = lf + piece.count(b"\n"), cr + piece.count(b"\r")
        crlf += piece.count(b"\r\n") + (previous == b"\r" and piece[:1] == b"\n")
        previous = piece[-1:]
    if not crlf == lf == cr:
        raise MessageUnfit("it has lines that do not end in CRLF")
