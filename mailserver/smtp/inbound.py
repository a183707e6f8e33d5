"""The MX door: mail from anywhere for people of this installation (RFC 5321)."""

from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.mime.header_section import count_received, put_in_front
from mailserver.services.incoming import IncomingMail
from mailserver.smtp import replies
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.errors import TooManyHops
from mailserver.smtp.ports import Services
from mailserver.smtp.replies import Reply
from mailserver.smtp.trace import Hop, protocol, received_field, return_path_field
from mailserver.smtp.transaction import Client, Transaction
from storage.outgoing_types import Submitter
from tenants.types import Principal, Resolution


class Inbound:
    door = Door.MX
    is_lmtp = False
    offers_auth = False
    longest_hold = None

    def __init__(self, config: SmtpConfig, services: Services) -> None:
        self._config = config
        self._services = services

    async def check_sender(self, client: Client, reverse_path: str, *, is_to_wait: bool) -> Reply | None:
        return None

    async def resolve(self, client: Client, transaction: Transaction, forward_path: str) -> Resolution | None:
        return await resolve(self._services, self._config, transaction, forward_path)

    def complete_header(self, client: Client, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        check_hops(header, self._config.received_limit)
        return put_in_front(trace_fields(self._config, client, transaction, received_at, is_lmtp=False), header)

    async def finish(
        self, client: Client, transaction: Transaction, octets: bytes | mmap, received_at: datetime
    ) -> Sequence[Reply]:
        outcomes = await self._services.take(incoming(client, transaction, octets, received_at))
        return (reply_for_all(outcomes, transaction.message_id),)


async def resolve(
    services: Services,
    config: SmtpConfig,
    transaction: Transaction,
    forward_path: str,
    *,
    sender: Principal | None = None,
) -> Resolution | None:
    return await services.resolve(
        whole_path(config, forward_path), reverse_path=transaction.reverse_path, sender=sender
    )


def whole_path(config: SmtpConfig, forward_path: str) -> str:
    """`postmaster` without a domain is the postmaster of this host (RFC 5321 §4.5.1)."""
    if forward_path == "postmaster":
        return f"postmaster@{config.postmaster_domain or config.hostname}"
    return forward_path


def incoming(
    client: Client,
    transaction: Transaction,
    octets: bytes | mmap,
    received_at: datetime,
    *,
    sender: Submitter | None = None,
) -> IncomingMail:
    return IncomingMail(
        octets,
        transaction.reverse_path,
        transaction.accepted,
        received_at,
        sender=sender,
        envelope_id=transaction.envelope_id,
        return_content=transaction.return_content,
        needs_utf8=transaction.needs_utf8,
        received_from=client.name,
        trace_id=transaction.message_id,
    )


def check_hops(header: bytes, limit: int) -> None:
    """Raises TooManyHops."""
    if count_received(header) > limit:
        raise TooManyHops(limit)


def trace_fields(
    config: SmtpConfig, client: Client, transaction: Transaction, received_at: datetime, *, is_lmtp: bool
) -> bytes:
    """Return-Path and Received: the same for all recipients, who share the octets."""
    hop = Hop(
        client=client.name,
        address=client.address,
        hostname=config.hostname,
        protocol=protocol(
            is_lmtp=is_lmtp,
            is_extended=client.is_extended,
            is_encrypted=client.tls is not None,
            is_signed_in=client.principal is not None,
            is_utf8=transaction.is_utf8,
        ),
        tls=client.tls,
    )
    accepted = transaction.accepted
    return return_path_field(transaction.reverse_path) + received_field(
        hop,
        message_id=transaction.message_id,
        only_recipient=accepted[0].path if len(accepted) == 1 else None,
        received_at=received_at,
    )


def reply_for_all(outcomes: Sequence[object], message_id: str) -> Reply:
    """250 only if everybody has it. If some do, the sender's next attempt doubles theirs: better than losing another's.

    A permanent refusal of one gives way to a temporary one of another, because the next attempt may reach the other.
    """
    refusals = [replies.for_error(outcome) for outcome in outcomes if isinstance(outcome, Exception)]
    if not refusals:
        return replies.accepted(message_id)
    return min(refusals, key=lambda refusal: refusal.code >= 500)
