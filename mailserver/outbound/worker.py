"""The queue's worker: finds lanes with due mail, leases by site, brings it there, settles.

    lanes (tenant, domain)  --routing-->  sites  --leases-->  backlog of batches  --exchanges-->  settlements

* A lane becomes due by a hint or by looking; it is routed to its site, and stays in the site's rotation until a lease
  finds nothing more in it.
* One round leases for all sites with room, in one commit. What is leased is bounded, whatever waits in the queue.
* A batch is one message with its recipients at one site. Its end is settled; site shaping learns from it.
* A site that rests, or does not exist, costs no connection: its mail is leased and deferred (or failed) at once.
"""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import gauge
from mailserver.observability.repeats import Repeats
from mailserver.outbound.contents import Contents
from mailserver.outbound.decisions import Moment, decide
from mailserver.outbound.exchange import CutOff
from mailserver.outbound.lanes import Lanes, Router, Verdict
from mailserver.outbound.letters import Addressee, Letter, OpenOctets
from mailserver.outbound.outcomes import Outcome, Reason, of_fact
from mailserver.outbound.queue_config import WorkerConfig
from mailserver.outbound.schedule import Schedule
from mailserver.outbound.settling import Settler
from mailserver.outbound.shaping import Shaping, ShapingLimits, health_of
from mailserver.outbound.shares import Shares
from mailserver.outbound.site_work import Batch, SiteWork
from mailserver.outbound.sites import Site
from mailserver.outbound.suspects import ASIDE_AFTER, WAIT_S, Judgement, Suspects
from mailserver.outbound.tenancy import Tenancy
from mailserver.tasks import end_task
from storage import outbox
from storage.errors import StoreUnavailable
from storage.outgoing_types import (
    Ending,
    HeldReason,
    Lane,
    LastReply,
    LeasedRecipient,
    OutgoingId,
    QueuedMessage,
    ReportKind,
    Settlement,
)
from storage.store import MailStore
from tenants.types import TenantId

RUNNING = gauge("outbound_exchanges", "Conversations with other hosts under way.")
LEASED = gauge("outbound_leased_recipients", "Recipients that this role has leased.")
RESTING = gauge("outbound_resting_sites", "Sites that do not answer and are left alone for a while.")

RENEWED_AT_ONCE = 1_000  # batches
ROUND_PAUSE_S = 0.05  # what becomes due meanwhile shares a commit
RETRY_S = 0.5
LOST = float("-inf")  # when a lease ended that another process has now
LEASE_MARGIN = 0.1  # the last part of a lease in which nothing is begun
ENDS_PROCESSES = LastReply(0, "4.3.0", f"Held: {ASIDE_AFTER} attempts ended without a result")

log = get_logger()


class Exchanger(Protocol):
    async def exchange(
        self, site: Site, letter: Letter, addressees: Sequence[Addressee], open_octets: OpenOctets
    ) -> list[Outcome]: ...


class Worker:
    """One per process. `recipients_limit` is how many one exchange gets. `lanes` is told of hints."""

    def __init__(
        self,
        store: MailStore,
        router: Router,
        exchanger: Exchanger,
        tenancy: Tenancy,
        config: WorkerConfig,
        *,
        recipients_limit: int,
        on_report: Callable[[], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._database = store.database
        self._exchanger = exchanger
        self._config = config
        self._recipients_limit = recipients_limit
        self._on_report = on_report
        self._clock = clock
        self._monotonic = monotonic
        self._chance = chance
        self._contents = Contents(store, config.content_cache_octets)
        self._schedule = Schedule(config.first_retry_s, config.tell_delay_after_s, config.expire_after_s)
        self._shaping = ShapingLimits(
            min(config.site_exchanges_start, config.site_exchanges_limit),
            config.site_exchanges_limit,
            config.rest_s,
            config.longest_rest_s,
        )
        self._settler = Settler(store.database, report_wait_s=config.report_wait_s, on_settled=self._settled)
        self.lanes = Lanes(
            store.database,
            router,
            tenancy,
            self._on_routed,
            look_every_s=config.look_every_s,
            clock=clock,
            monotonic=monotonic,
        )
        self._sites: dict[str, SiteWork] = {}
        self._hungry: dict[str, SiteWork] = {}  # with lanes to lease from
        self._ready: deque[SiteWork] = deque()  # with a backlog, in turn
        self._out_of_share: dict[TenantId, dict[str, SiteWork]] = {}  # whose tenants have conversations enough
        self._batches: set[Batch] = set()
        self._exchanges: set[asyncio.Task[None]] = set()
        self._suspects = Suspects()
        self._leased = Shares(config.leased_limit)
        self._running = Shares(config.exchanges_limit)
        self._is_full = False  # sites got less than they had room for
        self._is_stopping = False
        self._wake = asyncio.Event()
        self._repeats = Repeats(time.monotonic)
        self._tasks: list[asyncio.Task[None]] = []

    # -- life

    def start(self) -> None:
        self._settler.start()
        self._leasing = self._keep("lease", self._lease_forever)
        self._tasks = [
            self._leasing,
            self._keep("look", self.lanes.look_forever),
            self._keep("renew", self._renew_forever),
        ]

    def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> "asyncio.Task[None]":
        return asyncio.create_task(self._guarded(name, loop), name=f"outbound: {name}")

    async def drain(self, deadline_s: float) -> None:
        """Begin nothing more, give back what has not begun, wait for what has; cut it off before the deadline."""
        farewell_s = min(2.0, deadline_s / 4)
        self._is_stopping = True
        self._wake.set()
        await asyncio.wait({self._leasing}, timeout=farewell_s)  # a lease that was committed must be given back
        for task in self._tasks:
            await end_task(task)
        await self.lanes.close()
        for work in self._sites.values():
            while work.backlog:
                self._give_back(work.backlog.popleft())
        if self._exchanges:
            await asyncio.wait(self._exchanges, timeout=max(0.0, deadline_s - farewell_s))
        for task in list(self._exchanges):
            await end_task(task)
        await self._contents.close()
        await self._settler.close(farewell_s)

    async def _guarded(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """A door of its own: neither Postgres away nor a bug ends a loop."""
        while not self._is_stopping:
            try:
                await loop()
            except StoreUnavailable as unavailable:
                if (left_out := self._repeats.worth_saying(name)) is not None:
                    log.warning("the queue waits for Postgres", what=name, error=str(unavailable), left_out=left_out)
            except Exception:
                log.exception("a loop of the queue failed", loop=name)
            await asyncio.sleep(RETRY_S)

    # -- sites

    def _on_routed(self, lane: Lane, site: Site | None, verdict: Verdict | None) -> SiteWork:
        work = self._work_for(f"nowhere: {lane.domain}" if site is None else site.key, site, verdict)
        work.lanes.append(lane)
        self._hungry[work.key] = work
        self._wake.set()
        return work

    def _work_for(self, key: str, site: Site | None, verdict: Verdict | None) -> SiteWork:
        work = self._sites.get(key)
        if work is None:
            work = self._sites[key] = SiteWork(key, site, verdict, Shaping(self._shaping))
        work.site, work.verdict = site, verdict
        return work

    # -- leases

    async def _lease_forever(self) -> None:
        while not self._is_stopping:
            await self._wake.wait()
            self._wake.clear()
            if self._settler.is_stuck:
                await asyncio.sleep(RETRY_S)
                self._wake.set()
                continue
            try:
                if not self._is_stopping:
                    await self._lease_round()
            except BaseException:
                self._wake.set()
                raise
            await asyncio.sleep(ROUND_PAUSE_S)

    async def _lease_round(self) -> None:
        rooms = self._rooms()
        if not rooms:
            return
        for lane in rooms:
            self.lanes.before_lease(lane)
        asked_at_s = self._monotonic()
        try:
            leased = await outbox.lease(self._database, rooms, lease_s=self._config.lease_s)
        finally:
            for lane, room in rooms.items():
                self._leased.give_back(lane.tenant_id, room)
        for recipient in leased:
            self._leased.take(recipient.message.tenant_id)
        LEASED.labels().set(self._leased.total)
        found: dict[Lane, int] = dict.fromkeys(rooms, 0)
        groups: dict[tuple[str, TenantId, OutgoingId], list[LeasedRecipient]] = {}
        for recipient in leased:
            lane = Lane(recipient.message.tenant_id, recipient.domain)
            found[lane] += 1
            key = self.lanes.work_of(lane).key
            groups.setdefault((key, lane.tenant_id, recipient.message.id), []).append(recipient)
        for lane, room in rooms.items():
            if self.lanes.after_lease(lane, is_empty=found[lane] < room):
                self._wake.set()
        for (key, _, _), recipients in groups.items():
            self._take(self._sites[key], recipients, asked_at_s + self._config.lease_s)
        self._dispatch()

    def _rooms(self) -> dict[Lane, int]:
        """How much to lease of which lane, taken from what may be leased; sites take turns when not everything fits."""
        now_s = self._monotonic()
        left = self._config.leased_limit - self._leased.total
        rooms: dict[Lane, int] = {}
        is_short = False
        share = max(1, left // max(1, len(self._hungry)))
        for key, work in list(self._hungry.items()):
            if left <= 0:
                break
            if not work.lanes:
                del self._hungry[key]
                continue
            room = min(work.room(now_s, min(self._recipients_limit, share)), left)
            if room <= 0:
                continue
            for lane, lane_room in work.take_lanes(room):
                if self._leased.may_take(lane.tenant_id):
                    rooms[lane] = lane_room
                    self._leased.take(lane.tenant_id, lane_room)
                    left -= lane_room
                else:
                    is_short = True
            del self._hungry[key]
            self._hungry[key] = work
        self._is_full = is_short or left <= 0
        return rooms

    def _take(self, work: SiteWork, recipients: list[LeasedRecipient], lease_ends_s: float) -> None:
        verdict = work.verdict_now(self._monotonic())
        if verdict is not None:
            self._settle(work, recipients, [verdict] * len(recipients), is_tried=work.verdict is not None)
            return
        for start in range(0, len(recipients), self._recipients_limit):
            part = recipients[start : start + self._recipients_limit]
            batch = Batch(part[0].message, part, lease_ends_s)
            if self._may_be_tried(batch):
                self._batches.add(batch)
                work.backlog.append(batch)
        self._get_ready(work)

    def _may_be_tried(self, batch: Batch) -> bool:
        match self._suspects.judge(batch):
            case Judgement.CLEAR:
                return True
            case Judgement.ALONE:
                log.warning("a message is tried alone: its last attempts had no result", outgoing=batch.message.id)
                return True
            case Judgement.LATER:
                later = self._clock() + timedelta(seconds=WAIT_S * (0.5 + self._chance()))
                self._give_back(batch, next_attempt_at=later)
            case Judgement.ASIDE:
                log.error("a message is held: its attempts have no result", outgoing=batch.message.id)
                held = HeldReason.ENDS_PROCESSES
                self._settler.put(
                    [Settlement(each, Ending.HELD, ENDS_PROCESSES, held_reason=held) for each in batch.recipients]
                )
        return False

    def _get_ready(self, work: SiteWork) -> None:
        if not work.is_ready:
            work.is_ready = True
            self._ready.append(work)

    async def _renew_forever(self) -> None:
        while True:
            await asyncio.sleep(self._config.lease_s / 3)
            batches = list(self._batches)
            for start in range(0, len(batches), RENEWED_AT_ONCE):
                some = batches[start : start + RENEWED_AT_ONCE]
                asked_at_s = self._monotonic()
                recipients = [recipient for batch in some for recipient in batch.recipients]
                kept = await outbox.renew(self._database, recipients, lease_s=self._config.lease_s)
                still_ours = set(map(id, kept))
                for batch in some:
                    is_ours = all(id(each) in still_ours for each in batch.recipients)
                    batch.lease_ends_s = asked_at_s + self._config.lease_s if is_ours else LOST

    # -- exchanges

    def _dispatch(self) -> None:
        """Begin what may begin, one site after the other."""
        while self._ready and len(self._exchanges) < self._config.exchanges_limit:
            work = self._ready.popleft()
            work.is_ready = False
            if self._begin_one(work):
                self._get_ready(work)

    def _dispatch_by_share(self) -> None:
        """Of the sites that wait for a tenant's share, only as many as it has room for now: there may be very many."""
        for tenant_id, sites in list(self._out_of_share.items()):
            while sites and len(self._exchanges) < self._config.exchanges_limit and self._running.may_take(tenant_id):
                work = sites.pop(next(iter(sites)))
                if self._begin_one(work):
                    self._get_ready(work)
            if not sites:
                del self._out_of_share[tenant_id]

    def _next_of(self, work: SiteWork) -> Batch | None:
        """The first whose tenant may have another conversation; without one the site waits for any of its tenants'."""
        refused: set[TenantId] = set()
        for batch in work.backlog:
            tenant_id = batch.message.tenant_id
            if tenant_id in refused:
                continue
            if self._running.may_take(tenant_id):
                work.backlog.remove(batch)
                return batch
            refused.add(tenant_id)
        for tenant_id in refused:
            self._out_of_share.setdefault(tenant_id, {})[work.key] = work
        return None

    def _begin_one(self, work: SiteWork) -> bool:
        """Whether the site may be given more."""
        now_s = self._monotonic()
        verdict = work.verdict_now(now_s)
        while work.backlog and verdict is not None:
            untried = work.backlog.popleft()
            self._drop(untried)
            self._settle(work, untried.recipients, [verdict] * len(untried.recipients), is_tried=False)
        if not work.backlog or work.running >= work.shaping.allowed(now_s):
            return False
        batch = self._next_of(work)
        if batch is None:
            return False
        if batch.lease_ends_s - now_s < LEASE_MARGIN * self._config.lease_s:
            self._give_back(batch)  # or what of it nobody else has
            return True
        assert work.site is not None
        work.running += 1
        self._running.take(batch.message.tenant_id)
        task = asyncio.create_task(self._bring(work, work.site, batch), name="outbound: exchange")
        self._exchanges.add(task)
        RUNNING.labels().set(len(self._exchanges))
        task.add_done_callback(lambda done: self._ended(work, batch, done))
        return True

    async def _bring(self, work: SiteWork, site: Site, batch: Batch) -> None:
        try:
            outcomes = await self._exchanger.exchange(
                site, batch.message, batch.recipients, self._contents.opener(batch.message)
            )
        except CutOff as cut:
            self._part(work, batch, cut.outcomes)
            raise
        except asyncio.CancelledError:
            self._give_back(batch)
            raise
        except Exception:
            log.exception("an exchange failed", site=site.key, outgoing=batch.message.id)
            outcomes = [of_fact(Reason.CONTENT_UNAVAILABLE)] * len(batch.recipients)
        self._drop(batch)
        self._learn(work, outcomes)
        self._settle(work, batch.recipients, outcomes)
        _log_exchange(site, batch.message, outcomes)

    def _part(self, work: SiteWork, batch: Batch, outcomes: Sequence[Outcome | None]) -> None:
        """The process stops: what is known is written, and the rest is given back."""
        pairs = list(zip(batch.recipients, outcomes, strict=True))
        settled = [(recipient, outcome) for recipient, outcome in pairs if outcome is not None]
        self._settle(work, [recipient for recipient, _ in settled], [outcome for _, outcome in settled])
        rest = [recipient for recipient, outcome in pairs if outcome is None]
        self._drop(batch)
        self._give_back(Batch(batch.message, rest, batch.lease_ends_s))

    def _learn(self, work: SiteWork, outcomes: list[Outcome]) -> None:
        now_s = self._monotonic()
        health, evidence = health_of(outcomes)
        if work.shaping.learn(health, evidence, now_s):
            reply = evidence.reply if evidence is not None else None
            log.warning("a site rests", site=work.key, seconds=round(work.shaping.rest_left_s(now_s)), reply=str(reply))

    def _ended(self, work: SiteWork, batch: Batch, task: "asyncio.Task[None]") -> None:
        self._exchanges.discard(task)
        self._running.give_back(batch.message.tenant_id)
        RUNNING.labels().set(len(self._exchanges))
        work.running -= 1
        if not task.cancelled():
            task.exception()  # everything expected was caught; the loop's handler has told of the rest
        if work.lanes and work.room(self._monotonic(), 1):
            self._wake.set()
        if work.backlog:
            self._get_ready(work)
        elif work.is_idle(self._monotonic()):
            self._sites.pop(work.key, None)
            self._hungry.pop(work.key, None)
        self._dispatch_by_share()
        self._dispatch()

    # -- ends

    def _settle(
        self,
        work: SiteWork,
        recipients: Sequence[LeasedRecipient],
        outcomes: Sequence[Outcome],
        *,
        is_tried: bool = True,
    ) -> None:
        now = self._clock()
        rest_s = work.shaping.rest_left_s(self._monotonic())
        not_before = now + timedelta(seconds=rest_s) if rest_s > 0 else None
        self._settler.put(
            [
                decide(recipient, outcome, self._schedule, Moment(now, self._chance(), not_before, is_tried))
                for recipient, outcome in zip(recipients, outcomes, strict=True)
            ]
        )

    def _give_back(self, batch: Batch, *, next_attempt_at: datetime | None = None) -> None:
        self._drop(batch)
        self._settler.put(
            [
                Settlement(each, Ending.RETURNED, LastReply(), next_attempt_at=next_attempt_at)
                for each in batch.recipients
            ]
        )

    def _drop(self, batch: Batch) -> None:
        """Nothing more is to be done for it here than to write how it ended."""
        self._batches.discard(batch)
        self._suspects.ended(batch)

    def _settled(self, settlements: Sequence[Settlement]) -> None:
        for each in settlements:
            self._leased.give_back(each.recipient.message.tenant_id)
        LEASED.labels().set(self._leased.total)
        if any(each.report is not ReportKind.NONE for each in settlements):
            self._on_report()
        if self._is_full:
            self._wake.set()

    def count_resting(self) -> None:
        """For the metrics; and what is known of sites that answer again is dropped."""
        now_s = self._monotonic()
        RESTING.labels().set(sum(work.shaping.rest_left_s(now_s) > 0 for work in self._sites.values()))
        for key, work in list(self._sites.items()):
            if work.is_idle(now_s):
                del self._sites[key]
                self._hungry.pop(key, None)


def _log_exchange(site: Site, message: QueuedMessage, outcomes: Sequence[Outcome]) -> None:
    counts: dict[str, int] = {}
    for outcome in outcomes:
        name = type(outcome).__name__.lower()
        counts[name] = counts.get(name, 0) + 1
    last = outcomes[-1].reply
    log.info(
        "message tried",
        tenant=message.tenant_id,
        outgoing=message.id,
        site=site.key,
        host=last.host,
        code=last.code,
        enhanced=last.enhanced,
        **counts,
    )
