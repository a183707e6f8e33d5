"""A small town of people for tests of the SMTP state machines; what the services would say, kept in memory."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, OnlyReturns, RefusalReason
from mailserver.services.exchanges import LOGIN, PLAIN, Exchange, LoginExchange, PlainExchange
from mailserver.services.incoming import IncomingMail
from mailserver.services.submission_errors import TooManyWait
from mailserver.smtp.ports import Services
from storage.errors import OverQuota, StoreUnavailable
from tenants.addresses import parse_address, split_detail
from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, SenderNotWelcome, TenantSuspended
from tenants.types import AccountId, Principal, Recipient, Resolution, TenantId, WhoMaySend

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
    "安@demo.test": 8,
    "members-only@demo.test": 9,
    "srs0=digest=dd=author.test=eve@demo.test": 10,
}
NAMES = {account: address for address, account in reversed(ADDRESSES.items())}


@dataclass(frozen=True)
class Delivered:
    octets: bytes
    recipients: tuple[str, ...]
    mail: IncomingMail


@dataclass
class Town:
    """`delivered` holds what was placed, `held` what waits until when, `sign_ins_from` where people came from, all in
    order. With `longest_hold` mail may wait for its time.

    Ask `services` for the ports of the doors.
    """

    delivered: list[Delivered] = field(default_factory=list)
    sign_ins_from: list[str] = field(default_factory=list)
    held: list[tuple[IncomingMail, datetime]] = field(default_factory=list)
    longest_hold: timedelta = timedelta(0)
    most_held: int = 2

    def services(self) -> Services:
        holding = self if self.longest_hold else None
        return Services(self.resolve, self.take, self.take, self, self.sender_addresses, holding)

    async def check_room(self, who: Principal, /) -> None:
        if len(self.held) >= self.most_held:
            raise TooManyWait(self.most_held)

    async def hold(self, mail: IncomingMail, release_at: datetime, /) -> None:
        self.held.append((replace(mail, octets=mail.octets[:]), release_at))

    async def resolve(
        self, address: str, /, *, reverse_path: str, sender: Principal | None = None
    ) -> Resolution | None:
        parsed, detail = split_detail(parse_address(address))
        if parsed.domain not in ("demo.test", "mail.demo.test"):
            if sender is None:
                raise DomainNotLocal(parsed.domain)
            return None
        match parsed.local_part:
            case "members-only":
                if sender is None:
                    raise SenderNotWelcome(address, WhoMaySend.MEMBERS)
            case "srs0=digest=dd=author.test=eve":
                if reverse_path:
                    raise OnlyReturns(address)
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

    async def take(self, mail: IncomingMail, /) -> Sequence[object]:
        """What belongs to whom is known by name here: people of the town, and addresses elsewhere as they are."""
        names = [each.path if each.resolution is None else self._name(each.resolution) for each in mail.addressees]
        if "store-away@demo.test" in names:
            raise StoreUnavailable("connection refused")
        if "bug@demo.test" in names:
            raise ZeroDivisionError
        placed = tuple(dict.fromkeys(name for name in names if name != "nearly-full@demo.test"))
        if placed:
            self.delivered.append(Delivered(mail.octets[:], placed, mail))
        return [OverQuota(99, 100) if name == "nearly-full@demo.test" else "placed" for name in names]

    def _name(self, resolution: Resolution) -> str:
        return NAMES[resolution.recipients[0].account_id]

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return (PLAIN, LOGIN)

    def begin(self, mechanism: str, /, *, network: str) -> Exchange | None:
        async def sign_in(address: str, password: str) -> Principal:
            return await self.sign_in(address, password, network=network)

        found: dict[str, Exchange] = {PLAIN: PlainExchange(sign_in), LOGIN: LoginExchange(sign_in)}
        return found.get(mechanism)

    def enter(self, principal: Principal, /, *, network: str, end: Callable[[], None]) -> Callable[[], None]:
        return lambda: None

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
