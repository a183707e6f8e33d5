"""What people answer while they are away, and whom they answered lately (RFC 8621 §8, RFC 3834)."""

from dataclasses import dataclass
from datetime import datetime

from storage.database import Database
from storage.query import Connection, Query
from tenants.types import AccountId, TenantId

TYPE_NAME = "VacationResponse"


@dataclass(frozen=True, slots=True)
class Vacation:
    """Between `from_at` and `to_at`, either of which may be open. `inside_text_body` is for people of one's own
    tenant, who get the other bodies where it is None."""

    is_enabled: bool = False
    from_at: datetime | None = None
    to_at: datetime | None = None
    subject: str | None = None
    text_body: str | None = None
    html_body: str | None = None
    inside_text_body: str | None = None

    def is_active(self, at: datetime) -> bool:
        return (
            self.is_enabled and (self.from_at is None or self.from_at <= at) and (self.to_at is None or at < self.to_at)
        )


@dataclass(frozen=True, slots=True)
class _Account:
    account_id: int


_FIND = Query(
    """
    SELECT is_enabled, from_at, to_at, subject, text_body, html_body, inside_text_body FROM vacation
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND account_id = %(account_id)s
    """,
    row=Vacation,
)
_ENABLED = Query(
    """
    SELECT account_id FROM vacation
     WHERE tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND is_enabled AND (to_at IS NULL OR to_at > now())
    """,
    row=_Account,
)
_PUT = Query[None](
    """
    INSERT INTO vacation (
        tenant_id, account_id, is_enabled, from_at, to_at, subject, text_body, html_body, inside_text_body)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(is_enabled)s, %(from_at)s, %(to_at)s, %(subject)s,
            %(text_body)s, %(html_body)s, %(inside_text_body)s)
    ON CONFLICT (tenant_id, account_id) DO UPDATE
       SET is_enabled = excluded.is_enabled, from_at = excluded.from_at, to_at = excluded.to_at,
           subject = excluded.subject, text_body = excluded.text_body, html_body = excluded.html_body,
           inside_text_body = excluded.inside_text_body
    """
)
_FORGET_ANSWERS = Query[None](
    """
    DELETE FROM vacation_answer
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s
    """
)
_CLAIM = Query[None](
    """
    INSERT INTO vacation_answer (tenant_id, account_id, sender, answered_at)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(sender)s, now())
    ON CONFLICT (tenant_id, account_id, sender) DO UPDATE SET answered_at = now()
     WHERE vacation_answer.answered_at <= now() - make_interval(secs => %(period_s)s)
    """
)
_FORGET_OLD = Query[None](
    "DELETE FROM vacation_answer WHERE answered_at < now() - make_interval(secs => %(period_s)s)",
    role="waypost_system",
    scans=["vacation_answer"],  # of a week
)


async def find(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> Vacation:
    """As it was set last; who never set it is not away."""
    return await _FIND.first(connection, tenant_id=tenant_id, account_id=account_id) or Vacation()


async def enabled_accounts(database: Database, tenant_id: TenantId) -> frozenset[AccountId]:
    """Who of a tenant is away, or will be."""
    async with database.read(tenant_id) as connection:
        rows = await _ENABLED.all(connection, tenant_id=tenant_id)
    return frozenset(AccountId(row.account_id) for row in rows)


async def put(connection: Connection, tenant_id: TenantId, account_id: AccountId, vacation: Vacation) -> None:
    await _PUT.execute(
        connection,
        tenant_id=tenant_id,
        account_id=account_id,
        is_enabled=vacation.is_enabled,
        from_at=vacation.from_at,
        to_at=vacation.to_at,
        subject=vacation.subject,
        text_body=vacation.text_body,
        html_body=vacation.html_body,
        inside_text_body=vacation.inside_text_body,
    )


async def forget_answers(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> None:
    """Who is away anew answers everybody anew."""
    await _FORGET_ANSWERS.execute(connection, tenant_id=tenant_id, account_id=account_id)


async def claim_answer(
    database: Database, tenant_id: TenantId, account_id: AccountId, sender: str, *, period_s: float
) -> bool:
    """Whether the sender is to be answered now; of any number that ask at once, one is told so. Committed."""
    async with database.read(tenant_id) as connection:
        touched = await _CLAIM.execute(
            connection, tenant_id=tenant_id, account_id=account_id, sender=sender, period_s=period_s
        )
    return touched > 0


async def forget_old_answers(connection: Connection, *, period_s: float) -> int:
    """Upkeep, on a `system` connection. Returns how many went."""
    return await _FORGET_OLD.execute(connection, period_s=period_s)
