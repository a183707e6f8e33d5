"""The only ways to a Postgres connection: `read`, `transaction`, `system`, `directory`.

A tenant sticks to a connection (a session-level setting that row-level security checks), and a checkout prefers a
connection that carries the tenant already: sending the setting along with each statement costs half of the reads.
Hence the rules:

* after any error, cancellation or timeout the connection is closed and never used again, for what it carries is not
  known; only a refusal of our own leaves it usable (StorageError, after its rollback succeeded; TenantsError of the
  directory, else each recipient of another system would cost a connection);
* the remembered tenant is set only after the server answered set_config;
* statements name their tenant through waypost_tenant(), which raises when the connection carries another.

Idle connections die when Postgres restarts. A checkout looks whether the server has hung up and drops such a
connection, so that the first statements after a restart are answered, not refused once for each connection of the pool.
"""

import asyncio
import contextlib
import select
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import TransactionStatus

from storage.errors import StorageError, StoreUnavailable
from storage.query import Connection, run
from tenants.errors import TenantsError
from tenants.types import TenantId

Result = TypeVar("Result")

_NOBODY = TenantId(0)  # what a connection carries before its first tenant; no tenant has the id 0
_RETRIED = (psycopg.errors.DeadlockDetected, psycopg.errors.SerializationFailure)
_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # the primary became a standby
    psycopg.errors.IdleInTransactionSessionTimeout,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Where Postgres is and how much of it one process may use."""

    app_url: str = field(metadata={"help": "libpq URL of the role waypost_app"})
    system_url: str = field(metadata={"help": "libpq URL of the role waypost_system"})
    max_connections: int = field(default=12, metadata={"help": "connections of one process as waypost_app"})
    connect_timeout_s: float = field(default=5.0, metadata={"help": "longest wait for a new connection"})
    checkout_timeout_s: float = field(default=10.0, metadata={"help": "longest wait for a free connection"})
    statement_timeout_s: float = field(default=60.0, metadata={"help": "longest run of one statement"})


class Database:
    """Pools of one process. Every method raises StoreUnavailable when Postgres cannot be reached or gives up."""

    def __init__(self, config: DatabaseConfig) -> None:
        self._app = _Pool(config, config.app_url, config.max_connections)
        self._system = _Pool(config, config.system_url, 2)

    async def open(self) -> None:
        """Reach Postgres once in each role."""
        for pool in (self._app, self._system):
            async with pool.connection(_NOBODY) as connection:
                await connection.execute("SELECT 1")

    async def close(self) -> None:
        await self._app.close()
        await self._system.close()

    def read(self, tenant_id: TenantId) -> contextlib.AbstractAsyncContextManager[Connection]:
        """Single statements, each its own transaction (autocommit)."""
        return self._app.connection(tenant_id)

    @contextlib.asynccontextmanager
    async def transaction(self, tenant_id: TenantId) -> AsyncIterator[Connection]:
        """Several statements in one transaction; it commits unless the block raises."""
        async with self._app.connection(tenant_id) as connection, _committing(connection):
            yield connection

    @contextlib.asynccontextmanager
    async def system(self) -> AsyncIterator[Connection]:
        """As waypost_system, in one transaction: work lists of upkeep, the hint poll, mail not yet of a tenant."""
        async with self._system.connection(_NOBODY) as connection, _committing(connection):
            yield connection

    def system_single(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """The same for one statement, which is a transaction of its own (autocommit)."""
        return self._system.connection(_NOBODY)

    def directory(self) -> contextlib.AbstractAsyncContextManager[Connection]:
        """For `tenants.directory`: it looks people up before a tenant is known, so it needs whatever tenant or
        none."""
        return self._app.any_connection()

    async def retried(self, work: Callable[[], Awaitable[Result]], attempts: int = 5) -> Result:
        """Run a whole transaction, again when Postgres chose it to end a deadlock (40P01, 40001)."""
        for attempt in range(1, attempts + 1):
            try:
                return await work()
            except StoreUnavailable as refusal:
                if attempt == attempts or not isinstance(refusal.__cause__, _RETRIED):
                    raise
                await asyncio.sleep(0.005 * attempt)
        raise AssertionError("unreachable")


class NotCommitted(Exception):
    """A block went on after a statement of its transaction had failed, so there was nothing left to commit: a bug."""


@contextlib.asynccontextmanager
async def _committing(connection: Connection) -> AsyncIterator[None]:
    """Raises NotCommitted: Postgres answers COMMIT with ROLLBACK, and no error, when a statement failed before."""
    await run(connection, b"BEGIN")
    try:
        yield
    except StorageError:
        await run(connection, b"ROLLBACK")
        raise
    if await run(connection, b"COMMIT") != b"COMMIT":
        raise NotCommitted


@dataclass(slots=True, eq=False)
class _Member:
    connection: Connection
    tenant_id: TenantId


class _Pool:
    """Idle connections by the tenant they carry, newest first; the least recently used one changes tenant when
    needed."""

    def __init__(self, config: DatabaseConfig, url: str, size: int) -> None:
        self._config = config
        self._url = url
        self._size = size
        self._count = 0
        self._idle: OrderedDict[_Member, None] = OrderedDict()
        self._by_tenant: dict[TenantId, list[_Member]] = {}
        self._waiting: deque[asyncio.Future[_Member | None]] = deque()
        self._closed = False

    def connection(self, tenant_id: TenantId) -> "_Loan":
        return _Loan(self, tenant_id)

    def any_connection(self) -> "_Loan":
        return _Loan(self, None)

    async def check_out(self, tenant_id: TenantId | None) -> _Member:
        if self._closed:
            raise StoreUnavailable("the process is stopping")
        while self._idle:
            member = self._take_idle(tenant_id)
            if not _has_hung_up(member.connection):
                return member
            member.connection.pgconn.finish()
            self._count -= 1
        if self._count < self._size:
            self._count += 1
            return await self._connect()
        waiter: asyncio.Future[_Member | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(self._config.checkout_timeout_s):
                given = await waiter
        except (TimeoutError, asyncio.CancelledError) as reason:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self._decline(waiter.result())
            if isinstance(reason, TimeoutError):
                raise StoreUnavailable("all database connections are busy") from None
            raise
        return given if given is not None else await self._connect()

    def _decline(self, given: _Member | None) -> None:
        """Pass on what was given to somebody who no longer waits: a connection, or room for one."""
        if given is not None:
            self.give_back(given)
        else:
            self._leave_room()

    def _take_idle(self, tenant_id: TenantId | None) -> _Member:
        carrying = self._by_tenant.get(tenant_id) if tenant_id is not None else None
        if carrying:
            member = carrying[-1]
        elif tenant_id is None:
            member = next(reversed(self._idle))
        else:
            member = next(iter(self._idle))
        del self._idle[member]
        siblings = self._by_tenant[member.tenant_id]
        siblings.remove(member)
        if not siblings:
            del self._by_tenant[member.tenant_id]
        return member

    async def _connect(self) -> _Member:
        """Open a connection in room that is already counted."""
        try:
            async with asyncio.timeout(self._config.connect_timeout_s):
                connection = await AsyncConnection.connect(
                    self._url,
                    autocommit=True,
                    prepare_threshold=2,
                    application_name="waypost",
                    keepalives_idle=30,
                    keepalives_interval=10,
                    keepalives_count=3,
                    tcp_user_timeout=30_000,  # ms: a server that vanished without a word is given up
                    options=f"-c statement_timeout={int(self._config.statement_timeout_s * 1000)}"
                    " -c idle_in_transaction_session_timeout=60000 -c plan_cache_mode=force_generic_plan",
                )
        except BaseException:
            self._leave_room()
            raise
        return _Member(connection, _NOBODY)

    def give_back(self, member: _Member) -> None:
        if self._closed or member.connection.closed:
            self.discard(member)
            return
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(member)
                return
        self._idle[member] = None
        self._by_tenant.setdefault(member.tenant_id, []).append(member)

    def discard(self, member: _Member) -> None:
        member.connection.pgconn.finish()  # at once: a close that waits could wait for a server that is gone
        self._leave_room()

    def _leave_room(self) -> None:
        """A connection is gone: one who waits may open another, in its room."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self._count -= 1

    async def close(self) -> None:
        self._closed = True
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_exception(StoreUnavailable("the process is stopping"))
        self._waiting.clear()
        for member in list(self._idle):
            await member.connection.close()
        self._idle.clear()
        self._by_tenant.clear()


class _Loan:
    """A connection out of the pool, for the time of an `async with`. Every statement pays for this, so it is no
    generator."""

    __slots__ = ("_member", "_pool", "_tenant_id")

    def __init__(self, pool: _Pool, tenant_id: TenantId | None) -> None:
        self._pool = pool
        self._tenant_id = tenant_id
        self._member: _Member | None = None

    async def __aenter__(self) -> Connection:
        tenant_id = self._tenant_id
        try:
            member = await self._pool.check_out(tenant_id)
            if tenant_id is not None and member.tenant_id != tenant_id:
                await self._carry(member, tenant_id)
        except _UNAVAILABLE as reason:
            raise StoreUnavailable(type(reason).__name__) from reason
        self._member = member
        return member.connection

    async def _carry(self, member: _Member, tenant_id: TenantId) -> None:
        try:
            await member.connection.execute(
                "SELECT set_config('waypost.tenant', %s, false)",
                (str(tenant_id) if tenant_id else "",),
                prepare=True,
            )
        except BaseException:
            self._pool.discard(member)
            raise
        member.tenant_id = tenant_id

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        member = self._member
        assert member is not None
        is_clean = error is None or isinstance(error, (StorageError, TenantsError))
        if is_clean and member.connection.pgconn.transaction_status == TransactionStatus.IDLE:
            self._pool.give_back(member)
        else:
            self._pool.discard(member)
        if isinstance(error, _UNAVAILABLE):
            raise StoreUnavailable(type(error).__name__) from error


def _has_hung_up(connection: Connection) -> bool:
    """Whether an idle connection is dead: what can be read there is the server's farewell.

    (Or, once in a while, word of a changed setting; opening another connection then costs less than looking closer.)
    """
    if connection.closed:
        return True
    poll = select.poll()
    poll.register(connection.pgconn.socket, select.POLLIN)
    return bool(poll.poll(0))
