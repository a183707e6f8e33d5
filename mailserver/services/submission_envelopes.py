"""Whom a submission is for, and what became of it for each of them (RFC 8621 §7), without a word of JSON on the way in.

`Fates` is what a submission's row keeps of its recipients: how they were given, how the queue calls them, what they
wished to be told, and what is known of what became of them here.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from mailserver.mime.addresses import parse_addresses
from mailserver.mime.fields import parse_fields
from mailserver.mime.header_section import fields
from mailserver.services.identities import is_allowed_by
from mailserver.services.sender_checks import parse_mailboxes
from mailserver.services.submission_errors import MessageUnfit, NobodyToSendTo, NotOfIdentity, RecipientsRefused
from storage.identities import Identity
from storage.outgoing_types import Notify, ReturnContent
from tenants.addresses import format_address, parse_target
from tenants.errors import AddressInvalid
from tenants.types import Address

QUEUED, YES, NO, UNKNOWN = "queued", "yes", "no", "unknown"


@dataclass(frozen=True, slots=True)
class EnvelopeRecipient:
    """`given` is how the client wrote it, `path` how it is sent to."""

    given: str
    path: str
    notify: Notify | None = None
    original_recipient: str | None = None


@dataclass(frozen=True, slots=True)
class SubmissionEnvelope:
    """`reverse_path` "" is the null sender. `release_at` None: at once. Notifications have `future_release`."""

    reverse_path: str
    recipients: tuple[EnvelopeRecipient, ...]
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    release_at: datetime | None = None
    future_release: str | None = None


@dataclass(frozen=True, slots=True)
class Fate:
    """`delivered` and `reply` "": the queue knows, under `path`."""

    given: str
    path: str
    notify: int | None = None
    original_recipient: str | None = None
    delivered: str = ""
    reply: str = ""


def derived_envelope(header: bytes, identity: Identity) -> SubmissionEnvelope:
    """From the fields of the message, Bcc among them (RFC 8621 §7). Its originators have been checked.

    Raises MessageUnfit, NobodyToSendTo, RecipientsRefused.
    """
    reverse_path = _sender_of(header)
    if not is_allowed_by(identity, reverse_path):
        reverse_path = identity.email
    found = parse_fields(header)
    given: dict[str, None] = {}
    for name in ("to", "cc", "bcc"):
        for address in parse_addresses(found.get(name, "")):
            if address.mailbox is not None and address.host is not None:
                given[_written(address.mailbox, address.host)] = None
    return SubmissionEnvelope(reverse_path, envelope_recipients([EnvelopeRecipient(each, "") for each in given]))


def check_identity(header: bytes, identity: Identity) -> None:
    """Whether one of the authors is who it is sent as (RFC 8621 §9.6). Its originators have been checked.

    Raises NotOfIdentity.
    """
    authors = parse_mailboxes(dict(fields(header))[b"from"], field="From")
    if not any(is_allowed_by(identity, each) for each in authors):
        raise NotOfIdentity(identity.email)


def envelope_recipients(given: Sequence[EnvelopeRecipient]) -> tuple[EnvelopeRecipient, ...]:
    """Each once, with its path. Raises NobodyToSendTo, RecipientsRefused."""
    if not given:
        raise NobodyToSendTo
    by_path: dict[str, EnvelopeRecipient] = {}
    wrong: dict[str, str] = {}
    for each in given:
        try:
            path = parse_target(each.given).written
        except AddressInvalid as error:
            wrong[each.given] = error.reason
            continue
        by_path.setdefault(path, EnvelopeRecipient(each.given, path, each.notify, each.original_recipient))
    if wrong:
        raise RecipientsRefused(wrong)
    return tuple(by_path.values())


def reverse_path_of(text: str) -> str:
    """As it is sent. Raises AddressInvalid."""
    return parse_target(text).written if text else ""


def write_fates(fates: Collection[Fate]) -> str:
    kept = {
        each.given: {
            name: value
            for name, value in (
                ("path", each.path),
                ("notify", each.notify),
                ("original", each.original_recipient),
                ("delivered", each.delivered),
                ("reply", each.reply),
            )
            if value not in (None, "")
        }
        for each in fates
    }
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))


def read_fates(kept: str) -> list[Fate]:
    found: Mapping[str, Mapping[str, object]] = json.loads(kept)
    return [
        Fate(
            given,
            str(each.get("path", given)),
            notify if isinstance(notify := each.get("notify"), int) else None,
            original if isinstance(original := each.get("original"), str) else None,
            str(each.get("delivered", "")),
            str(each.get("reply", "")),
        )
        for given, each in found.items()
    ]


def _sender_of(header: bytes) -> str:
    """Of Sender, else From: one address, or nobody can say who sends."""
    last = dict(fields(header))
    for name, shown in ((b"sender", "sender"), (b"from", "from")):
        if name in last:
            mailboxes = parse_mailboxes(last[name], field=shown)
            if len(mailboxes) != 1:
                raise MessageUnfit(f"{shown} names several people, and no Sender says who sends it", (shown,))
            return mailboxes[0]
    raise MessageUnfit("there is no From field", ("from",))


def _written(mailbox: str, host: str) -> str:
    return format_address(Address(mailbox, host))
