"""SQL written as SQL, beside the one function that runs it, with the shape of its rows.

A `Query` is text with `%(name)s` parameters and the frozen dataclass its rows become. Every Query registers itself: so
one test can prepare all of them against the migrated schema and compare columns, types and plans.
"""

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from psycopg import AsyncConnection, AsyncCursor

Row = TypeVar("Row")
Connection = AsyncConnection[tuple[Any, ...]]
REGISTERED: list["Query[Any]"] = []


class Query(Generic[Row]):
    """One statement. `scans` names tables whose sequential scan is meant (system work lists over small tables)."""

    __slots__ = ("_factory", "role", "row", "scans", "sql")

    def __init__(
        self, sql: str, *, row: type[Row] | None = None, role: str = "waypost_app", scans: Sequence[str] = ()
    ) -> None:
        self.sql = sql.encode()
        self.row = row
        self.role = role
        self.scans = tuple(scans)
        self._factory = _positional(row) if row is not None else None
        REGISTERED.append(self)

    async def execute(self, connection: Connection, **values: Any) -> int:
        """Run it for its effect; returns how many rows it touched."""
        cursor = await connection.execute(self.sql, values, prepare=True, binary=True)
        return cursor.rowcount

    async def all(self, connection: Connection, **values: Any) -> list[Row]:
        async with self._cursor(connection) as cursor:
            await cursor.execute(self.sql, values, prepare=True)
            return await cursor.fetchall()

    async def tuples(self, connection: Connection, **values: Any) -> list[tuple[Any, ...]]:
        """The rows as they come, in the order of the fields of `row`: for results of many thousands."""
        async with connection.cursor(binary=True) as cursor:
            await cursor.execute(self.sql, values, prepare=True)
            return await cursor.fetchall()

    async def one(self, connection: Connection, **values: Any) -> Row:
        """The row of a statement that always gives one."""
        row = await self.first(connection, **values)
        assert row is not None
        return row

    async def first(self, connection: Connection, **values: Any) -> Row | None:
        async with self._cursor(connection) as cursor:
            await cursor.execute(self.sql, values, prepare=True)
            return await cursor.fetchone()

    async def send(self, connection: Connection, **values: Any) -> AsyncCursor[Row]:
        """Inside a pipeline: hand the statement over; its rows can be fetched after the pipeline has ended."""
        cursor = self._cursor(connection)
        await cursor.execute(self.sql, values, prepare=True)
        return cursor

    def _cursor(self, connection: Connection) -> AsyncCursor[Row]:
        if self._factory is None:
            return connection.cursor(binary=True)  # type: ignore[return-value]
        return connection.cursor(binary=True, row_factory=self._factory)


def _positional(row: type[Row]) -> Callable[[AsyncCursor[Any]], Callable[[Sequence[Any]], Row]]:
    """Rows by position: the schema test has compared the columns' names and order with the fields."""

    def make(values: Sequence[Any]) -> Row:
        return row(*values)

    def factory(_cursor: AsyncCursor[Any]) -> Callable[[Sequence[Any]], Row]:
        return make

    return factory
