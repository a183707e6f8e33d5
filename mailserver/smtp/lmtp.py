"""The LMTP door: mail from a mail transfer agent beside us, answered for each recipient (RFC 2033)."""

from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.mime.header_section import put_in_front
from mailserver.smtp import inbound, replies
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.ports import Services
from mailserver.smtp.replies import Reply
from mailserver.smtp.transaction import Client, Transaction
from tenants.types import Resolution


class Lmtp:
    door = Door.LMTP
    is_lmtp = True
    offers_auth = False
    longest_hold = None

    def __init__(self, config: SmtpConfig, services: Services) -> None:
        self._config = config
        self._services = services

    async def check_sender(self, client: Client, reverse_path: str, *, is_to_wait: bool) -> Reply | None:
        return None

    async def resolve(self, client: Client, transaction: Transaction, forward_path: str) -> Resolution | None:
        return await inbound.resolve(self._services, self._config, transaction, forward_path)

    def complete_header(self, client: Client, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        inbound.check_hops(header, self._config.received_limit)
        trace = inbound.trace_fields(self._config, client, transaction, received_at, is_lmtp=True)
        return put_in_front(trace, header)

    async def finish(
        self, client: Client, transaction: Transaction, octets: bytes | mmap, received_at: datetime
    ) -> Sequence[Reply]:
        outcomes = await self._services.take_each(inbound.incoming(client, transaction, octets, received_at))
        return tuple(
            _reply(outcome, each.path, transaction)
            for each, outcome in zip(transaction.accepted, outcomes, strict=True)
        )


def _reply(outcome: object, forward_path: str, transaction: Transaction) -> Reply:
    if isinstance(outcome, Exception):
        return replies.refused_for(replies.for_error(outcome), forward_path)
    return replies.accepted_for(transaction.message_id, forward_path)
