"""Whom an address reaches, asked at every RCPT, and whom a person may write as."""

import time
from collections.abc import Callable

from mailserver.services.known_addresses import KnownAddresses
from mailserver.services.remembered import Remembered
from storage.errors import OverQuota
from storage.store import MailStore
from storage.usage import usage
from tenants.addresses import parse_address
from tenants.directory import resolve, sender_addresses, tenant_of
from tenants.errors import DomainNotLocal, SenderNotWelcome
from tenants.types import AccountId, Posting, Principal, Recipient, Resolution, TenantId, WhoMaySend

LIFETIME_S = 5.0
DOMAINS_LIMIT = 20_000
SENDERS_LIMIT = 5_000


class Recipients:
    """Resolves addresses, remembering answers for LIFETIME_S: so long may a change take to be felt at MAIL and RCPT.

    Refusals are not remembered: an address just made is good at once. That a domain is another system's is no refusal
    for who signed in, and is remembered for them.
    """

    def __init__(self, store: MailStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._known = KnownAddresses(lifetime_s=LIFETIME_S, clock=clock)
        self._elsewhere = Remembered[str, bool](lifetime_s=LIFETIME_S, limit=DOMAINS_LIMIT, clock=clock)
        self._senders = Remembered[tuple[TenantId, AccountId], frozenset[str]](
            lifetime_s=LIFETIME_S, limit=SENDERS_LIMIT, clock=clock
        )

    async def resolve(self, text: str, *, sender: Principal | None = None) -> Resolution:
        """What mail to this address reaches, if it is `sender`'s; None is anybody who did not sign in.

        Raises AddressInvalid, DomainNotLocal, RecipientUnknown, AccountSuspended, TenantSuspended, SenderNotWelcome,
        ExpansionTooLarge, StoreUnavailable, and OverQuota where one person is all there is (what the account holds now;
        delivery decides).
        """
        found = self._known.find(text)
        if found is None:
            found = await self._ask(text, sender)
            self._known.keep(text, found)
        if found.posting is not None and not _may_post(found.posting, sender):
            raise SenderNotWelcome(text, found.posting.who)
        return found

    async def _ask(self, text: str, sender: Principal | None) -> Resolution:
        address = parse_address(text)
        if sender is not None and self._elsewhere.find(address.domain):
            raise DomainNotLocal(address.domain)
        try:
            async with self._store.database.directory() as connection:
                found = await resolve(connection, address)
        except DomainNotLocal:
            if sender is not None:
                self._elsewhere.keep(address.domain, True)
            raise
        if len(found.recipients) == 1 and not found.elsewhere:
            await self._demand_room(found.recipients[0])
        return found

    async def _demand_room(self, recipient: Recipient) -> None:
        full = await self._store.pools.let_in(self._store.database, recipient.tenant_id, 0)
        if full is not None:
            raise full
        if recipient.quota_octets is None:
            return
        async with self._store.database.read(recipient.tenant_id) as connection:
            used = await usage(connection, recipient.tenant_id, recipient.account_id)
        if used.used_octets >= recipient.quota_octets:
            raise OverQuota(used.used_octets, recipient.quota_octets)

    async def tenant_of(self, domain: str) -> TenantId:
        """Whose a domain is (an A-label, in any case). Raises DomainNotLocal, StoreUnavailable."""
        async with self._store.database.directory() as connection:
            return await tenant_of(connection, domain.lower())

    async def sender_addresses(self, who: Principal) -> frozenset[str]:
        """Every canonical address the person may write as."""
        key = (who.tenant_id, who.account_id)
        known = self._senders.find(key)
        if known is None:
            async with self._store.database.directory() as connection:
                known = await sender_addresses(connection, who.tenant_id, who.account_id)
            if known:
                self._senders.keep(key, known)
        return known


def _may_post(posting: Posting, sender: Principal | None) -> bool:
    """Only a sign-in shows who somebody is. Outside members cannot show it, so they read and do not write."""
    if sender is None or sender.tenant_id != posting.tenant_id:
        return False
    return posting.who is WhoMaySend.TENANT or sender.account_id in posting.members
