"""Whom an address reaches, asked at every RCPT, and whom a person may write as."""

import time
from collections import OrderedDict
from collections.abc import Callable

from storage.errors import OverQuota
from storage.store import MailStore
from storage.usage import usage
from tenants.addresses import parse_address
from tenants.directory import find_recipient, sender_addresses
from tenants.types import Principal, Recipient

LIFETIME_S = 5.0
LARGEST = 50_000


class Recipients:
    """Resolves addresses, remembering answers for LIFETIME_S: so long may a suspension take to be felt at RCPT.

    Refusals are not remembered: an address just made is good at once.
    """

    def __init__(self, store: MailStore, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._known: OrderedDict[str, tuple[float, Recipient]] = OrderedDict()

    async def resolve(self, text: str) -> Recipient:
        """Raises AddressInvalid, DomainNotLocal, RecipientUnknown, AccountSuspended, TenantSuspended, OverQuota
        (what the account holds now; delivery decides), StoreUnavailable."""
        known = self._known.get(text)
        if known is not None and known[0] > self._clock():
            return known[1]
        address = parse_address(text)
        async with self._store.database.directory() as connection:
            recipient = await find_recipient(connection, address)
        if recipient.quota_octets is not None:
            async with self._store.database.read(recipient.tenant_id) as connection:
                used = await usage(connection, recipient.tenant_id, recipient.account_id)
            if used.used_octets >= recipient.quota_octets:
                raise OverQuota(used.used_octets, recipient.quota_octets)
        self._known[text] = (self._clock() + LIFETIME_S, recipient)
        self._known.move_to_end(text)
        if len(self._known) > LARGEST:
            self._known.popitem(last=False)
        return recipient

    async def sender_addresses(self, who: Principal) -> frozenset[str]:
        """Every canonical address the person may write as."""
        async with self._store.database.directory() as connection:
            return await sender_addresses(connection, who.tenant_id, who.account_id)
