"""People are told when their account is nearly full, and administrators when the tenant's pool is.

Once for each mark that is reached; when there is room again below a mark, reaching it anew is told anew, at most once
a day. The notice is placed whatever the quota says: it is mail of the server's own, and of one mark there is but one.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from mailserver.observability.logs import get_logger
from mailserver.services.delivery import Deliveries
from mailserver.services.quota_wording import QuotaNotice, compose_notice
from storage.errors import KeyUnusable, StorageError
from storage.placing import AlreadyPlaced
from storage.quota_notices import POOL, Fullness, fullness_of_accounts, fullness_of_pools, note_told
from storage.store import MailStore
from storage.types import InboundId, Placed
from tenants.quota_holders import QuotaHolder, quota_holders
from tenants.types import AccountId, Address, Recipient, TenantId

MARKS_PERCENT = (95, 80)
_PAGE = 2000

log = get_logger()


@dataclass(frozen=True, slots=True)
class _Finding:
    """An account or (`account_id` POOL) a pool that passed a mark, up or down, and who is told of it."""

    tenant_id: TenantId
    account_id: AccountId
    percent: int
    fullness: Fullness
    limit_octets: int
    readers: tuple[QuotaHolder, ...]


class QuotaNotices:
    """One in the role upkeep. `clock` is aware UTC, `new_token` unique."""

    def __init__(
        self,
        store: MailStore,
        deliveries: Deliveries,
        hostname: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self._store = store
        self._deliveries = deliveries
        self._hostname = hostname
        self._clock = clock
        self._new_token = new_token

    async def tell(self) -> int:
        """Look at everybody who has a limit; returns how many notices were placed. Raises StoreUnavailable."""
        told, after = 0, 0
        administrators: dict[int, list[QuotaHolder]] = {}
        while True:
            async with self._store.database.system() as connection:
                holders = await quota_holders(connection, after=after, limit=_PAGE)
                pairs = [(each.tenant_id, each.account_id) for each in holders if each.quota_octets is not None]
                full = await fullness_of_accounts(connection, pairs) if pairs else {}
            if not holders:
                break
            after = holders[-1].account_id
            for each in holders:
                if each.pool_octets is not None:
                    administrators.setdefault(each.tenant_id, []).append(each)
            for finding in _of_accounts(holders, full):
                told += await self._tell(finding)
        for start in range(0, len(administrators), _PAGE):
            tenants = sorted(administrators)[start : start + _PAGE]
            async with self._store.database.system() as connection:
                pools = await fullness_of_pools(connection, tenants)
            for finding in _of_pools(administrators, pools):
                told += await self._tell(finding)
        return told

    async def _tell(self, finding: _Finding) -> int:
        told = 0
        if finding.percent > finding.fullness.told_percent:
            for reader in finding.readers:
                told += await self._place(finding, reader)
        async with self._store.database.read(finding.tenant_id) as connection:
            await note_told(connection, finding.tenant_id, finding.account_id, finding.percent)
        return told

    async def _place(self, finding: _Finding, reader: QuotaHolder) -> int:
        now = self._clock()
        address = Address(reader.local_part, reader.domain)
        octets = compose_notice(
            QuotaNotice(
                to=str(address),
                language=reader.language,
                percent=finding.percent,
                used_octets=finding.fullness.used_octets,
                limit_octets=finding.limit_octets,
                is_pool=finding.account_id == POOL,
                hostname=self._hostname,
                token=self._new_token(),
                written_at=now,
            )
        )
        recipient = Recipient(finding.tenant_id, AccountId(reader.account_id), address, "", None)
        outcome: Placed | StorageError
        try:
            [outcome] = await self._deliveries.deliver_once(
                octets, [recipient], once=_name(now, finding), received_at=now
            )
        except KeyUnusable as unusable:  # others are told all the same
            outcome = unusable
        if isinstance(outcome, AlreadyPlaced):
            return 0
        if isinstance(outcome, StorageError):
            log.warning("a quota notice was not placed", account=reader.account_id, reason=type(outcome).__name__)
            return 0
        log.info("somebody was told of a quota", account=reader.account_id, percent=finding.percent)
        return 1


def mark_of(used_octets: int, limit_octets: int) -> int:
    """The highest mark that is reached, in percent; 0: none."""
    return next((mark for mark in MARKS_PERCENT if used_octets * 100 >= limit_octets * mark), 0)


def _name(now: datetime, finding: _Finding) -> InboundId:
    """Of one mark there is one notice a day, whoever is killed in between. Accepted mail has positive ids."""
    return InboundId(-(now.toordinal() * 1000 + finding.percent * 2 + (finding.account_id == POOL)))


def _of_accounts(holders: Sequence[QuotaHolder], full: dict[tuple[int, int], Fullness]) -> Iterator[_Finding]:
    for each in holders:
        fullness = full.get((each.tenant_id, each.account_id))
        if fullness is None or each.quota_octets is None:
            continue
        percent = mark_of(fullness.used_octets, each.quota_octets)
        if percent != fullness.told_percent:
            yield _Finding(
                TenantId(each.tenant_id),
                AccountId(each.account_id),
                percent,
                fullness,
                each.quota_octets,
                (each,),
            )


def _of_pools(administrators: dict[int, list[QuotaHolder]], pools: dict[int, Fullness]) -> Iterator[_Finding]:
    for tenant_id, fullness in pools.items():
        readers = administrators[tenant_id]
        limit_octets = readers[0].pool_octets or 0
        percent = mark_of(fullness.used_octets, limit_octets)
        if percent != fullness.told_percent:
            yield _Finding(TenantId(tenant_id), POOL, percent, fullness, limit_octets, tuple(readers))
