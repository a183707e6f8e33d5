"""A company whose mail leaves: a queue, the running role outbound, and test hosts that take it."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from mailserver.listeners import Endpoint
from mailserver.outbound.config import ResolverConfig, RoutingConfig
from mailserver.outbound.queue_config import WorkerConfig
from mailserver.outbound.resolver import Resolver
from mailserver.outbound.routing import Router
from mailserver.outbound.running import Outbound, start_outbound
from mailserver.outbound.sites import Smarthost
from mailserver.outbound.tenancy import Tenancy
from mailserver.services.delivery import Deliveries
from mailserver.services.queue_reports import QueueReports
from mailserver.services.queueing import QueueConfig, Queueing
from mailserver.services.returns import Writer
from storage.outgoing_acts import Chosen
from storage.outgoing_lists import ListedRecipient, list_recipients
from storage.outgoing_types import Envelope, Lane, Notify, OutgoingId, QueuedRecipient, Submitter
from storage.store import MailStore
from tenants.types import Principal, Resolution
from tests.conftest import Company, as_recipient, plain_message
from tests.mailserver.outbound.sending import QUICK
from tests.outbound_peers.dns_server import DnsServer

WITHIN_S = 10.0
BRISK = WorkerConfig(
    first_retry_s=0.05,
    look_every_s=0.05,
    rest_s=0.2,
    longest_rest_s=0.5,
    report_wait_s=0.05,
    count_every_s=0.1,
    smarthost_cached_s=0.0,
)


@dataclass
class Post:
    """`dns` answers for the peers; mail for `*.NAME` goes where the test put it."""

    store: MailStore
    company: Company
    ann: Principal
    dns: DnsServer
    port: int
    config: WorkerConfig = BRISK
    is_on: bool = True
    smarthost: Smarthost | None = None
    smarthosts_may_be_private: bool = True
    queue: QueueConfig = field(default_factory=lambda: QueueConfig(100_000, 100_000, 100_000, 100_000))
    hints: list[Lane] = field(default_factory=list)

    @property
    def queueing(self) -> Queueing:
        return Queueing(self.store, self.queue, is_outbound_on=self.is_on, wake=self.hints.extend)

    async def send(
        self,
        *addresses: str,
        notify: Notify | None = None,
        reverse_path: str | None = None,
        octets: bytes = plain_message(),
        held_until: datetime | None = None,
    ) -> OutgoingId:
        envelope = Envelope(
            str(self.ann.address) if reverse_path is None else reverse_path,
            tuple(QueuedRecipient(address, None, notify) for address in addresses),
        )
        return await self.queueing.enqueue(
            Submitter(self.company.tenant_id, self.ann.account_id),
            envelope,
            octets,
            received_at=datetime.now(UTC),
            held_until=held_until,
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Outbound]:
        outbound = self.start()
        try:
            yield outbound
        finally:
            await outbound.drain(2.0)

    def start(self) -> Outbound:
        resolver = Resolver(ResolverConfig(server=Endpoint(self.dns.host, self.dns.port), least_ttl_s=0.1))
        routing = RoutingConfig(port=self.port, private_networks=self.smarthosts_may_be_private)
        reports = QueueReports(
            self.store,
            self.resolve,
            Deliveries(self.store),
            Writer("mail.company.test"),
            lease_s=self.config.lease_s,
            expire_after_s=self.config.expire_after_s,
            group_s=self.config.report_wait_s,
            look_every_s=self.config.look_every_s,
            is_outbound_on=self.is_on,
            wake_queue=self.hints.extend,
        )
        return start_outbound(
            self.store,
            Router("mail.company.test", routing, resolver),
            Tenancy(self.store, self.smarthost, cached_s=0.0),
            reports,
            None,
            self.config,
            QUICK,
            hostname="mail.company.test",
            is_on=self.is_on,
        )

    async def resolve(self, reverse_path: str) -> Resolution | None:
        """Ann is the only one here; everybody else is elsewhere."""
        if reverse_path != str(self.ann.address):
            return None
        return Resolution(self.company.tenant_id, (as_recipient(self.ann),))

    async def listed(self) -> list[ListedRecipient]:
        return await list_recipients(self.store.database, Chosen(self.company.tenant_id), 100_000)

    async def is_empty(self) -> bool:
        return not await self.listed()

    async def until_empty(self, within_s: float = WITHIN_S) -> None:
        await until(self.is_empty, within_s=within_s)

    async def until_waiting(self, attempts: int, count: int = 1) -> Sequence[ListedRecipient]:
        """Until so many recipients have been tried so often and are not being tried now."""

        async def are_waiting() -> bool:
            rows = await self.listed()
            return len([row for row in rows if row.attempts >= attempts and not row.is_leased]) >= count

        await until(are_waiting)
        return await self.listed()


async def until(is_so: "Callable[[], object]", *, within_s: float = WITHIN_S) -> None:
    """Wait for what no event tells of; a coroutine function or a plain one."""
    end = time.monotonic() + within_s
    while True:
        answer = is_so()
        if asyncio.iscoroutine(answer):
            answer = await answer
        if answer:
            return
        assert time.monotonic() < end, f"not within {within_s} s"
        await asyncio.sleep(0.01)


def with_config(post: Post, **settings: float) -> Post:
    return replace(post, config=replace(post.config, **settings))  # type: ignore[arg-type]
