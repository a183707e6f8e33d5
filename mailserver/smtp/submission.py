"""The submission doors: mail from people who signed in (RFC 6409, RFC 8314), to be sent now or later (RFC 4865)."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from mmap import mmap

from mailserver.mime.dates import format_date
from mailserver.mime.header_section import complete_for_submission
from mailserver.services.incoming import IncomingMail
from mailserver.services.sender_checks import check_originators, check_reverse_path
from mailserver.smtp import inbound, replies
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.ports import Holding, Services
from mailserver.smtp.replies import Reply
from mailserver.smtp.transaction import Client, Transaction
from storage.outgoing_types import Submitter
from tenants.errors import AddressInvalid
from tenants.types import Principal, Resolution


class Submission:
    """One for each connection, because it remembers the addresses of who signed in for the length of a message."""

    is_lmtp = False
    offers_auth = True

    def __init__(self, door: Door, config: SmtpConfig, services: Services) -> None:
        self.door = door
        self._config = config
        self._services = services
        self._addresses: Collection[str] = ()

    @property
    def longest_hold(self) -> timedelta | None:
        return None if self._services.holding is None else self._services.holding.longest_hold

    async def check_sender(self, client: Client, reverse_path: str, *, is_to_wait: bool) -> Reply | None:
        if client.tls is None:
            return replies.TLS_BEFORE_MAIL
        if client.principal is None:
            return replies.AUTH_REQUIRED
        self._addresses = await self._services.sender_addresses(client.principal)
        check_reverse_path(reverse_path, self._addresses)
        if is_to_wait and self._services.holding is not None:
            await self._services.holding.check_room(client.principal)
        return None

    async def resolve(self, client: Client, transaction: Transaction, forward_path: str) -> Resolution | None:
        if forward_path.endswith("]"):
            raise AddressInvalid(forward_path, "mail to IP addresses is not taken")
        return await inbound.resolve(self._services, self._config, transaction, forward_path, sender=_signed_in(client))

    def complete_header(self, client: Client, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        inbound.check_hops(header, self._config.received_limit)
        check_originators(header, self._addresses)
        message_id = f"{transaction.message_id}@{_signed_in(client).address.domain}"
        trace = inbound.trace_fields(self._config, client, transaction, received_at, is_lmtp=False)
        return trace + complete_for_submission(header, date=format_date(received_at), message_id=message_id)

    async def finish(
        self, client: Client, transaction: Transaction, octets: bytes | mmap, received_at: datetime
    ) -> Sequence[Reply]:
        who = _signed_in(client)
        sender = Submitter(who.tenant_id, who.account_id)
        mail = inbound.incoming(client, transaction, octets, received_at, sender=sender)
        holding, release_at = self._services.holding, transaction.release_at
        if holding is not None and release_at is not None and release_at > received_at:
            return (await self._hold(holding, mail, release_at, transaction.future_release),)
        outcomes = await self._services.take(mail)
        return (inbound.reply_for_all(outcomes, transaction.message_id),)

    async def _hold(
        self, holding: Holding, mail: IncomingMail, release_at: datetime, future_release: str | None
    ) -> Reply:
        """Paths are looked up again when it leaves, so each is whole."""
        addressees = [replace(each, path=inbound.whole_path(self._config, each.path)) for each in mail.addressees]
        await holding.hold(replace(mail, addressees=addressees, future_release=future_release), release_at)
        return replies.held(mail.trace_id or "", release_at)


def _signed_in(client: Client) -> Principal:
    if client.principal is None:
        raise RuntimeError("MAIL is refused to whoever has not signed in")
    return client.principal
