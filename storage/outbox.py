"""The queue of mail for other systems: leasing, renewing, settling; what puts into it is `outgoing_enqueue`.

A lease is committed before anybody connects, and raises the row's token: whoever settles with an older one (its lease
ran out and another process has the row) settles nothing. So a recipient is sent to twice only if its process ended, or
was kept from Postgres for longer than the lease, between the other host's 250 and the commit of `settle`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.database import Database
from storage.outgoing_types import (
    BodyKind,
    Lane,
    LeasedRecipient,
    Notify,
    OutgoingId,
    QueuedMessage,
    ReturnContent,
    Settlement,
)
from storage.query import Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane with mail in it. `due_at` is when its next recipient may be tried; None: all are leased."""

    tenant_id: int
    domain: str
    due_at: datetime | None


@dataclass(frozen=True, slots=True)
class MessageRow:
    tenant_id: int
    outgoing_id: int
    account_id: int | None
    reverse_path: str
    envelope_id: str | None
    return_content: int | None
    needs_utf8: bool
    body: int
    octets: int
    queued_at: datetime
    content_name: bytes
    future_release: str | None


@dataclass(frozen=True, slots=True)
class _LeasedRow(MessageRow):
    ordinal: int
    token: int
    address: str
    domain: str
    original_recipient: str | None
    notify: int | None
    attempts: int
    waits_since: datetime
    is_delay_told: bool
    unsettled_leases: int


@dataclass(frozen=True, slots=True)
class _Place:
    n: int


_LET_GO = Query[None](
    """
    UPDATE outgoing_recipient SET leased_until = NULL
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND outgoing_id = %(id)s AND token = 0
    """
)
_WITHDRAW = Query[None]("SELECT withdraw_v1(%(tenant_id)s, %(id)s)")
_DUE_LANES = Query(
    """
    WITH RECURSIVE lane AS (
        (SELECT r.tenant_id, r.domain FROM outgoing_recipient r
          WHERE r.state = 0 AND (r.tenant_id, r.domain) > (%(tenant_id)s, %(domain)s)
          ORDER BY r.tenant_id, r.domain LIMIT 1)
        UNION ALL
        SELECT n.tenant_id, n.domain FROM lane l CROSS JOIN LATERAL (
            SELECT r.tenant_id, r.domain FROM outgoing_recipient r
             WHERE r.state = 0 AND (r.tenant_id, r.domain) > (l.tenant_id, l.domain)
             ORDER BY r.tenant_id, r.domain LIMIT 1) n
    )
    SELECT l.tenant_id, l.domain, (
               SELECT r.next_attempt_at FROM outgoing_recipient r
                WHERE r.tenant_id = l.tenant_id AND r.domain = l.domain AND r.state = 0
                  AND (r.leased_until IS NULL OR r.leased_until < now())
                ORDER BY r.next_attempt_at LIMIT 1) AS due_at
      FROM (SELECT tenant_id, domain FROM lane LIMIT %(limit)s) l
    """,
    row=DueLane,
    role="waypost_system",
)
_LEASE = Query(
    """
    WITH chosen AS MATERIALIZED (
        SELECT c.tenant_id, c.outgoing_id, c.ordinal
          FROM unnest(%(tenant_ids)s::bigint[], %(domains)s::text[], %(rooms)s::integer[])
               AS w (tenant_id, domain, room)
         CROSS JOIN LATERAL (
               SELECT r.tenant_id, r.outgoing_id, r.ordinal FROM outgoing_recipient r
                WHERE r.tenant_id = w.tenant_id AND r.domain = w.domain AND r.state = 0
                  AND r.next_attempt_at <= now() AND (r.leased_until IS NULL OR r.leased_until < now())
                ORDER BY r.next_attempt_at LIMIT w.room FOR UPDATE SKIP LOCKED) c
    ), leased AS (
        UPDATE outgoing_recipient r
           SET token = r.token + 1, leased_until = now() + make_interval(secs => %(lease_s)s),
               unsettled_leases = least(r.unsettled_leases + 1, 1000)
          FROM chosen c
         WHERE r.tenant_id = c.tenant_id AND r.outgoing_id = c.outgoing_id AND r.ordinal = c.ordinal
        RETURNING r.tenant_id, r.outgoing_id, r.ordinal, r.token, r.address, r.domain, r.original_recipient, r.notify,
                  r.attempts, r.waits_since, r.is_delay_told, r.unsettled_leases
    )
    SELECT l.tenant_id, l.outgoing_id, o.account_id, o.reverse_path, o.envelope_id, o.return_content, o.needs_utf8,
           o.body, o.octets, o.queued_at, o.content_name, o.future_release, l.ordinal, l.token, l.address, l.domain,
           l.original_recipient, l.notify, l.attempts, l.waits_since, l.is_delay_told, l.unsettled_leases
      FROM leased l JOIN outgoing o ON o.tenant_id = l.tenant_id AND o.id = l.outgoing_id
    """,
    row=_LeasedRow,
    role="waypost_system",
)
_RENEW = Query(
    """
    UPDATE outgoing_recipient r SET leased_until = now() + make_interval(secs => %(lease_s)s)
      FROM unnest(%(tenant_ids)s::bigint[], %(ids)s::bigint[], %(ordinals)s::integer[], %(tokens)s::integer[])
           WITH ORDINALITY AS w (tenant_id, id, ordinal, token, n)
     WHERE r.tenant_id = w.tenant_id AND r.outgoing_id = w.id AND r.ordinal = w.ordinal AND r.token = w.token
       AND r.leased_until IS NOT NULL
    RETURNING w.n::integer AS n
    """,
    row=_Place,
    role="waypost_system",
)
_SETTLE = Query(
    """
    SELECT n FROM settle_v2(
        %(tenant_ids)s::bigint[], %(ids)s::bigint[], %(ordinals)s::integer[], %(tokens)s::integer[],
        %(endings)s::smallint[], %(next)s::timestamptz[], %(held)s::smallint[], %(reports)s::smallint[],
        %(codes)s::smallint[], %(enhanced)s::text[], %(texts)s::text[], %(hosts)s::text[], %(report_wait_s)s) AS s (n)
    """,
    row=_Place,
    role="waypost_system",
)


async def let_go(database: Database, tenant_id: TenantId, outgoing_id: OutgoingId) -> None:
    """What was queued with a lease may be sent from now on."""
    async with database.read(tenant_id) as connection:
        await _LET_GO.execute(connection, tenant_id=tenant_id, id=outgoing_id)


async def withdraw(database: Database, tenant_id: TenantId, outgoing_id: OutgoingId) -> None:
    """What was queued with a lease is taken back."""
    async with database.transaction(tenant_id) as connection:
        await _WITHDRAW.execute(connection, tenant_id=tenant_id, id=outgoing_id)


async def find_lanes(database: Database, after: Lane, limit: int) -> list[DueLane]:
    """The lanes that hold queued mail, in the order of tenant and domain, from behind `after`."""
    async with database.system() as connection:
        return await _DUE_LANES.all(connection, tenant_id=after.tenant_id, domain=after.domain, limit=limit)


async def lease(database: Database, rooms: Mapping[Lane, int], *, lease_s: float) -> list[LeasedRecipient]:
    """Lease what is due, at most so many recipients of each lane; committed when it returns.

    A recipient without its message, where somebody meddled with the tables, keeps no other from being sent.
    """
    async with database.system_single() as connection:
        rows = await _LEASE.all(
            connection,
            tenant_ids=[lane.tenant_id for lane in rooms],
            domains=[lane.domain for lane in rooms],
            rooms=list(rooms.values()),
            lease_s=lease_s,
        )
    messages: dict[tuple[int, int], QueuedMessage] = {}
    for row in rows:
        if (row.tenant_id, row.outgoing_id) not in messages:
            messages[row.tenant_id, row.outgoing_id] = message_of(row)
    return [_leased(row, messages[row.tenant_id, row.outgoing_id]) for row in rows]


async def renew(database: Database, recipients: Sequence[LeasedRecipient], *, lease_s: float) -> list[LeasedRecipient]:
    """Keep leases of what takes long; returns those that were still ours."""
    async with database.system_single() as connection:
        places = await _RENEW.all(
            connection,
            tenant_ids=[each.message.tenant_id for each in recipients],
            ids=[each.message.id for each in recipients],
            ordinals=[each.ordinal for each in recipients],
            tokens=[each.token for each in recipients],
            lease_s=lease_s,
        )
    return [recipients[place.n - 1] for place in places]


async def settle(database: Database, settlements: Sequence[Settlement], *, report_wait_s: float) -> list[Settlement]:
    """End leases, all in one statement; returns those that were still ours. Raises StoreUnavailable."""
    async with database.system_single() as connection:
        places = await _SETTLE.all(
            connection,
            tenant_ids=[each.recipient.message.tenant_id for each in settlements],
            ids=[each.recipient.message.id for each in settlements],
            ordinals=[each.recipient.ordinal for each in settlements],
            tokens=[each.recipient.token for each in settlements],
            endings=[int(each.ending) for each in settlements],
            next=[each.next_attempt_at for each in settlements],
            held=[None if each.held_reason is None else int(each.held_reason) for each in settlements],
            reports=[int(each.report) for each in settlements],
            codes=[each.reply.code for each in settlements],
            enhanced=[each.reply.enhanced for each in settlements],
            texts=[each.reply.text for each in settlements],
            hosts=[each.reply.host for each in settlements],
            report_wait_s=report_wait_s,
        )
    return [settlements[place.n - 1] for place in places]


def message_of(row: MessageRow) -> QueuedMessage:
    return QueuedMessage(
        TenantId(row.tenant_id),
        OutgoingId(row.outgoing_id),
        None if row.account_id is None else AccountId(row.account_id),
        row.reverse_path,
        row.envelope_id,
        None if row.return_content is None else ReturnContent(row.return_content),
        row.needs_utf8,
        BodyKind(row.body),
        row.octets,
        row.queued_at,
        row.content_name,
        row.future_release,
    )


def _leased(row: _LeasedRow, message: QueuedMessage) -> LeasedRecipient:
    return LeasedRecipient(
        message,
        row.ordinal,
        row.token,
        row.address,
        row.domain,
        row.original_recipient,
        None if row.notify is None else Notify(row.notify),
        row.attempts,
        row.waits_since,
        row.is_delay_told,
        row.unsettled_leases,
    )
