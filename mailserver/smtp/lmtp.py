"""The LMTP door: mail from a mail transfer agent beside us, answered for each recipient (RFC 2033)."""

from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.smtp import inbound, replies
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.header_section import put_in_front
from mailserver.smtp.ports import Services
from mailserver.smtp.replies import Reply
from mailserver.smtp.transaction import Client, Transaction
from tenants.types import Resolution


class Lmtp:
    door = Door.LMTP
    is_lmtp = True
    offers_auth = False

    def __init__(self, config: SmtpConfig, services: Services) -> None:
        self._config = config
        self._services = services

    async def check_sender(self, client: Client, reverse_path: str) -> Reply | None:
        return None

    async def resolve(self, client: Client, forward_path: str) -> Resolution:
        return await inbound.resolve(self._services, self._config, forward_path, sender=None)

    async def prepare(self, client: Client) -> None:
        pass

    def complete_header(self, client: Client, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        inbound.check_hops(header, self._config.received_limit)
        trace = inbound.trace_fields(self._config, client, transaction, received_at, is_lmtp=True)
        return put_in_front(trace, header)

    async def finish(
        self, client: Client, transaction: Transaction, octets: bytes | mmap, received_at: datetime
    ) -> Sequence[Reply]:
        recipients = transaction.distinct_recipients()
        outcomes = await self._services.deliver(
            octets, recipients, reverse_path=transaction.reverse_path, received_at=received_at
        )
        by_account = {
            (each.tenant_id, each.account_id): outcome for each, outcome in zip(recipients, outcomes, strict=True)
        }
        return tuple(
            _reply(
                _worst([by_account[r.tenant_id, r.account_id] for r in each.resolution.recipients]),
                each.forward_path,
                transaction,
            )
            for each in transaction.accepted
        )


def _worst(outcomes: Sequence[object]) -> object:
    """A group has one reply: refused if one of its members was, so that the sender tries again."""
    return next((outcome for outcome in outcomes if isinstance(outcome, Exception)), outcomes[0])


def _reply(outcome: object, forward_path: str, transaction: Transaction) -> Reply:
    if isinstance(outcome, Exception):
        return replies.refused_for(replies.for_error(outcome), forward_path)
    return replies.accepted_for(transaction.message_id, forward_path)
