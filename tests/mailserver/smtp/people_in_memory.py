"""A small town of people for tests of the SMTP state machines; what the services would say, kept in memory."""

import asyncio
import mmap
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, RefusalReason
from mailserver.smtp.ports import Services
from storage.errors import OverQuota, StoreUnavailable
from tenants.addresses import parse_address, split_detail
from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantSuspended
from tenants.types import AccountId, Principal, Recipient, Resolution, TenantId

PASSWORD = "correct horse"

ADDRESSES = {
    "ann@demo.test": 1,
    "annie@demo.test": 1,
    "bob@demo.test": 2,
    "nearly-full@demo.test": 3,
    "store-away@demo.test": 4,
    "bug@demo.test": 5,
    "postmaster@mail.demo.test": 6,
    "o'neil.x@demo.test": 7,
}
NAMES = {account: address for address, account in reversed(ADDRESSES.items())}


@dataclass(frozen=True)
class Delivered:
    octets: bytes
    recipients: tuple[str, ...]
    reverse_path: str
    received_at: datetime
    sender: str | None


@dataclass
class Town:
    """`delivered` holds what was placed, `sign_ins_from` where people came from, both in order.

    Ask `services` for the ports of the doors.
    """

    delivered: list[Delivered] = field(default_factory=list)
    sign_ins_from: list[str] = field(default_factory=list)

    def services(self) -> Services:
        return Services(self.resolve, self.deliver, self.submit, self.sign_in, self.sender_addresses)

    async def resolve(self, address: str, /, *, sender: Principal | None) -> Resolution:
        parsed, detail = split_detail(parse_address(address))
        if parsed.domain not in ("demo.test", "mail.demo.test"):
            raise DomainNotLocal(parsed.domain)
        match parsed.local_part:
            case "suspended":
                raise AccountSuspended(address)
            case "company-suspended":
                raise TenantSuspended(address)
            case "full":
                raise OverQuota(100, 100)
            case "directory-away":
                raise StoreUnavailable("connection refused")
            case "directory-hangs":
                await asyncio.Event().wait()
            case "directory-bug":
                raise ZeroDivisionError
        account = ADDRESSES.get(str(parsed))
        if account is None:
            raise RecipientUnknown(address)
        return Resolution(TenantId(1), (Recipient(TenantId(1), AccountId(account), parsed, detail, None),))

    async def deliver(
        self,
        octets: bytes | mmap.mmap,
        recipients: Sequence[Recipient],
        /,
        *,
        reverse_path: str,
        received_at: datetime,
        sender: str | None = None,
    ) -> Sequence[object]:
        names = [NAMES[each.account_id] for each in recipients]
        if "store-away@demo.test" in names:
            raise StoreUnavailable("connection refused")
        if "bug@demo.test" in names:
            raise ZeroDivisionError
        placed = tuple(name for name in names if name != "nearly-full@demo.test")
        if placed:
            self.delivered.append(Delivered(octets[:], placed, reverse_path, received_at, sender))
        return [OverQuota(99, 100) if name == "nearly-full@demo.test" else "placed" for name in names]

    async def submit(
        self,
        principal: Principal,
        octets: bytes | mmap.mmap,
        recipients: Sequence[Recipient],
        /,
        *,
        reverse_path: str,
        received_at: datetime,
    ) -> Sequence[object]:
        return await self.deliver(
            octets, recipients, reverse_path=reverse_path, received_at=received_at, sender=str(principal.address)
        )

    async def sign_in(self, address: str, password: str, /, *, network: str) -> Principal:
        self.sign_ins_from.append(network)
        match address:
            case "throttled@demo.test":
                raise LoginThrottled(30)
            case "store-away@demo.test":
                raise StoreUnavailable("connection refused")
            case "suspended@demo.test":
                raise LoginRefused(RefusalReason.ACCOUNT_SUSPENDED)
        if ADDRESSES.get(address) is None or password != PASSWORD:
            raise LoginFailed
        account = AccountId(ADDRESSES[address])
        return Principal(TenantId(1), account, parse_address(address), "Somebody", "en", "UTC", None, False)

    async def sender_addresses(self, principal: Principal, /) -> Collection[str]:
        return frozenset(address for address, account in ADDRESSES.items() if account == principal.account_id)
