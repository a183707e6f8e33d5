"""What mail takes in each tier, measured once a day.

Of a tenant every blob counts once, which is what it costs: hot content by its days, the rest by objects. Of an account
all that its messages refer to counts, as if nothing were shared; so accounts together may come to more than their
tenant, and the difference is what equal attachments save.

An account of millions of messages is read in pages, in no transaction: who delivers meanwhile waits for nothing, and
what came or went in between is off by that.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, fields
from datetime import date

from storage.database import Database
from storage.query import Query
from tenants.types import TenantId

PAGE_MESSAGES = 2_000
DAILY_FOR_DAYS = 90
WEEKLY_FOR_DAYS = 730
_THINNED_LATE_DAYS = 400  # so long upkeep may have stood still, and all that passed the edge is thinned yet
_WHOLE_TENANT = 0
_SHARE_OF_TIME = 0.5  # as long as a page took, so long the next one waits


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Day:
    day: date


@dataclass(frozen=True, slots=True)
class _NextDay:
    day: date | None


@dataclass(frozen=True, slots=True)
class _Page:
    last_id: int
    messages: int
    octets: int
    hot_octets: int
    cold_octets: int
    part_octets: int
    row_octets: int


@dataclass(frozen=True, slots=True)
class _Octets:
    octets: int


@dataclass(frozen=True, slots=True)
class _Objects:
    cold_octets: int
    part_octets: int
    all_octets: int


@dataclass(frozen=True, slots=True)
class _Known:
    messages: int
    octets: int
    row_octets: int


@dataclass(slots=True)
class Measured:
    """The sums of an account or a tenant, by the names of the columns."""

    messages: int = 0
    octets: int = 0
    hot_octets: int = 0
    cold_octets: int = 0
    part_octets: int = 0
    dead_octets: int = 0
    row_octets: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """What a run came to: accounts and messages that were measured, and whether any were left for the next run."""

    accounts: int
    messages: int
    is_complete: bool


_TODAY = Query("SELECT CURRENT_DATE AS day WHERE waypost_tenant(%(tenant_id)s) IS NOT NULL", row=_Day)
_UNMEASURED = Query(
    """
    SELECT a.account_id AS id FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND (SELECT 1 FROM tier_usage t
             WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id AND t.day = %(day)s) IS NULL
     ORDER BY a.account_id
    """,
    row=_Id,
)
_PAGE = Query(
    """
    SELECT coalesce(max(m.id), 0) AS last_id, count(*) AS messages, coalesce(sum(m.octets), 0)::bigint AS octets,
           coalesce(sum(u.hot), 0)::bigint AS hot_octets, coalesce(sum(u.cold), 0)::bigint AS cold_octets,
           coalesce(sum(u.part), 0)::bigint AS part_octets, coalesce(sum(m.row_octets), 0)::bigint AS row_octets
      FROM (
          SELECT m.tenant_id, m.id, m.octets,
                 128 + pg_column_size(m.header) + pg_column_size(m.segments) + pg_column_size(m.structure)
                     + pg_column_size(m.envelope) + pg_column_size(m.bodystructure) + pg_column_size(m.subject)
                     + pg_column_size(m.base_subject) + pg_column_size(m.sender) + pg_column_size(m.recipients)
                     + pg_column_size(m.preview) AS row_octets
            FROM message m
           WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
             AND m.id > %(after)s
           ORDER BY m.id LIMIT %(limit)s) m
     CROSS JOIN LATERAL (
          SELECT sum(b.stored_octets) FILTER (WHERE b.object_id IS NULL) AS hot,
                 sum(b.stored_octets) FILTER (WHERE o.kind = 1) AS cold,
                 sum(b.stored_octets) FILTER (WHERE o.kind = 2) AS part
            FROM message_blob r
            JOIN blob b ON b.tenant_id = r.tenant_id AND b.digest = r.digest
            LEFT JOIN object o ON o.tenant_id = b.tenant_id AND o.id = b.object_id
           WHERE r.tenant_id = m.tenant_id AND r.message_id = m.id) u
    """,
    row=_Page,
)
_NEXT_HOT_DAY = Query(
    """
    SELECT min(b.content_on) AS day FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id IS NULL AND b.content_on > %(after)s
    """,
    row=_NextDay,
)
_HOT_OF_DAY = Query(
    """
    SELECT coalesce(sum(b.stored_octets), 0)::bigint AS octets FROM blob b
     WHERE b.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND b.object_id IS NULL AND b.content_on = %(day)s
    """,
    row=_Octets,
)
_OBJECTS = Query(
    """
    SELECT coalesce(sum(o.live_octets) FILTER (WHERE o.kind = 1 AND o.state = 1), 0)::bigint AS cold_octets,
           coalesce(sum(o.live_octets) FILTER (WHERE o.kind = 2 AND o.state = 1), 0)::bigint AS part_octets,
           coalesce(sum(o.octets), 0)::bigint AS all_octets
      FROM object o WHERE o.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
    """,
    row=_Objects,
)
_ACCOUNTS = Query(
    """
    SELECT coalesce(sum(a.used_messages + a.binned_messages), 0)::bigint AS messages,
           coalesce(sum(a.used_octets + a.binned_octets), 0)::bigint AS octets,
           coalesce(sum(t.row_octets), 0)::bigint AS row_octets
      FROM account_state a
      LEFT JOIN LATERAL (
          SELECT t.row_octets FROM tier_usage t
           WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id ORDER BY t.day DESC LIMIT 1) t ON true
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
    """,
    row=_Known,
)
_SAVE = Query[None](
    """
    INSERT INTO tier_usage (
        tenant_id, account_id, day, messages, octets, hot_octets, cold_octets, part_octets, dead_octets, row_octets)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(day)s, %(messages)s, %(octets)s, %(hot_octets)s,
            %(cold_octets)s, %(part_octets)s, %(dead_octets)s, %(row_octets)s)
    ON CONFLICT (tenant_id, account_id, day) DO UPDATE
       SET messages = EXCLUDED.messages, octets = EXCLUDED.octets, hot_octets = EXCLUDED.hot_octets,
           cold_octets = EXCLUDED.cold_octets, part_octets = EXCLUDED.part_octets,
           dead_octets = EXCLUDED.dead_octets, row_octets = EXCLUDED.row_octets
    """
)
_THIN = Query[None](
    """
    DELETE FROM tier_usage t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s))
       AND t.day >= %(day)s::date - %(daily)s::integer - %(late)s::integer
       AND t.day < %(day)s::date - %(daily)s::integer
       AND extract(isodow FROM t.day) <> 1
    """
)
_FORGET = Query[None](
    """
    DELETE FROM tier_usage t
     WHERE t.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND t.day < %(day)s::date - %(weekly)s::integer
    """
)


async def measure(database: Database, tenant_id: TenantId, *, most_messages: int, is_unhurried: bool = True) -> Done:
    """Today's rows of a tenant and of its accounts, as far as `most_messages` reach; an account that was begun is
    finished. Accounts that have their row of today already are left out; the tenant's is written anew each time.

    Raises StoreUnavailable.
    """
    async with database.read(tenant_id) as connection:
        today = (await _TODAY.one(connection, tenant_id=tenant_id)).day
        unmeasured = [row.id for row in await _UNMEASURED.all(connection, tenant_id=tenant_id, day=today)]
    accounts = messages = 0
    for account_id in _from_another_one_each_day(unmeasured, today):
        if messages >= most_messages:
            break
        measured = await _measure_account(database, tenant_id, account_id, is_unhurried=is_unhurried)
        await _save(database, tenant_id, account_id, today, measured)
        accounts += 1
        messages += measured.messages
    await _save(database, tenant_id, _WHOLE_TENANT, today, await _measure_tenant(database, tenant_id))
    return Done(accounts, messages, is_complete=accounts == len(unmeasured))


async def thin(database: Database, tenant_id: TenantId) -> int:
    """Of what is older than DAILY_FOR_DAYS only Mondays stay, and those for WEEKLY_FOR_DAYS. Returns how many went."""
    async with database.read(tenant_id) as connection:
        today = (await _TODAY.one(connection, tenant_id=tenant_id)).day
        thinned = await _THIN.execute(
            connection, tenant_id=tenant_id, day=today, daily=DAILY_FOR_DAYS, late=_THINNED_LATE_DAYS
        )
        return thinned + await _FORGET.execute(connection, tenant_id=tenant_id, day=today, weekly=WEEKLY_FOR_DAYS)


def _from_another_one_each_day(accounts: Sequence[int], day: date) -> Sequence[int]:
    """So that nobody is always among those that were left."""
    if not accounts:
        return accounts
    first = day.toordinal() * 2_654_435_761 % len(accounts)
    return [*accounts[first:], *accounts[:first]]


async def _measure_account(database: Database, tenant_id: TenantId, account_id: int, *, is_unhurried: bool) -> Measured:
    measured = Measured()
    async for page in _pages(database, tenant_id, account_id, is_unhurried=is_unhurried):
        measured.messages += page.messages
        measured.octets += page.octets
        measured.hot_octets += page.hot_octets
        measured.cold_octets += page.cold_octets
        measured.part_octets += page.part_octets
        measured.row_octets += page.row_octets
    return measured


async def _pages(
    database: Database, tenant_id: TenantId, account_id: int, *, is_unhurried: bool
) -> AsyncIterator[_Page]:
    after = 0
    while True:
        began = time.monotonic()
        async with database.read(tenant_id) as connection:
            page = await _PAGE.one(
                connection, tenant_id=tenant_id, account_id=account_id, after=after, limit=PAGE_MESSAGES
            )
        yield page
        if page.messages < PAGE_MESSAGES:
            return
        after = page.last_id
        if is_unhurried:
            await asyncio.sleep((time.monotonic() - began) * (1 / _SHARE_OF_TIME - 1))


async def _measure_tenant(database: Database, tenant_id: TenantId) -> Measured:
    hot = 0
    day = date(1970, 1, 1)
    async with database.read(tenant_id) as connection:
        while (found := (await _NEXT_HOT_DAY.one(connection, tenant_id=tenant_id, after=day)).day) is not None:
            hot += (await _HOT_OF_DAY.one(connection, tenant_id=tenant_id, day=found)).octets
            day = found
        objects = await _OBJECTS.one(connection, tenant_id=tenant_id)
        known = await _ACCOUNTS.one(connection, tenant_id=tenant_id)
    return Measured(
        messages=known.messages,
        octets=known.octets,
        hot_octets=hot,
        cold_octets=objects.cold_octets,
        part_octets=objects.part_octets,
        dead_octets=objects.all_octets - objects.cold_octets - objects.part_octets,
        row_octets=known.row_octets,
    )


async def _save(database: Database, tenant_id: TenantId, account_id: int, day: date, measured: Measured) -> None:
    values = {field.name: getattr(measured, field.name) for field in fields(Measured)}
    async with database.read(tenant_id) as connection:
        await _SAVE.execute(connection, tenant_id=tenant_id, account_id=account_id, day=day, **values)
