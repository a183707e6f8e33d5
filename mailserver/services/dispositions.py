"""A person lets the sender of an Email know that they have seen it (RFC 8098): at most once, whoever asks how often.

The keyword $mdnsent is set first, under the account's lock; who finds it set sends nothing. What is refused then takes
it back. A process that is killed in between leaves a message marked that nobody was told of: better than telling twice.
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from mailserver.dsn.disposition import (
    AUTOMATICALLY,
    Disposition,
    NewNotification,
    asked_to,
    compose_notification,
    is_asked_by_sender,
    is_notification,
    original_recipient_of,
)
from mailserver.mime.addresses import parse_addresses
from mailserver.mime.auto_response import answered_ids
from mailserver.mime.auto_response import subject as subject_of
from mailserver.mime.header import decode_header
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.email_changing import EmailChange, change_emails
from mailserver.services.errors import OnlyReturns, SenderNotOwned
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.services.submission_errors import MessageTooBig, NobodyToSendTo
from storage import content as stored_content
from storage.content import Content
from storage.errors import MessageGone, OverQuota
from storage.identities import Identity
from storage.outgoing_types import Notify, Submitter
from storage.store import MailStore
from storage.types import MessageId
from tenants.addresses import format_address, may_send_as, parse_address, parse_target
from tenants.errors import AddressInvalid, TenantsError
from tenants.types import Address, Principal

SENT = "$mdnsent"
MOST_ORIGINAL_OCTETS = 10_485_760
_HEADER_OCTETS = 65_536
_MOST_READERS = 10


class AlreadySent(Exception):
    """The sender was told before."""


class NobodyAgreed(Exception):
    """It would go by itself to somebody who is not known to have sent the message (RFC 8098 §2.1)."""


@dataclass(frozen=True, slots=True)
class DispositionWish:
    """What is to be sent of which message. None: what is usual."""

    message_id: MessageId
    disposition: Disposition
    subject: str | None
    text: str | None
    returns_original: bool
    reporting_ua: str | None
    final_recipient: str | None
    extension_fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class DispositionSent:
    """What the server filled in."""

    subject: str
    text: str
    final_recipient: str
    original_recipient: str | None
    original_message_id: str | None


@dataclass(frozen=True, slots=True)
class _Words:
    subject: str
    texts: Mapping[str, str]


_ENGLISH = _Words(
    "Disposition: {subject}",
    {
        "displayed": "Your message was displayed. That does not mean that it was read or understood.\n",
        "deleted": "Your message was deleted. It may have been seen before, or not.\n",
        "dispatched": "Your message was passed on.\n",
        "processed": "Your message was processed without being shown to anybody.\n",
    },
)
_CHINESE = _Words(
    "回执：{subject}",
    {
        "displayed": "您的邮件已显示。这并不表示收件人已阅读或理解其内容。\n",
        "deleted": "您的邮件已被删除，删除前可能已被查看，也可能没有。\n",
        "dispatched": "您的邮件已被转发。\n",
        "processed": "您的邮件已被自动处理，未向任何人显示。\n",
    },
)


class Dispositions:
    """One per process. `clock` is aware UTC, `new_token` unique."""

    def __init__(
        self,
        store: MailStore,
        recipients: Recipients,
        arrivals: Arrivals,
        *,
        hostname: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self._store = store
        self._recipients = recipients
        self._arrivals = arrivals
        self._hostname = hostname
        self._clock = clock
        self._new_token = new_token

    async def send(self, who: Principal, identity: Identity, wish: DispositionWish) -> DispositionSent:
        """Raises MessageGone, NobodyToSendTo (nobody asked for it, or nobody can be told), AlreadySent, NobodyAgreed,
        SenderNotOwned, MessageTooBig, SendingLimitReached, StoreUnavailable, ColdTierUnavailable."""
        content = await self._content(who, wish.message_id)
        header = await content.read(0, min(content.header_octets, _HEADER_OCTETS))
        if wish.returns_original and content.octets > MOST_ORIGINAL_OCTETS:
            raise MessageTooBig(MOST_ORIGINAL_OCTETS)
        if is_notification(header):  # which is never answered by another (RFC 8098 §2.1)
            raise NobodyToSendTo
        addressees = await self._addressees(who, header)
        if wish.disposition.sending_mode == AUTOMATICALLY and not is_asked_by_sender(header):
            raise NobodyAgreed
        final = await self._final_recipient(who, identity, wish.final_recipient)
        original = await content.read(0, content.octets) if wish.returns_original else header
        message_ids = answered_ids(header)[0]
        words = _CHINESE if who.language.lower().startswith("zh") else _ENGLISH
        told = DispositionSent(
            wish.subject or words.subject.format(subject=decode_header(subject_of(header)))[:500],
            wish.text if wish.text is not None else words.texts[wish.disposition.type],
            final,
            original_recipient_of(header),
            message_ids,
        )
        octets = compose_notification(
            NewNotification(
                sender_name=identity.name,
                sender=identity.email,
                to=[each.path for each in addressees],
                subject=told.subject,
                text=told.text,
                disposition=wish.disposition,
                original=original,
                returns_original=wish.returns_original,
                final_recipient=final,
                hostname=self._hostname,
                token=self._new_token(),
                written_at=self._clock(),
                reporting_ua=wish.reporting_ua,
                original_recipient=told.original_recipient,
                original_message_id=told.original_message_id,
                extension_fields=wish.extension_fields,
            )
        )
        await self._claim(who, wish.message_id)
        try:
            await self._take(who, octets, addressees)
        except BaseException:
            await change_emails(self._store, who, [EmailChange(wish.message_id, remove_keywords=frozenset({SENT}))])
            raise
        return told

    async def _content(self, who: Principal, message_id: MessageId) -> Content:
        keys = await self._store.keys.of(who.tenant_id)
        async with self._store.database.read(who.tenant_id) as connection:
            return await stored_content.open_content(
                connection, self._store.database, self._store.blobs, keys, who.tenant_id, who.account_id, message_id
            )

    async def _addressees(self, who: Principal, header: bytes) -> list[Addressee]:
        """Who asked for it. Raises NobodyToSendTo, StoreUnavailable."""
        asked = asked_to(header)
        if len(asked) != 1:  # none, or somebody meddled (RFC 8098 §2.1)
            raise NobodyToSendTo
        addressees: dict[str, Addressee] = {}
        for each in parse_addresses(asked[0].replace("\r\n", ""))[:_MOST_READERS]:
            if not each.mailbox or not each.host:
                continue
            try:
                path = parse_target(format_address(Address(each.mailbox, each.host))).written
                resolution = await self._arrivals.resolve(path, reverse_path="", sender=who)
            except (AddressInvalid, TenantsError, OverQuota, OnlyReturns):
                continue
            addressees[path] = Addressee(path, resolution, Notify.NEVER)
        if not addressees:
            raise NobodyToSendTo
        return list(addressees.values())

    async def _final_recipient(self, who: Principal, identity: Identity, given: str | None) -> str:
        """With its type. Raises SenderNotOwned."""
        if given is None:
            return f"rfc822; {identity.email}"
        kind, semicolon, address = given.partition(";")
        if not semicolon:
            kind, address = "rfc822", given
        try:
            is_own = may_send_as(parse_address(address.strip()), await self._recipients.sender_addresses(who))
        except AddressInvalid:
            is_own = False
        if not is_own:
            raise SenderNotOwned("finalRecipient", given)
        return f"{kind.strip()}; {address.strip()}"

    async def _claim(self, who: Principal, message_id: MessageId) -> None:
        """Raises AlreadySent, MessageGone."""
        changed = await change_emails(self._store, who, [EmailChange(message_id, add_keywords=frozenset({SENT}))])
        if changed.refused:
            raise MessageGone(message_id)
        if not changed.modseqs:
            raise AlreadySent

    async def _take(self, who: Principal, octets: bytes, addressees: list[Addressee]) -> None:
        mail = IncomingMail(
            b"Return-Path: <>\r\n" + octets,
            "",
            addressees,
            self._clock(),
            sender=Submitter(who.tenant_id, who.account_id),
            needs_utf8=not all(each.path.isascii() for each in addressees),
        )
        for outcome in await self._arrivals.take(mail):
            if isinstance(outcome, OverQuota):
                raise NobodyToSendTo from outcome
            if isinstance(outcome, Exception):
                raise outcome
