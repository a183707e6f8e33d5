"""What an administrator does to the queue: hold, release, retry, bounce, remove. Each act is one transaction.

What is being sent at this moment (leased) is left out of bouncing; holding it means that it is not tried again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage.database import Database
from storage.outgoing_types import EventKind, HeldReason, OutgoingId, QueueState
from storage.query import Query
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which recipients are meant; every part that is not None must hold."""

    tenant_id: TenantId | None = None
    account_id: AccountId | None = None
    outgoing_id: OutgoingId | None = None
    sender: str | None = None  # reverse path
    recipient: str | None = None
    domain: str | None = None
    state: QueueState | None = None
    held_reason: HeldReason | None = None

    def values(self) -> dict[str, object]:
        return {
            "tenant_id": self.tenant_id,
            "account_id": self.account_id,
            "outgoing_id": self.outgoing_id,
            "sender": None if self.sender is None else self.sender.lower(),
            "recipient": None if self.recipient is None else self.recipient.lower(),
            "domain": None if self.domain is None else self.domain.lower(),
            "state": None if self.state is None else int(self.state),
            "held_reason": None if self.held_reason is None else int(self.held_reason),
        }


@dataclass(frozen=True, slots=True)
class HoldRule:
    tenant_id: int
    id: int
    account_id: int | None
    domain: str | None


@dataclass(frozen=True, slots=True)
class _Count:
    recipients: int


# Every act and the list choose by the same condition. The tables are the queue's, read whole: people ask this rarely.
CHOSEN = """
       (%(tenant_id)s::bigint IS NULL OR r.tenant_id = %(tenant_id)s::bigint)
   AND (%(outgoing_id)s::bigint IS NULL OR r.outgoing_id = %(outgoing_id)s::bigint)
   AND (%(recipient)s::text IS NULL OR lower(r.address) = %(recipient)s::text)
   AND (%(domain)s::text IS NULL OR r.domain = %(domain)s::text)
   AND (%(state)s::smallint IS NULL OR r.state = %(state)s::smallint)
   AND (%(held_reason)s::smallint IS NULL OR r.held_reason = %(held_reason)s::smallint)
   AND (%(account_id)s::bigint IS NULL OR o.account_id = %(account_id)s::bigint)
   AND (%(sender)s::text IS NULL OR lower(o.reverse_path) = %(sender)s::text)
"""


_OF_CHOSEN = "r.tenant_id = c.tenant_id AND r.outgoing_id = c.outgoing_id AND r.ordinal = c.ordinal"
_IS_FREE = "(r.leased_until IS NULL OR r.leased_until < now())"
_IS_TOLD = "(o.reverse_path <> '' AND coalesce(r.notify, 4) & 4 <> 0)"


def _change(settings: str, only: str, event: EventKind) -> Query[_Count]:
    return _act(f"UPDATE outgoing_recipient r SET {settings} FROM chosen c WHERE {_OF_CHOSEN}", only, event)  # noqa: S608


def _removal(only: str, event: EventKind) -> Query[_Count]:
    return _act(f"DELETE FROM outgoing_recipient r USING chosen c WHERE {_OF_CHOSEN}", only, event)  # noqa: S608


def _act(change: str, only: str, event: EventKind) -> Query[_Count]:
    """Choose in the order of the key, so that two acts never wait for each other; change; tell of it."""
    statement = f"""
    WITH chosen AS MATERIALIZED (
        SELECT r.tenant_id, r.outgoing_id, r.ordinal, o.account_id
          FROM outgoing_recipient r JOIN outgoing o ON o.tenant_id = r.tenant_id AND o.id = r.outgoing_id
         WHERE {CHOSEN} AND {only}
         ORDER BY r.tenant_id, r.outgoing_id, r.ordinal FOR UPDATE OF r
    ), changed AS (
        {change}
        RETURNING r.tenant_id, r.outgoing_id, r.address, c.account_id
    ), told AS (
        INSERT INTO event (tenant_id, kind, account_id, outgoing_id, address)
        SELECT tenant_id, {int(event)}, account_id, outgoing_id, address FROM changed
    )
    SELECT count(*)::integer AS recipients FROM changed
    """  # noqa: S608
    return Query(statement, row=_Count, role="waypost_system", scans=["outgoing_recipient", "outgoing"])


_HOLD = _change("state = 1, held_reason = %(reason)s::smallint", "r.state = 0", EventKind.HELD)
_RELEASE = _change(
    "state = 0, held_reason = NULL, next_attempt_at = now(), waits_since = now(), unsettled_leases = 0",
    "(r.state = 1 OR (r.held_reason = 4 AND r.next_attempt_at > now()))",
    EventKind.RELEASED,
)
_RETRY = _change("next_attempt_at = now(), held_reason = NULL", "r.state = 0", EventKind.RETRIED)
_BOUNCE = _change(
    "state = 2, held_reason = NULL, token = r.token + 1, leased_until = NULL, report = 1, report_id = NULL,"
    " reply_code = 0, reply_enhanced = '5.7.1', reply_text = %(text)s, reply_host = '', attempted_at = now(),"
    " unsettled_leases = 0",
    f"r.state <> 2 AND {_IS_FREE} AND {_IS_TOLD}",
    EventKind.BOUNCED,
)
_END_UNTOLD = _removal(f"r.state <> 2 AND {_IS_FREE} AND NOT {_IS_TOLD}", EventKind.BOUNCED)
_REMOVE = _removal(_IS_FREE, EventKind.REMOVED)
_ADD_RULE = Query[None](
    """
    INSERT INTO outgoing_hold (tenant_id, id, account_id, domain, created_at)
    VALUES (%(tenant_id)s, nextval('mail_id'), %(account_id)s, %(domain)s, now())
    """,
    role="waypost_system",
)
_DROP_RULES = Query[None](
    """
    DELETE FROM outgoing_hold
     WHERE tenant_id = %(tenant_id)s AND account_id IS NOT DISTINCT FROM %(account_id)s::bigint
       AND domain IS NOT DISTINCT FROM %(domain)s::text
    """,
    role="waypost_system",
)
_RULES = Query(
    "SELECT tenant_id, id, account_id, domain FROM outgoing_hold ORDER BY tenant_id, id",
    row=HoldRule,
    role="waypost_system",
    scans=["outgoing_hold"],
)
_FORGET_ORPHANS = Query(
    """
    SELECT forget_outgoing_v1(array_agg(o.tenant_id), array_agg(o.id)) AS recipients FROM (
        SELECT o.tenant_id, o.id FROM outgoing o
         WHERE (SELECT 1 FROM outgoing_recipient r WHERE r.tenant_id = o.tenant_id AND r.outgoing_id = o.id LIMIT 1)
               IS NULL
           AND (SELECT 1 FROM held_submission h WHERE h.tenant_id = o.tenant_id AND h.submission_id = o.id) IS NULL
         LIMIT %(limit)s) o
    """,
    row=_Count,
    role="waypost_system",
    scans=["outgoing"],
)


async def hold(database: Database, chosen: Chosen, reason: HeldReason = HeldReason.ADMINISTRATOR) -> int:
    """Returns how many recipients are held that were queued."""
    async with database.system() as connection:
        return (await _HOLD.one(connection, **chosen.values(), reason=int(reason))).recipients


async def release(database: Database, chosen: Chosen) -> int:
    """They are due at once, and their waiting counts from now. Mail that was scheduled leaves now."""
    async with database.system() as connection:
        return (await _RELEASE.one(connection, **chosen.values())).recipients


async def retry(database: Database, chosen: Chosen) -> int:
    """They are due at once; expiry stays as it is."""
    async with database.system() as connection:
        return (await _RETRY.one(connection, **chosen.values())).recipients


async def bounce(database: Database, chosen: Chosen, text: str) -> int:
    """They go back to their senders; where nobody wants to be told (null sender, NOTIFY=NEVER) they just go."""
    async with database.system() as connection:
        told = await _BOUNCE.one(connection, **chosen.values(), text=text)
        untold = await _END_UNTOLD.one(connection, **chosen.values())
    return told.recipients + untold.recipients


async def remove(database: Database, chosen: Chosen) -> int:
    """They go, and nobody is told. Their messages go with the next look of upkeep."""
    async with database.system() as connection:
        return (await _REMOVE.one(connection, **chosen.values())).recipients


async def add_rule(database: Database, tenant_id: TenantId, account_id: AccountId | None, domain: str | None) -> None:
    """What is queued from now on is held, of the tenant, of one account, or for a domain."""
    async with database.system() as connection:
        await _DROP_RULES.execute(connection, tenant_id=tenant_id, account_id=account_id, domain=domain)
        await _ADD_RULE.execute(connection, tenant_id=tenant_id, account_id=account_id, domain=domain)


async def drop_rules(database: Database, tenant_id: TenantId, account_id: AccountId | None, domain: str | None) -> int:
    async with database.system() as connection:
        return await _DROP_RULES.execute(connection, tenant_id=tenant_id, account_id=account_id, domain=domain)


async def rules(database: Database) -> Sequence[HoldRule]:
    async with database.system() as connection:
        return await _RULES.all(connection)


async def forget_orphans(database: Database, limit: int = 1000) -> int:
    """Messages whose last recipients were settled by two processes in the same moment."""
    async with database.system() as connection:
        return (await _FORGET_ORPHANS.one(connection, limit=limit)).recipients
