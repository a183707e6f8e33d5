"""Several statements in one round trip are one transaction."""

import psycopg
import pytest

from storage.database import Database
from storage.query import Query, run_together
from tests.conftest import Company


async def test_all_of_them_happen_and_have_their_rows(database: Database, company: Company) -> None:
    async with database.read(company.tenant_id) as connection:
        rows = await run_together(connection, [(NUMBER, {"number": 1}), (NUMBER, {"number": 2}), (BACKEND, {})])
        assert rows[:2] == [[(1,)], [(2,)]]
        assert rows[2] == [(connection.pgconn.backend_pid,)]
        assert await run_together(connection, [(NUMBER, {"number": 3})]) == [[(3,)]]


async def test_a_bad_one_undoes_those_before_it(database: Database, company: Company) -> None:
    tenant_id = company.tenant_id
    with pytest.raises(psycopg.errors.DivisionByZero):
        async with database.read(tenant_id) as connection:
            await run_together(connection, [(MARK, {"tenant_id": tenant_id}), (QUOTIENT, {"by": 0})])
    async with database.read(tenant_id) as connection:
        cursor = await connection.execute("SELECT count(*) FROM account_state WHERE account_id = 424242")
        assert await cursor.fetchone() == (0,)


NUMBER = Query[tuple[int]]("SELECT %(number)s::integer")
QUOTIENT = Query[tuple[int]]("SELECT 1 / %(by)s::integer")
BACKEND = Query[tuple[int]]("SELECT pg_backend_pid()")
MARK = Query[None](
    "INSERT INTO account_state (tenant_id, account_id) VALUES (waypost_tenant(%(tenant_id)s::bigint), 424242)"
)
