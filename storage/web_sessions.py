"""Sessions of browsers in the directory: found by the digest of their cookie before a tenant is known, written with it.

A session in the stage `code` has shown the right password and lacks the second factor: it opens nothing yet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from storage.person_rows import PERSON_COLUMNS, PersonRow
from storage.query import Connection, Query
from tenants.types import Principal

KEPT_OF_ACCOUNT = 100  # the sessions seen last; as many that still lack the second factor


@dataclass(frozen=True, slots=True)
class FoundSession:
    """A session that is good now. `is_open`: the person has shown all that is asked of them."""

    id: int
    is_open: bool
    created_at: datetime
    verified_at: datetime
    who: Principal


@dataclass(frozen=True, slots=True)
class ListedSession:
    id: int
    created_at: datetime
    seen_at: datetime
    network: str
    client: str


@dataclass(frozen=True, slots=True)
class _Row(PersonRow):
    session_id: int
    stage: str
    created_at: datetime
    verified_at: datetime


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


_FIND: Query[Any] = Query(
    f"""
    SELECT {PERSON_COLUMNS}, session_id, stage, created_at, verified_at
      FROM directory_web_session_v1(%(digest)s, %(network)s, %(idle_s)s)
    """,  # noqa: S608 - our own column list
    row=_Row,
)
_INSERT: Query[Any] = Query(
    """
    INSERT INTO web_session (tenant_id, account_id, digest, stage, expires_at, network, client)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(digest)s, %(stage)s,
            now() + make_interval(secs => %(lasts_s)s), %(network)s, %(client)s)
    RETURNING id
    """,
    row=_Id,
)
_FORGET: Query[Any] = Query(
    """
    DELETE FROM web_session s
     WHERE s.tenant_id = waypost_tenant(%(tenant_id)s) AND s.account_id = %(account_id)s
       AND (s.expires_at <= now() OR s.seen_at <= now() - make_interval(secs => %(idle_s)s)
            OR s.id IN (SELECT o.id FROM web_session o
                         WHERE o.tenant_id = waypost_tenant(%(tenant_id)s) AND o.account_id = %(account_id)s
                           AND o.stage = %(stage)s
                         ORDER BY o.seen_at DESC OFFSET %(kept)s))
    """
)
_VERIFY: Query[Any] = Query(
    """
    UPDATE web_session SET digest = %(digest)s, stage = 'open', verified_at = now(), seen_at = now()
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_LIST: Query[Any] = Query(
    """
    SELECT id, created_at, seen_at, network::text, client::text FROM web_session
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND stage = 'open'
       AND expires_at > now() AND seen_at > now() - make_interval(secs => %(idle_s)s)
     ORDER BY seen_at DESC, id DESC
    """,
    row=ListedSession,
)
_DELETE: Query[Any] = Query(
    """
    DELETE FROM web_session
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id = %(id)s
    """
)
_DELETE_OTHERS: Query[Any] = Query(
    """
    DELETE FROM web_session
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND account_id = %(account_id)s AND id <> %(id)s
    """
)


async def find_session(connection: Connection, digest: bytes, *, network: str, idle_s: int) -> FoundSession | None:
    """None for one that nobody has, that has ended, or whose person may not sign in now. That it was seen, and from
    where, is noted once a minute."""
    row = await _FIND.first(connection, digest=digest, network=network[:64], idle_s=idle_s)
    if row is None:
        return None
    return FoundSession(row.session_id, row.stage == "open", row.created_at, row.verified_at, row.principal())


async def insert_session(
    connection: Connection,
    who: Principal,
    digest: bytes,
    *,
    is_open: bool,
    lasts_s: float,
    idle_s: float,
    network: str,
    client: str,
) -> int:
    """Its id. Old ones go, and too many of this stage."""
    of_account = {"tenant_id": who.tenant_id, "account_id": who.account_id}
    stage = "open" if is_open else "code"
    row = await _INSERT.one(
        connection,
        **of_account,
        digest=digest,
        stage=stage,
        lasts_s=lasts_s,
        network=network[:64],
        client=client[:300],
    )
    await _FORGET.execute(connection, **of_account, stage=stage, idle_s=idle_s, kept=KEPT_OF_ACCOUNT)
    return int(row.id)


async def verify_session(connection: Connection, who: Principal, session_id: int, digest: bytes) -> bool:
    """The person has shown who they are: it is open, and has another cookie. False: it has ended meanwhile."""
    return bool(
        await _VERIFY.execute(
            connection, tenant_id=who.tenant_id, account_id=who.account_id, id=session_id, digest=digest
        )
    )


async def list_sessions(connection: Connection, who: Principal, *, idle_s: float) -> Sequence[ListedSession]:
    """Those that are open, the one seen last first."""
    return await _LIST.all(connection, tenant_id=who.tenant_id, account_id=who.account_id, idle_s=idle_s)


async def delete_session(connection: Connection, who: Principal, session_id: int) -> bool:
    """False when the person has no such session."""
    return bool(await _DELETE.execute(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=session_id))


async def delete_other_sessions(connection: Connection, who: Principal, session_id: int) -> int:
    return await _DELETE_OTHERS.execute(connection, tenant_id=who.tenant_id, account_id=who.account_id, id=session_id)
