"""What the queue must know of a tenant: whether its mail may leave, and through which host."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from mailserver.outbound.sites import Credentials, Security, Smarthost
from storage import smarthosts
from storage.smarthosts import SmarthostSetting
from storage.store import MailStore
from tenants.directory import tenant_status
from tenants.types import Status, TenantId

_KEPT = 10_000


@dataclass(frozen=True, slots=True)
class Standing:
    is_active: bool
    smarthost: Smarthost | None


class Tenancy:
    """Remembers answers for `cached_s`. `default` is the installation's smarthost."""

    def __init__(
        self,
        store: MailStore,
        default: Smarthost | None,
        *,
        cached_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._default = default
        self._cached_s = cached_s
        self._clock = clock
        self._known: OrderedDict[TenantId, tuple[float, Standing]] = OrderedDict()

    async def standing(self, tenant_id: TenantId) -> Standing:
        """Raises StoreUnavailable, ContentDamaged, KeyUnusable."""
        known = self._known.get(tenant_id)
        if known is not None and known[0] > self._clock():
            return known[1]
        async with self._store.database.read(tenant_id) as connection:
            status = await tenant_status(connection, tenant_id)
        setting = await smarthosts.find(self._store.database, self._store.keys, tenant_id)
        smarthost = self._default if setting is None else smarthost_of(setting)
        found = Standing(status is Status.ACTIVE, smarthost)
        self._known[tenant_id] = (self._clock() + self._cached_s, found)
        self._known.move_to_end(tenant_id)
        if len(self._known) > _KEPT:
            self._known.popitem(last=False)
        return found


def smarthost_of(setting: SmarthostSetting) -> Smarthost:
    credentials = None
    if setting.username is not None:
        credentials = Credentials(setting.username, setting.password or "")
    return Smarthost(setting.host, setting.port, Security(setting.security), credentials)
