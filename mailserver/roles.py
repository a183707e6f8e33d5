"""What each role of a process opens, and how to close it again."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailserver.assembly import Parts
from mailserver.config import RelayConfig, Role
from mailserver.imap.session.conversation import Services as ImapServices
from mailserver.listeners import bind
from mailserver.outbound import running as outbound
from mailserver.outbound.resolver import Resolver
from mailserver.outbound.routing import Router
from mailserver.outbound.sites import Credentials, Smarthost
from mailserver.outbound.tenancy import Tenancy
from mailserver.pop3.conversation import Services as Pop3Services
from mailserver.services.exchanges import SubmissionSignIn
from mailserver.services.queue_reports import QueueReports
from mailserver.services.returns import Writer
from mailserver.smtp.config import Door as SmtpDoor
from mailserver.smtp.ports import Services as SmtpServices
from mailserver.smtp.server import SmtpServer
from mailserver.upkeep.hold_jobs import hold_jobs
from mailserver.upkeep.index_jobs import index_jobs
from mailserver.upkeep.indexer import Indexer
from mailserver.upkeep.jobs import all_jobs
from mailserver.upkeep.key_jobs import key_jobs
from mailserver.upkeep.parts_jobs import parts_jobs
from mailserver.upkeep.push_jobs import push_jobs
from mailserver.upkeep.queue_jobs import queue_jobs
from mailserver.upkeep.release_jobs import release_jobs
from mailserver.upkeep.retention_jobs import retention_jobs
from mailserver.upkeep.runner import Upkeep
from mailserver.upkeep.tier_jobs import tier_jobs
from mailserver.upkeep.upload_jobs import upload_jobs
from mailserver.upkeep.usage_jobs import usage_jobs
from mailserver.upkeep.verify_jobs import verify_jobs
from tenants.errors import DomainNotLocal
from tenants.types import Resolution


class Running(Protocol):
    """A role at work."""

    async def drain(self, deadline_s: float) -> None:
        """Take no new work, finish what is in hand, and cut off what is left at the deadline."""


Failed = Callable[[str], None]
Start = Callable[[Parts, Failed], Awaitable[Running]]


class Several:
    """Runnings that drain side by side."""

    def __init__(self, parts: Sequence[Running]) -> None:
        self._parts = parts

    async def drain(self, deadline_s: float) -> None:
        await asyncio.gather(*(part.drain(deadline_s) for part in self._parts))


async def start_imap(parts: Parts, _failed: Failed) -> Running:
    """IMAP and POP3: the doors that people read mail through. Raises CannotListen."""
    from mailserver.imap import transport as imap  # only this role loads Twisted
    from mailserver.pop3 import transport as pop3

    config, listeners = parts.config, parts.config.listeners
    bound = {
        door: tuple(bind(endpoint)) if (endpoint := getattr(listeners, door)) is not None else ()
        for door in ("imap", "imaps", "pop3", "pop3s")
    }
    imap_door = await imap.start(
        config.imap,
        ImapServices(parts.store, parts.logins, parts.watchers, parts.searches),
        imap.Listeners(bound["imap"], bound["imaps"]),
        message_limit_octets=config.message_limit_octets,
        certificate=parts.certificate,
        proxies=config.proxies,
    )
    pop3_door = await pop3.start(
        config.pop3,
        Pop3Services(parts.store, parts.logins),
        pop3.Listeners(bound["pop3"], bound["pop3s"]),
        hostname=config.hostname,
        certificate=parts.certificate,
        proxies=config.proxies,
    )
    return Several((imap_door, pop3_door))


async def start_smtp(parts: Parts, _failed: Failed) -> Running:
    """Raises CannotListen, LmtpExposed."""
    config, listeners = parts.config, parts.config.listeners
    tls = parts.certificate.context if parts.certificate is not None else None
    services = SmtpServices(
        resolve=parts.arrivals.resolve,
        take=parts.arrivals.take,
        take_each=parts.arrivals.take_each,
        sign_in=SubmissionSignIn(parts.logins),
        sender_addresses=parts.recipients.sender_addresses,
        holding=parts.submissions,
    )
    server = SmtpServer(config.smtp, services, tls=tls, proxies=config.proxies)
    lmtp = SmtpServer(config.smtp, services, tls=None, proxies=config.proxies)
    doors = (
        (server, SmtpDoor.MX, listeners.smtp),
        (server, SmtpDoor.SUBMISSION, listeners.submission),
        (server, SmtpDoor.SUBMISSIONS, listeners.submissions),
        (lmtp, SmtpDoor.LMTP, listeners.lmtp),
    )
    for owner, door, endpoint in doors:
        for listening in bind(endpoint) if endpoint is not None else ():
            await owner.listen(door, listening)
    return Several((server, lmtp))


async def start_web(parts: Parts, failed: Failed) -> Running:
    """Raises CannotListen."""
    from mailserver.web import Web, load_application  # only this role loads granian and Django
    from mailserver.web_sockets import listen_for_web_sockets

    endpoint = parts.config.listeners.http
    assert endpoint is not None  # check_roles has asked for it
    application, draining = load_application(parts), parts.open_streams.drain
    web = Web(endpoint, parts.config.web, application, draining=draining)
    web.start(failed=failed)
    parts.web_push.start()
    if (endpoint := parts.config.listeners.websockets) is None:
        return web
    sockets = await listen_for_web_sockets(endpoint, parts.config.web, application, draining=draining)
    return Several((web, sockets))


async def start_outbound(parts: Parts, _failed: Failed) -> Running:
    config = parts.config
    tenancy = Tenancy(parts.store, _smarthost_of(config.smarthost), cached_s=config.worker.smarthost_cached_s)

    async def resolve(reverse_path: str) -> Resolution | None:
        try:
            return await parts.arrivals.resolve(reverse_path, reverse_path="")
        except DomainNotLocal:
            return None

    reports = QueueReports(
        parts.store,
        resolve,
        parts.deliveries,
        Writer(config.hostname),
        lease_s=config.worker.lease_s,
        expire_after_s=config.worker.expire_after_s,
        group_s=config.worker.report_wait_s,
        look_every_s=config.worker.look_every_s,
        is_outbound_on=config.is_outbound_on,
        wake_queue=parts.wake_queue,
    )
    return outbound.start_outbound(
        parts.store,
        Router(config.hostname, config.routing, Resolver(config.dns)),
        tenancy,
        reports,
        parts.redis,
        config.worker,
        config.exchange,
        hostname=config.hostname,
        is_on=config.is_outbound_on,
    )


def _smarthost_of(relay: RelayConfig) -> Smarthost | None:
    if relay.host is None:
        return None
    credentials = Credentials(relay.user, relay.password) if relay.user else None
    return Smarthost(relay.host.host, relay.host.port, relay.security, credentials, may_be_private=True)


async def start_upkeep(parts: Parts, _failed: Failed) -> Running:
    config = parts.config
    jobs = (
        *all_jobs(parts.store, parts.deliveries, config.delivery, keep_changes_days=config.upkeep.keep_changes_days),
        *queue_jobs(parts.store.database, events_kept_days=config.worker.events_kept_days),
        *release_jobs(parts.store, parts.recipients, parts.arrivals, parts.queueing),
        *retention_jobs(parts.store, parts.deliveries, hostname=config.hostname),
        *tier_jobs(parts.store, parts.objects, config.tiering, keep_doomed_days=config.objects.keep_doomed_days),
        *usage_jobs(parts.store.database),
        *verify_jobs(parts.store, parts.objects, config.verify),
        *hold_jobs(parts.store.database, parts.objects),
        *key_jobs(parts.store, parts.objects),
        *parts_jobs(parts.store),
        *index_jobs(parts.store, config.indexing),
        *upload_jobs(parts.store.database),
        *push_jobs(parts.store.database),
    )
    upkeep = Upkeep(parts.config.database.system_url, jobs, parts.config.upkeep)
    upkeep.start()
    indexer = Indexer(parts.store, parts.redis, config.indexing)
    indexer.start()
    return Several((upkeep, indexer))


START: dict[Role, Start] = {
    "imap": start_imap,
    "smtp": start_smtp,
    "web": start_web,
    "outbound": start_outbound,
    "upkeep": start_upkeep,
}
