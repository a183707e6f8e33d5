"""Delivery: a message becomes copies in the mailboxes of its recipients, durable before anyone says 250 (DESIGN §4)."""

import asyncio
from collections import Counter
from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from mmap import mmap

from mailserver.observability.logs import get_logger
from mailserver.services.ingest import ingest
from mailserver.services.joining import Joiner
from mailserver.services.spool import Spool
from storage import inbound
from storage.errors import OverQuota, StorageError
from storage.parts.homes import PART_OCTETS
from storage.placing import AlreadyPlaced, Order, PreparedMessage, place, prepare
from storage.store import MailStore
from storage.types import Destination, InboundId, NewMessage, Placed
from storage.usage import used_octets
from tenants.types import AccountId, Recipient, TenantId

log = get_logger()

DIRECT_RECIPIENTS = 100  # up to so many accounts of one tenant are placed before the answer


@dataclass(frozen=True, slots=True)
class DeliveryConfig:
    """Of mail that is accepted first and placed afterwards: for several tenants, or for many people."""

    lease_s: float = field(default=inbound.LEASE_S, metadata={"least": 1})
    """how long the process that accepted a message has it to itself, before upkeep takes it to be forgotten"""
    look_every_s: float = field(default=30.0, metadata={"least": 0.1})  # how often upkeep looks for forgotten messages


class Deliveries:
    """One per process: the use cases of mail that arrives."""

    def __init__(self, store: MailStore, config: DeliveryConfig | None = None) -> None:
        self._store = store
        self._lease_s = (config or DeliveryConfig()).lease_s
        self._joiner = Joiner(store)
        self._placing: set[asyncio.Task[None]] = set()

    async def deliver(
        self,
        octets: bytes | mmap,
        recipients: Sequence[Recipient],
        others: Sequence[Recipient] = (),
        *,
        reverse_path: str,
        received_at: datetime,
    ) -> list[Placed | StorageError | None]:
        """Deliver with one answer for all recipients, as after SMTP DATA; outcomes in the order of `recipients`, then
        of `others`: members of groups, whose being full is no reason to refuse the message.

        None means accepted: durable, and placed a moment later. Quota is judged here for a single recipient; several
        were asked at RCPT, and one whom this message takes past the quota gets it still, for the one answer cannot
        tell. If somebody, or a tenant's pool, was filled since RCPT all are refused, before anything is placed: when
        the sender tries again, RCPT tells whom it cannot reach. Raises StoreUnavailable, and ColdTierUnavailable when
        S3 is away and as much waits for it as may: then the message was not accepted.
        """
        del reverse_path  # it stands in Return-Path, which the door has written
        everybody = [*recipients, *others]
        tenants = {recipient.tenant_id for recipient in everybody}
        if (refusal := await self._full_pool(recipients or others, len(octets))) is not None:
            return [refusal] * len(everybody)
        if len(everybody) > 1 and (refusal := await self._first_full(recipients)) is not None:
            return [refusal] * len(everybody)
        if len(tenants) > 1 or len(everybody) > DIRECT_RECIPIENTS:
            await self._accept(octets, everybody, received_at)
            return [None] * len(everybody)
        message = await self._prepare(octets, received_at, everybody[0].tenant_id)
        if len(everybody) == 1:
            only = everybody[0]
            return [await self._joiner.place(only.tenant_id, Order(message, _strict(only)))]
        orders = [Order(message, Destination(recipient.account_id, None)) for recipient in recipients]
        orders += [Order(message, _strict(other)) for other in others]
        return list(await self._place(everybody[0].tenant_id, orders))

    async def deliver_each(
        self,
        octets: bytes | mmap,
        recipients: Sequence[Recipient],
        *,
        reverse_path: str,
        received_at: datetime,
        once: InboundId | None = None,
    ) -> list[Placed | StorageError]:
        """Deliver with an answer for each recipient, as in LMTP (RFC 2033 §4.2): each one's quota is judged.

        Under the id `once`, if there is one: AlreadyPlaced for whom a replay finds it there.
        """
        del reverse_path
        results: dict[int, Placed | StorageError] = {}
        new = await ingest(octets, received_at)
        for tenant_id in sorted({recipient.tenant_id for recipient in recipients}):
            chosen = [index for index, r in enumerate(recipients) if r.tenant_id == tenant_id]
            full = await self._full_pool([recipients[index] for index in chosen], len(octets))
            if full is not None:
                results.update(dict.fromkeys(chosen, full))
                continue
            try:
                message = await self._prepared(tenant_id, new)
            except StorageError as refusal:
                results.update(dict.fromkeys(chosen, refusal))
                continue
            for start in range(0, len(chosen), DIRECT_RECIPIENTS):
                chunk = chosen[start : start + DIRECT_RECIPIENTS]
                orders = [Order(message, _strict(recipients[index]), once) for index in chunk]
                try:
                    placed = await self._place(tenant_id, orders)
                except StorageError as refusal:
                    placed = [refusal] * len(chunk)
                results.update(zip(chunk, placed, strict=True))
        return [results[index] for index in range(len(recipients))]

    async def deliver_once(
        self, octets: bytes | mmap, recipients: Sequence[Recipient], *, once: InboundId, received_at: datetime
    ) -> list[Placed | StorageError]:
        """Deliver under an id, whatever is used of quotas: AlreadyPlaced for whom a replay finds it there.

        For notifications, of which nobody is told if they cannot be delivered. Raises StoreUnavailable,
        ColdTierUnavailable.
        """
        results: list[Placed | StorageError] = []
        new = await ingest(octets, received_at)
        for tenant_id in sorted({recipient.tenant_id for recipient in recipients}):
            message = await self._prepared(tenant_id, new)
            accounts = [recipient.account_id for recipient in recipients if recipient.tenant_id == tenant_id]
            orders = [Order(message, Destination(account_id, None), once) for account_id in accounts]
            results += await self._place(tenant_id, orders)
        return results

    async def place_forgotten(self, limit: int = 10) -> int:
        """Upkeep: place accepted mail whose process ended before it was placed. Returns how many messages.

        All are tried; then raises what the first failure was. What failed is tried again when its lease has ended.
        """
        forgotten = await inbound.lease_forgotten(self._store.database, limit, lease_s=self._lease_s)
        await _all_in_turn(self._place_inbound(accepted) for accepted in forgotten)
        return len(forgotten)

    async def settle(self) -> None:
        """Wait until what was accepted by this process is placed (before it ends); failures are left to upkeep."""
        await asyncio.gather(*self._placing, return_exceptions=True)

    async def _accept(self, octets: bytes | mmap, recipients: Sequence[Recipient], received_at: datetime) -> None:
        if self._store.parts is not None and len(octets) > PART_OCTETS:
            await self._store.parts.let_wait(len(octets))
        accepted = await inbound.accept(
            self._store.database,
            self._store.keys,
            octets if isinstance(octets, bytes) else memoryview(octets),
            received_at,
            sorted({(recipient.tenant_id, recipient.account_id) for recipient in recipients}),
            lease_s=self._lease_s,
        )
        task = asyncio.get_running_loop().create_task(self._place_inbound(accepted))
        self._placing.add(task)
        task.add_done_callback(self._placed)

    def _placed(self, task: "asyncio.Task[None]") -> None:
        self._placing.discard(task)
        if not task.cancelled() and (failure := task.exception()) is not None:
            log.warning("accepted mail is not placed yet; upkeep will", reason=type(failure).__name__)

    async def _place_inbound(self, accepted: inbound.Inbound) -> None:
        accounts: dict[TenantId, list[AccountId]] = {}
        for tenant_id, account_id in accepted.accounts:
            accounts.setdefault(tenant_id, []).append(account_id)
        with Spool() as spool:
            async for piece in inbound.read(self._store.database, self._store.keys, accepted):
                spool.write(piece)
            new = await ingest(spool.octets(), accepted.accepted_at)
            await _all_in_turn(
                self._place_for_tenant(tenant_id, accounts[tenant_id], new, accepted.id)
                for tenant_id in sorted(accounts)
            )
        await inbound.remove(self._store.database, accepted.id)

    async def _place_for_tenant(
        self, tenant_id: TenantId, accounts: Sequence[AccountId], new: NewMessage, inbound_id: InboundId
    ) -> None:
        message = await self._prepared(tenant_id, new)
        refusals: list[StorageError] = []
        for start in range(0, len(accounts), DIRECT_RECIPIENTS):
            orders = [
                Order(message, Destination(account, None), inbound_id)
                for account in accounts[start : start + DIRECT_RECIPIENTS]
            ]
            results = await self._place(tenant_id, orders)
            refusals += [
                each for each in results if isinstance(each, StorageError) and not isinstance(each, AlreadyPlaced)
            ]
        if refusals:
            raise refusals[0]

    async def _prepare(self, octets: bytes | mmap, received_at: datetime, tenant_id: TenantId) -> PreparedMessage:
        return await self._prepared(tenant_id, await ingest(octets, received_at))

    async def _prepared(self, tenant_id: TenantId, new: NewMessage) -> PreparedMessage:
        return await prepare(await self._store.keys.of(tenant_id), new, self._store.parts)

    async def _full_pool(self, recipients: Sequence[Recipient], octets: int) -> OverQuota | None:
        """The pool of a tenant among them that has no room for this message for each of them."""
        copies = Counter(recipient.tenant_id for recipient in recipients)
        for tenant_id, count in copies.items():
            refusal = await self._store.pools.let_in(self._store.database, tenant_id, count * octets)
            if refusal is not None:
                return refusal
        return None

    async def _first_full(self, recipients: Sequence[Recipient]) -> OverQuota | None:
        quotas: dict[TenantId, dict[AccountId, int]] = {}
        for each in recipients:
            if each.quota_octets is not None:
                quotas.setdefault(each.tenant_id, {})[each.account_id] = each.quota_octets
        for tenant_id, limits in quotas.items():
            async with self._store.database.read(tenant_id) as connection:
                used = await used_octets(connection, tenant_id, list(limits))
            for account_id, octets in used.items():
                if octets >= limits[account_id]:
                    return OverQuota(octets, limits[account_id])
        return None

    async def _place(self, tenant_id: TenantId, orders: Sequence[Order]) -> Sequence[Placed | StorageError]:
        store = self._store
        results = await place(store.database, store.blobs.hot, await store.keys.of(tenant_id), tenant_id, orders)
        for result in results:
            if isinstance(result, Placed):
                store.announce(tenant_id, result.account_id, result.modseq)
        return results


def _strict(recipient: Recipient) -> Destination:
    return Destination(recipient.account_id, None, quota_octets=recipient.quota_octets)


async def _all_in_turn(works: Iterable[Coroutine[None, None, None]]) -> None:
    """One after another, also when those before failed, for one tenant's trouble must not hold up another's mail; then
    raises the first failure."""
    failures: list[BaseException] = []
    for work in works:
        (failure,) = await asyncio.gather(work, return_exceptions=True)
        if failure is not None:
            failures.append(failure)
    if failures:
        raise failures[0]
