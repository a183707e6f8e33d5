"""Lanes with due mail, found by hints and by looking, and the site that each belongs to."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from weakref import WeakValueDictionary

from mailserver.observability.logs import get_logger
from mailserver.observability.repeats import Repeats
from mailserver.outbound.errors import NoSite
from mailserver.outbound.outcomes import Deferred, Failed
from mailserver.outbound.site_work import SiteWork
from mailserver.outbound.sites import Site, Smarthost
from mailserver.outbound.tenancy import Tenancy
from mailserver.tasks import end_task
from storage import outbox
from storage.database import Database
from storage.errors import StorageError
from storage.outgoing_acts import Chosen, hold
from storage.outgoing_types import HeldReason, Lane
from tenants.types import TenantId

FIRST_LANE = Lane(TenantId(0), "")
PAGE_LANES = 1_000
LOOK_PAUSE = 4  # looking takes at most a fifth of the time
KNOWN_LANES_LIMIT = 20_000
ROUTINGS_LIMIT = 100  # lanes routed at the same time
TENANT_ROUTINGS_LIMIT = 25  # of one tenant: its domains may have name servers that hang
TENANT_LANES_LIMIT = KNOWN_LANES_LIMIT // 2
ROUTE_AGE_S = 60.0  # a lane that stays due for longer is routed anew

Verdict = Deferred | Failed

log = get_logger()


class Router(Protocol):
    async def find_site(self, domain: str) -> Site: ...
    async def find_smarthost(self, smarthost: Smarthost) -> Site: ...


@dataclass(slots=True)
class _State:
    work: SiteWork | None = None
    routed_at_s: float = 0.0
    is_due_again: bool = False
    """Something came for it while a lease was under way."""


class Lanes:
    """`on_routed` gets a lane that has due mail with its site, or what it means that there is none; it returns where
    the lane has been put."""

    def __init__(
        self,
        database: Database,
        router: Router,
        tenancy: Tenancy,
        on_routed: Callable[[Lane, Site | None, Verdict | None], SiteWork],
        *,
        look_every_s: float,
        clock: Callable[[], datetime],
        monotonic: Callable[[], float],
    ) -> None:
        self._database = database
        self._router = router
        self._tenancy = tenancy
        self._on_routed = on_routed
        self._look_every_s = look_every_s
        self._clock = clock
        self._monotonic = monotonic
        self._states: dict[Lane, _State] = {}
        self._looked_until = FIRST_LANE
        self._look_at_once = asyncio.Event()
        self._routings: set[asyncio.Task[None]] = set()
        self._turns = asyncio.Semaphore(ROUTINGS_LIMIT)
        self._turns_of: WeakValueDictionary[TenantId, asyncio.Semaphore] = WeakValueDictionary()
        self._known_of: Counter[TenantId] = Counter()
        self._repeats = Repeats(time.monotonic)

    async def close(self) -> None:
        for task in list(self._routings):
            await end_task(task)

    def work_of(self, lane: Lane) -> SiteWork:
        """Of a lane that stands in a site's rotation."""
        work = self._states[lane].work
        assert work is not None
        return work

    # -- finding

    def mark_due(self, lane: Lane) -> None:
        """There is mail in it that may be tried now. Too many lanes at once: looking finds it later."""
        state = self._states.get(lane)
        if state is not None:
            state.is_due_again = True
        elif len(self._states) < KNOWN_LANES_LIMIT and self._known_of[lane.tenant_id] < TENANT_LANES_LIMIT:
            self._states[lane] = _State()
            self._known_of[lane.tenant_id] += 1
            self._begin_routing(lane)

    def look(self) -> None:
        """Hints may have been lost: look now."""
        self._look_at_once.set()

    async def look_forever(self) -> None:
        """Again and again, but for a part of the time only: a queue with very many lanes is hard work for Postgres.

        Raises StoreUnavailable.
        """
        while True:
            self._look_at_once.clear()
            began_s = self._monotonic()
            await self._look_at_all()
            took_s = self._monotonic() - began_s
            try:
                async with asyncio.timeout(max(self._look_every_s, LOOK_PAUSE * took_s)):
                    await self._look_at_once.wait()
            except TimeoutError:
                pass

    async def _look_at_all(self) -> None:
        """Every lane of the queue, a page at a time; when too many are known, the next look goes on from there."""
        while True:
            page = await outbox.find_lanes(self._database, self._looked_until, PAGE_LANES)
            now = self._clock()
            for each in page:
                if each.due_at is not None and each.due_at <= now:
                    self.mark_due(Lane(TenantId(each.tenant_id), each.domain))
            if len(page) < PAGE_LANES:
                self._looked_until = FIRST_LANE
                return
            self._looked_until = Lane(TenantId(page[-1].tenant_id), page[-1].domain)
            if len(self._states) >= KNOWN_LANES_LIMIT:
                return

    # -- leasing

    def before_lease(self, lane: Lane) -> None:
        self._states[lane].is_due_again = False

    def after_lease(self, lane: Lane, *, is_empty: bool) -> bool:
        """Whether it stays in the rotation of its site; `is_empty`: the lease found less than it had room for."""
        state = self._states[lane]
        is_old = self._monotonic() - state.routed_at_s > ROUTE_AGE_S
        # what came while a lease was under way may have been too late for it
        if not is_old and (not is_empty or state.is_due_again):
            return True
        self.work_of(lane).lanes.remove(lane)
        if is_empty and not state.is_due_again:
            self._forget(lane)
        else:
            state.work = None
            self._begin_routing(lane)
        return False

    def _forget(self, lane: Lane) -> None:
        if self._states.pop(lane, None) is not None:
            self._known_of[lane.tenant_id] -= 1
            if not self._known_of[lane.tenant_id]:
                del self._known_of[lane.tenant_id]

    # -- routing

    def _begin_routing(self, lane: Lane) -> None:
        task = asyncio.create_task(self._route(lane), name="outbound: route")
        self._routings.add(task)
        task.add_done_callback(self._routings.discard)

    async def _route(self, lane: Lane) -> None:
        """A door of its own, as it runs beside the loops."""
        is_routed = False
        try:
            turns = self._turns_of.setdefault(lane.tenant_id, asyncio.Semaphore(TENANT_ROUTINGS_LIMIT))
            async with turns, self._turns:
                is_routed = await self._route_in_turn(lane)
        except StorageError as error:
            if (left_out := self._repeats.worth_saying("route")) is not None:
                log.warning("a tenant's mail waits", tenant=lane.tenant_id, error=str(error), left_out=left_out)
        except Exception:
            log.exception("a lane was not routed", tenant=lane.tenant_id, domain=lane.domain)
        finally:
            if not is_routed:
                self._forget(lane)  # looking finds it again

    async def _route_in_turn(self, lane: Lane) -> bool:
        standing = await self._tenancy.standing(lane.tenant_id)
        if not standing.is_active:
            held = await hold(self._database, Chosen(lane.tenant_id, domain=lane.domain), HeldReason.SUSPENDED)
            log.info("mail of a suspended tenant is held", tenant=lane.tenant_id, recipients=held)
            return False
        site: Site | None = None
        verdict: Verdict | None = None
        try:
            if standing.smarthost is not None:
                site = await self._router.find_smarthost(standing.smarthost)
            else:
                site = await self._router.find_site(lane.domain)
        except NoSite as nowhere:
            verdict = nowhere.outcome
        state = self._states[lane]
        state.work = self._on_routed(lane, site, verdict)
        state.routed_at_s = self._monotonic()
        return True
