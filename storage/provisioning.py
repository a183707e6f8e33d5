"""What a new tenant and a new account need in the mail store before mail can come."""

import os
from pathlib import Path

import psycopg

from storage.database import Database
from storage.errors import KeyUnusable
from storage.key_files import make_tenant_key, new_wrapped_key, tenant_key_path
from storage.query import Query
from tenants.types import AccountId, TenantId

# The folders every account starts with: name and special use (RFC 6154 §2).
FIRST_MAILBOXES = (
    ("INBOX", None),
    ("Drafts", "\\Drafts"),
    ("Sent", "\\Sent"),
    ("Junk", "\\Junk"),
    ("Trash", "\\Trash"),
    ("Archive", "\\Archive"),
)

_MAKE_STATE = Query[None](
    """
    INSERT INTO account_state (tenant_id, account_id, next_uidvalidity)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(next_uidvalidity)s)
    ON CONFLICT DO NOTHING
    """
)
_MAKE_MAILBOXES = Query[None](
    """
    INSERT INTO mailbox (tenant_id, id, account_id, name, special_use, uidvalidity)
    SELECT waypost_tenant(%(tenant_id)s), nextval('mail_id'), %(account_id)s, first.name, first.special_use,
           first.position
      FROM unnest(%(names)s::text[], %(special_uses)s::text[]) WITH ORDINALITY AS first (name, special_use, position)
     ORDER BY first.position
    """
)


async def provision_account(database: Database, tenant_id: TenantId, account_id: AccountId) -> None:
    """Make the account's state and first mailboxes unless they are there; who comes second waits and finds them."""
    async with database.transaction(tenant_id) as connection:
        made = await _MAKE_STATE.execute(
            connection, tenant_id=tenant_id, account_id=account_id, next_uidvalidity=len(FIRST_MAILBOXES) + 1
        )
        if made:
            await _MAKE_MAILBOXES.execute(
                connection,
                tenant_id=tenant_id,
                account_id=account_id,
                names=[name for name, _ in FIRST_MAILBOXES],
                special_uses=[use for _, use in FIRST_MAILBOXES],
            )


def on_tenant_created(tenant_id: int) -> None:
    """Called by `manage.py tenant add`. Reads WAYPOST_SECRETS and WAYPOST_OWNER_DATABASE_URL."""
    make_tenant_keys(Path(os.environ["WAYPOST_SECRETS"]), os.environ["WAYPOST_OWNER_DATABASE_URL"], TenantId(tenant_id))


def make_tenant_keys(secrets_directory: Path, owner_url: str, tenant_id: TenantId) -> None:
    """Make a tenant's keys, unless it has them. Raises KeyUnusable, psycopg.OperationalError."""
    with psycopg.connect(owner_url) as connection:
        path = tenant_key_path(secrets_directory, tenant_id)
        if not path.exists() and connection.execute("SELECT FROM data_key WHERE tenant_id = %s", (tenant_id,)).rowcount:
            raise KeyUnusable(f"{path} is missing, and tenant {tenant_id} has mail that only it opens: restore it")
        tenant_key = make_tenant_key(secrets_directory, tenant_id)
        connection.execute(
            """
            INSERT INTO data_key (tenant_id, id, purpose, wrapped, created_at)
            SELECT %s, k.id, k.purpose, k.wrapped, now()
              FROM unnest(%s::int[], %s::text[], %s::bytea[]) AS k (id, purpose, wrapped)
            ON CONFLICT DO NOTHING
            """,
            (tenant_id, [1, 2], ["naming", "data"], [new_wrapped_key(tenant_key), new_wrapped_key(tenant_key)]),
        )
