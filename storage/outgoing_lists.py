"""What is in the queue, for people and for metrics: rows by choice, and counts by state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.database import Database
from storage.held_acts import HELD_RECIPIENTS
from storage.outgoing_acts import CHOSEN, Chosen
from storage.outgoing_types import OutgoingId
from storage.query import Query
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class ListedRecipient:
    """`is_leased`: a process has it now. `held_reason` 4 stands at queued mail whose time has not come."""

    tenant_id: int
    outgoing_id: int
    ordinal: int
    account_id: int | None
    reverse_path: str
    address: str
    state: int
    held_reason: int | None
    is_leased: bool
    octets: int
    queued_at: datetime
    next_attempt_at: datetime
    attempts: int
    reply_code: int
    reply_enhanced: str
    reply_text: str
    reply_host: str


@dataclass(frozen=True, slots=True)
class StateCount:
    """Recipients of one state; `held_reason` None but for those that are held."""

    state: int
    held_reason: int | None
    recipients: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class _Tenant:
    tenant_id: int


@dataclass(frozen=True, slots=True)
class ListedEvent:
    happened_at: datetime
    kind: int
    address: str | None
    recipients: int | None
    reply_code: int | None
    reply_enhanced: str | None
    reply_text: str | None
    reply_host: str | None


_LIST = Query(
    f"""
    SELECT r.tenant_id, r.outgoing_id, r.ordinal, o.account_id, o.reverse_path, r.address, r.state, r.held_reason,
           (r.leased_until IS NOT NULL AND r.leased_until > now()) AS is_leased, o.octets, o.queued_at,
           r.next_attempt_at, r.attempts, r.reply_code, r.reply_enhanced, r.reply_text, r.reply_host
      FROM (SELECT tenant_id, outgoing_id, ordinal, address, domain, state, held_reason, leased_until, next_attempt_at,
                   attempts, reply_code, reply_enhanced, reply_text, reply_host
              FROM outgoing_recipient
             UNION ALL {HELD_RECIPIENTS}) r
      JOIN outgoing o ON o.tenant_id = r.tenant_id AND o.id = r.outgoing_id
     WHERE {CHOSEN}
     ORDER BY r.tenant_id, r.outgoing_id, r.ordinal LIMIT %(limit)s
    """,  # noqa: S608  of our own constants
    row=ListedRecipient,
    role="waypost_system",
    scans=["outgoing_recipient", "outgoing", "held_submission"],
)
_COUNTS = Query(
    """
    SELECT r.state, CASE WHEN r.state = 1 THEN r.held_reason END AS held_reason, count(*) AS recipients,
           min(r.waits_since) AS oldest_at
      FROM outgoing_recipient r GROUP BY 1, 2 ORDER BY 1, 2
    """,
    row=StateCount,
    role="waypost_system",
    scans=["outgoing_recipient"],
)
_SUSPENDED = Query(
    "SELECT DISTINCT tenant_id FROM outgoing_recipient WHERE state = 1 AND held_reason = 3",
    row=_Tenant,
    role="waypost_system",
    scans=["outgoing_recipient"],  # its partial index of what is held
)
_EVENTS = Query(
    """
    SELECT happened_at, kind, address, recipients, reply_code, reply_enhanced, reply_text, reply_host FROM event
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND outgoing_id = %(outgoing_id)s ORDER BY id LIMIT %(limit)s
    """,
    row=ListedEvent,
)


async def list_recipients(database: Database, chosen: Chosen, limit: int) -> list[ListedRecipient]:
    """With those of mail that waits for its time, people of this installation among them."""
    async with database.system() as connection:
        return await _LIST.all(connection, **chosen.values(), limit=limit)


async def count_states(database: Database) -> Sequence[StateCount]:
    """Reads the whole table of recipients: for now and then."""
    async with database.system() as connection:
        return await _COUNTS.all(connection)


async def suspended_tenants(database: Database) -> list[TenantId]:
    """Those whose mail is held because they were suspended."""
    async with database.system() as connection:
        return [TenantId(each.tenant_id) for each in await _SUSPENDED.all(connection)]


async def list_events(
    database: Database, tenant_id: TenantId, outgoing_id: OutgoingId, limit: int
) -> list[ListedEvent]:
    """What happened to a message, in order; also when it has left the queue."""
    async with database.read(tenant_id) as connection:
        return await _EVENTS.all(connection, tenant_id=tenant_id, outgoing_id=outgoing_id, limit=limit)
