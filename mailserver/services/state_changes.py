"""Tells whoever holds a connection open which types of an account changed (RFC 8620 §7.1).

All followers of an account in a process share one watch and one reading of its states. Nothing is kept for a follower
but how far it was told: a slow one is told the newest states when it is ready, whatever happened meanwhile.
"""

import asyncio
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.observability.repeats import Repeats
from mailserver.services.watching import Watch, Watchers
from mailserver.tasks import end_task
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.pools import Pools, limit_within
from storage.provisioning import provision_account
from storage.told_states import ToldStates, told_states
from storage.types import Modseq
from tenants.types import AccountId, TenantId

FOLLOWED = gauge("followed_accounts", "Accounts of which somebody is told what changes.", across="livesum")
READINGS = counter("state_readings", "Readings of the states of an account, to tell followers.")

PAUSE_S = 0.01  # between two readings of an account, so that what comes in a burst is read together
RETRY_S = 1.0

_PLACE = re.compile(r"([0-9]{1,10})-([0-9]{1,19})", re.ASCII)

log = get_logger()

Key = tuple[TenantId, AccountId]


@dataclass(frozen=True, slots=True)
class Place:
    """How far somebody was told."""

    epoch: int
    modseq: Modseq

    def __str__(self) -> str:
        return f"{self.epoch}-{self.modseq}"


NOWHERE = Place(-1, Modseq(0))
"""Of somebody who was told nothing, or of whom we do not know."""


def parse_place(text: str) -> Place:
    """As a client brings it back."""
    found = _PLACE.fullmatch(text)
    return NOWHERE if found is None else Place(int(found[1]), Modseq(int(found[2])))


def place_of(states: ToldStates) -> Place:
    return Place(states.epoch, states.modseq)


def changed_since(states: ToldStates, place: Place, types: Collection[str] | None) -> dict[str, str]:
    """States of the types that changed after a place; `types` None: of all. A place that cannot be is before all."""
    is_known = place.epoch == states.epoch and place.modseq <= states.modseq
    since = place.modseq if is_known else -1
    changed = {
        name: f"{states.epoch}-{modseq}"
        for name, modseq in states.types.items()
        if modseq > since and (types is None or name in types)
    }
    if states.limit_octets is not None and states.types["Thread"] > since and (types is None or "Quota" in types):
        changed["Quota"] = quota_state(states.used_octets, states.limit_octets)
    return changed


def quota_state(used_octets: int, limit_octets: int | None) -> str:
    """RFC 9425: what it held. It is told when messages come and go (§6), for `used` changes with them; a limit that is
    set anew is told with the next of them."""
    return f"{used_octets}-{'none' if limit_octets is None else limit_octets}"


@dataclass(slots=True, eq=False)
class _Account:
    watch: Watch | None = None
    states: ToldStates | None = None
    stirred: ToldStates | None = None
    reading: "asyncio.Task[None] | None" = None
    is_stale: bool = False
    followers: set["Following"] = field(default_factory=set)


class Following:
    """One connection's part of it, until `close`."""

    __slots__ = ("_account", "_changes", "_key", "stir")

    def __init__(self, changes: "StateChanges", key: Key, account: _Account, stir: Callable[[], None]) -> None:
        self._changes = changes
        self._key = key
        self._account = account
        self.stir = stir

    async def now(self) -> ToldStates:
        """As the database is now. Raises StoreUnavailable."""
        await self._changes.read(self._key, self._account)
        return self.latest

    @property
    def latest(self) -> ToldStates:
        """As they were read last; only after `now`."""
        assert self._account.states is not None
        return self._account.states

    def close(self) -> None:
        """It is not stirred after this; closing twice is harmless."""
        self._changes.forget(self, self._key, self._account)


class StateChanges:
    """One per process."""

    def __init__(self, database: Database, watchers: Watchers, pools: Pools, *, pause_s: float = PAUSE_S) -> None:
        self._database = database
        self._pools = pools
        self._watchers = watchers
        self._pause_s = pause_s
        self._accounts: dict[Key, _Account] = {}
        self._repeats = Repeats(time.monotonic)

    def follow(self, tenant_id: TenantId, account_id: AccountId, stir: Callable[[], None]) -> Following:
        """`stir` is called on the loop whenever there are later states, perhaps once too often. Ask `now` first."""
        key = (tenant_id, account_id)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
            account.watch = self._watchers.watch(tenant_id, account_id, lambda: self._woken(key, account))
            FOLLOWED.labels().inc()
        following = Following(self, key, account, stir)
        account.followers.add(following)
        return following

    def forget(self, following: Following, key: Key, account: _Account) -> None:
        account.followers.discard(following)
        if not account.followers and self._accounts.get(key) is account:
            del self._accounts[key]
            FOLLOWED.labels().dec()
            if account.watch is not None:
                account.watch.close()

    async def close(self) -> None:
        """Nobody follows any more."""
        for account in list(self._accounts.values()):
            if account.watch is not None:
                account.watch.close()
            await end_task(account.reading)
        self._accounts.clear()

    async def read(self, key: Key, account: _Account) -> None:
        """Raises StoreUnavailable."""
        READINGS.labels().inc()
        async with self._database.read(key[0]) as connection:
            states = await told_states(connection, *key)
        if states is None:
            await provision_account(self._database, *key)
            async with self._database.read(key[0]) as connection:
                states = await told_states(connection, *key)
            if states is None:
                raise StoreUnavailable("the account is about to be deleted")
        pool = await self._pools.usage(self._database, key[0])
        states = replace(states, limit_octets=limit_within(pool, states.used_octets, states.limit_octets))
        known = account.states
        if known is None or (known.epoch, known.modseq) < (states.epoch, states.modseq):
            account.states = states

    def _woken(self, key: Key, account: _Account) -> None:
        account.is_stale = True
        if account.reading is None and account.followers:
            account.reading = asyncio.create_task(self._read_on(key, account), name="state changes")

    async def _read_on(self, key: Key, account: _Account) -> None:
        """Read and tell until nothing is new. Whoever was woken while this read is read for once more."""
        try:
            while account.is_stale and account.followers:
                account.is_stale = False
                try:
                    await self.read(key, account)
                except StoreUnavailable as unavailable:
                    if (left_out := self._repeats.worth_saying("away")) is not None:
                        log.warning("what changed cannot be read", error=str(unavailable), left_out=left_out)
                    account.is_stale = True
                    await asyncio.sleep(RETRY_S)
                    continue
                if account.states is not account.stirred:
                    account.stirred = account.states
                    for following in list(account.followers):
                        following.stir()
                await asyncio.sleep(self._pause_s)
        finally:
            account.reading = None
