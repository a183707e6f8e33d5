"""Opens connections to the hosts of a site: address after address, families side by side, TLS and without.

What was learnt is kept for a while: an address that could not be reached is tried after the others, and a host whose
TLS failed is talked to in clear, where TLS is no must.
"""

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable
from functools import cached_property

from mailserver.observability.logs import get_logger
from mailserver.outbound import tls_contexts
from mailserver.outbound.channel import Channel, Interrupted
from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.connection import Connection, Route, TlsFailed
from mailserver.outbound.metrics import CONNECTIONS
from mailserver.outbound.outcomes import Deferred, Failed, Reason, of_fact, of_several
from mailserver.outbound.sites import Security, Site
from mailserver.outbound.wire.opening import Welcome
from mailserver.outbound.wire.reply_reader import ReplyReader
from mailserver.outbound.wire.steps import Unwelcome
from mailserver.tasks import end_task

REMEMBERED_LIMIT = 5_000

log = get_logger()


class NoConnection(Exception):
    """None of the addresses led to a host that takes mail from us."""

    def __init__(self, outcome: Deferred | Failed) -> None:
        super().__init__(str(outcome.reply))
        self.outcome = outcome


class Connector:
    """`hostname` is what we say in EHLO."""

    def __init__(self, hostname: str, config: ExchangeConfig) -> None:
        self._hostname = hostname
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._unreachable = _Memory(config.shun_s, self._loop.time)
        self._without_tls = _Memory(config.clear_text_s, self._loop.time)

    def routes(self, site: Site) -> list[Route]:
        """The addresses to try, in order."""
        routes = [Route(host.name, address, site.port) for host in site.hosts for address in host.addresses]
        routes.sort(key=lambda route: route in self._unreachable)
        return routes[: self._config.addresses_limit]

    async def open(self, site: Site, routes: list[Route]) -> Connection:
        """Tries the routes and takes off those that led nowhere. Raises NoConnection."""
        outcome: Deferred | Failed | None = None
        while routes:
            try:
                return await self._open_next(site, routes)
            except NoConnection as failure:
                CONNECTIONS.labels(failure.outcome.reason.replace(" ", "_")).inc()
                outcome = of_several(outcome, failure.outcome)
        raise NoConnection(outcome or of_fact(Reason.UNREACHABLE, site.key))

    async def _open_next(self, site: Site, routes: list[Route]) -> Connection:
        first = routes.pop(0)
        second = routes[0] if routes and _is_other_family(first, routes[0]) else None
        route, channel = await self._connect(site, first, second)
        if route is second:
            routes.pop(0)
        security = site.security
        if security is Security.OPPORTUNISTIC and route in self._without_tls:
            security = Security.NONE
        try:
            connection = await self._greet(site, route, channel, security)
        except TlsFailed as failure:
            if security is not Security.OPPORTUNISTIC:
                raise self._no_tls(route, failure.reason) from None
            log.info("TLS failed, going on in clear", host=route.host, address=route.address, reason=failure.reason)
            self._without_tls.add(route)
            connection = await self._greet(site, route, await self._connect_to(site, route), Security.NONE)
        routes.insert(0, route)
        CONNECTIONS.labels("tls" if connection.tls else "clear").inc()
        return connection

    async def _greet(self, site: Site, route: Route, channel: Channel, security: Security) -> Connection:
        """Raises NoConnection, TlsFailed."""
        connection = Connection(channel, route, self._config)
        is_encrypted = security is Security.IMPLICIT
        welcome = Welcome(self._hostname, route.host, security, site.credentials, is_encrypted, site.is_smarthost)
        try:
            await connection.open(welcome, self._context(security))
        except Unwelcome as unwelcome:
            raise NoConnection(unwelcome.outcome) from None
        except Interrupted as interrupted:
            fact = of_fact(interrupted.reason, interrupted.detail, host=route.host)
            raise NoConnection(fact) from None
        return connection

    async def _connect(self, site: Site, first: Route, second: Route | None) -> tuple[Route, Channel]:
        """The first that answers; the second, of the other family, starts a little later (RFC 8305 §5)."""
        if second is None:
            return first, await self._connect_to(site, first)
        tasks = {asyncio.create_task(self._connect_to(site, first)): first}
        try:
            await asyncio.wait(tasks, timeout=self._config.head_start_s)
            ahead = next(iter(tasks))
            if not ahead.done():
                tasks[asyncio.create_task(self._connect_to(site, second))] = second
            while True:
                done, waiting = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                won = [task for task in done if task.exception() is None]
                if won:
                    return tasks.pop(won[0]), won[0].result()
                if not waiting:
                    raise done.pop().exception() or AssertionError
                for task in done:
                    tasks.pop(task)
        finally:
            for task in tasks:
                await end_task(task)
                if not task.cancelled() and task.exception() is None:
                    task.result().abort()

    async def _connect_to(self, site: Site, route: Route) -> Channel:
        """Raises NoConnection."""
        is_implicit = site.security is Security.IMPLICIT
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                _, channel = await self._loop.create_connection(
                    self._new_channel,
                    route.address,
                    route.port,
                    ssl=self._context(site.security) if is_implicit else None,
                    server_hostname=route.host if is_implicit else None,
                )
        except ssl.SSLError as error:
            raise self._no_tls(route, error.reason or "") from None
        except OSError as error:
            self._unreachable.add(route)
            why = "no answer" if isinstance(error, TimeoutError) else error.strerror or type(error).__name__
            fact = of_fact(Reason.UNREACHABLE, f"{route.host} [{route.address}]: {why}", host=route.host)
            raise NoConnection(fact) from None
        self._unreachable.discard(route)
        return channel

    def _new_channel(self) -> Channel:
        return Channel(ReplyReader(self._config.reply_line_limit_octets, self._config.reply_limit_octets))

    def _no_tls(self, route: Route, reason: str) -> NoConnection:
        return NoConnection(of_fact(Reason.TLS_FAILED, f"{route.host}: {reason}", host=route.host))

    def _context(self, security: Security) -> ssl.SSLContext | None:
        match security:
            case Security.OPPORTUNISTIC:
                return self._opportunistic
            case Security.REQUIRED | Security.IMPLICIT:
                return self._verifying
            case Security.NONE:
                return None

    @cached_property
    def _opportunistic(self) -> ssl.SSLContext:
        return tls_contexts.opportunistic()

    @cached_property
    def _verifying(self) -> ssl.SSLContext:
        return tls_contexts.verifying(self._config.ca_file)


class _Memory:
    """Routes that something is known of for some time; the oldest go first when there are many."""

    def __init__(self, holds_s: float, clock: Callable[[], float]) -> None:
        self._holds_s = holds_s
        self._clock = clock
        self._until: OrderedDict[Route, float] = OrderedDict()

    def __contains__(self, route: Route) -> bool:
        return self._until.get(route, 0.0) > self._clock()

    def add(self, route: Route) -> None:
        self._until[route] = self._clock() + self._holds_s
        self._until.move_to_end(route)
        while len(self._until) > REMEMBERED_LIMIT:
            self._until.popitem(last=False)

    def discard(self, route: Route) -> None:
        self._until.pop(route, None)


def _is_other_family(first: Route, second: Route) -> bool:
    return first.host == second.host and (":" in first.address) != (":" in second.address)
