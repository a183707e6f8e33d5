"""SQL written as SQL, beside the one function that runs it, with the shape of its rows.

A `Query` is text with `%(name)s` parameters and the frozen dataclass its rows become. Every Query registers itself: so
one test can prepare all of them against the migrated schema and compare columns, types and plans.

A statement is prepared on each connection when it is first used there, and then run through libpq without a cursor:
that is half the Python of one. Results are read by psycopg's loaders.
"""

import asyncio
import contextlib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

import psycopg
from psycopg import AsyncConnection, AsyncCursor, abc
from psycopg.abc import PQGen
from psycopg.adapt import Transformer
from psycopg.errors import error_from_result
from psycopg.generators import execute, fetch_many
from psycopg.pq import ExecStatus, Format
from psycopg.pq.abc import PGresult
from psycopg.waiting import Ready, Wait

from storage.parameters import DUMPS, Dump

Row = TypeVar("Row")
Connection = AsyncConnection[tuple[Any, ...]]
REGISTERED: list["Query[Any]"] = []

_prepared: "WeakKeyDictionary[Connection, dict[Query[Any], abc.Transformer]]" = WeakKeyDictionary()
"""What each connection has ready, with what reads its results."""

_NAME = re.compile(r"%\((\w+)\)s|%%")
_BINARY = Format.BINARY
_CANCEL_S = 5.0
_FAILED = (ExecStatus.FATAL_ERROR, ExecStatus.BAD_RESPONSE, ExecStatus.EMPTY_QUERY)


class Query(Generic[Row]):
    """One statement. `scans` names tables whose sequential scan is meant (system work lists over small tables)."""

    __slots__ = ("_dumps", "_formats", "_make", "_name", "_names", "_numbered", "role", "row", "scans", "sql")

    def __init__(
        self, sql: str, *, row: type[Row] | None = None, role: str = "waypost_app", scans: Sequence[str] = ()
    ) -> None:
        self.sql = sql.encode()
        self.row = row
        self.role = role
        self.scans = tuple(scans)
        self._names = tuple(dict.fromkeys(name for name in _NAME.findall(sql) if name))
        numbers = {name: f"${number}" for number, name in enumerate(self._names, start=1)}
        self._numbered = _NAME.sub(lambda found: numbers.get(found[1], "%"), sql).encode()
        self._name = b"waypost_%d" % len(REGISTERED)
        self._dumps: tuple[Dump, ...] | None = None
        self._formats = (_BINARY,) * len(self._names)
        self._make: Callable[[Sequence[Any]], Any] = _positional(row) if row is not None else tuple
        REGISTERED.append(self)

    async def execute(self, connection: Connection, **values: Any) -> int:
        """Run it for its effect; returns how many rows it touched."""
        result = await self._run(connection, values)
        return result.command_tuples or 0

    async def all(self, connection: Connection, **values: Any) -> list[Row]:
        result = await self._run(connection, values)
        return self._rows(connection, result, self._make)

    async def tuples(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """The rows as they come, in the order of the fields of `row`: for results of many thousands."""
        result = await self._run(connection, values)
        return self._rows(connection, result, tuple)

    async def one(self, connection: Connection, **values: Any) -> Row:
        """The row of a statement that always gives one."""
        row = await self.first(connection, **values)
        assert row is not None
        return row

    async def first(self, connection: Connection, **values: Any) -> Row | None:
        result = await self._run(connection, values)
        rows = self._rows(connection, result, self._make)
        return rows[0] if rows else None

    async def send(self, connection: Connection, **values: Any) -> AsyncCursor[Row]:
        """Inside a pipeline: hand the statement over; its rows can be fetched after the pipeline has ended."""
        cursor: AsyncCursor[Any] = connection.cursor(binary=True, row_factory=lambda _: self._make)
        await cursor.execute(self.sql, values, prepare=True)
        return cursor

    async def _run(self, connection: Connection, values: dict[str, Any]) -> PGresult:
        if self not in _ready_on(connection):
            await self._prepare(connection)
        self._hand_over(connection, values)
        return await _result(connection)

    def _hand_over(self, connection: Connection, values: Mapping[str, Any]) -> None:
        assert self._dumps is not None
        arguments = [
            None if (value := values[name]) is None else dump(value)
            for name, dump in zip(self._names, self._dumps, strict=True)
        ]
        connection.pgconn.send_query_prepared(self._name, arguments, self._formats, result_format=_BINARY)

    async def _prepare(self, connection: Connection) -> None:
        pgconn = connection.pgconn
        pgconn.send_prepare(self._name, self._numbered)
        await _result(connection)
        if self._dumps is None:
            pgconn.send_describe_prepared(self._name)
            described = await _result(connection)
            self._dumps = tuple(DUMPS[described.param_type(at)] for at in range(described.nparams))
        _ready_on(connection)[self] = Transformer(connection)

    def _rows(self, connection: Connection, result: PGresult, make: Callable[[Sequence[Any]], Any]) -> list[Any]:
        reader = _prepared[connection][self]
        reader.set_pgresult(result, format=_BINARY)
        rows: list[Any] = reader.load_rows(0, result.ntuples, make)
        reader.set_pgresult(None)
        return rows


def _ready_on(connection: Connection) -> "dict[Query[Any], abc.Transformer]":
    found = _prepared.get(connection)
    if found is None:
        found = _prepared[connection] = {}
    return found


async def run_together(
    connection: Connection, statements: Sequence[tuple[Query[Any], Mapping[str, Any]]]
) -> list[list[Any]]:
    """Several statements in one round trip and one transaction, which has ended when this returns: the rows of each.

    Raises what Postgres refused the first bad one with; then none of them happened. (A libpq pipeline with one Sync at
    its end is one transaction: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING)
    """
    for query, _ in statements:
        if query not in _ready_on(connection):
            await query._prepare(connection)
    pgconn = connection.pgconn
    pgconn.enter_pipeline_mode()
    for query, values in statements:
        query._hand_over(connection, values)
    pgconn.pipeline_sync()
    results = [await _waited(connection, execute(pgconn))]
    results += [await _waited(connection, fetch_many(pgconn)) for _ in statements]
    pgconn.exit_pipeline_mode()
    for result in results:
        _check(result)
    return [
        query._rows(connection, result[-1], query._make)
        for (query, _), result in zip(statements, results[:-1], strict=True)
    ]


async def run(connection: Connection, statement: bytes) -> bytes | None:
    """A statement without parameters or rows, such as BEGIN. Returns its command tag, which tells what was done."""
    connection.pgconn.send_query(statement)
    return (await _result(connection)).command_status


async def _result(connection: Connection) -> PGresult:
    """What became of the statement that was sent. Raises what Postgres refused it with."""
    results = await _waited(connection, execute(connection.pgconn))
    _check(results)
    return results[-1]


def _check(results: Sequence[PGresult]) -> None:
    for result in results:
        if result.status in _FAILED:
            raise error_from_result(result, encoding="utf-8")


async def _waited(connection: Connection, steps: PQGen[list[PGresult]]) -> list[PGresult]:
    """What psycopg's generator comes to.

    When the waiting is cancelled the statement is too. The connection is not to be used afterwards (`database`).
    """
    loop = asyncio.get_running_loop()
    socket = connection.pgconn.socket
    try:
        wanted = next(steps)
        while True:
            wanted = steps.send(await _readiness(loop, socket, wanted))
    except StopIteration as done:
        results: list[PGresult] = done.value
        return results
    except asyncio.CancelledError:
        with contextlib.suppress(psycopg.Error, OSError):
            await connection.cancel_safe(timeout=_CANCEL_S)
        raise


async def _readiness(loop: asyncio.AbstractEventLoop, socket: int, wanted: Wait) -> Ready:
    """When the socket can be read, or written if that is wanted."""
    ready: asyncio.Future[Ready] = loop.create_future()
    loop.add_reader(socket, _tell, ready, Ready.R)
    if wanted & Wait.W:
        loop.add_writer(socket, _tell, ready, Ready.W)
    try:
        return await ready
    finally:
        loop.remove_reader(socket)
        if wanted & Wait.W:
            loop.remove_writer(socket)


def _tell(ready: "asyncio.Future[Ready]", state: Ready) -> None:
    if not ready.done():
        ready.set_result(state)


def _positional(row: type[Row]) -> Callable[[Sequence[Any]], Row]:
    """Rows by position: the schema test has compared the columns' names and order with the fields."""

    def make(values: Sequence[Any]) -> Row:
        return row(*values)

    return make
