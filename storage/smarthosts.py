"""The host through which a tenant's mail leaves, with its credentials sealed under the tenant's data key."""

from dataclasses import dataclass

from storage.database import Database
from storage.keys import KeyRing
from storage.query import Query
from storage.types import BlobDigest
from tenants.types import TenantId

PASSWORD_NAME = BlobDigest(b"waypost smarthost password")
PASSWORD_CODEC = 0


@dataclass(frozen=True, slots=True)
class SmarthostSetting:
    """`security` is a word of `mailserver.outbound.sites.Security`. `username` None: we do not sign in."""

    host: str
    port: int
    security: str
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"SmarthostSetting({self.host!r}, {self.port}, {self.security!r}, {self.username!r})"


@dataclass(frozen=True, slots=True)
class _Row:
    host: str
    port: int
    security: str
    username: str | None
    key_id: int | None
    sealed_password: bytes | None


_FIND = Query(
    """
    SELECT host, port, security, username, key_id, sealed_password FROM smarthost
     WHERE tenant_id = waypost_tenant(%(tenant_id)s)
    """,
    row=_Row,
)
_SET = Query[None](
    """
    INSERT INTO smarthost (tenant_id, host, port, security, username, key_id, sealed_password)
    VALUES (waypost_tenant(%(tenant_id)s), %(host)s, %(port)s, %(security)s, %(username)s, %(key_id)s, %(sealed)s)
    ON CONFLICT (tenant_id) DO UPDATE
       SET host = excluded.host, port = excluded.port, security = excluded.security, username = excluded.username,
           key_id = excluded.key_id, sealed_password = excluded.sealed_password
    """
)
_REMOVE = Query[None]("DELETE FROM smarthost WHERE tenant_id = waypost_tenant(%(tenant_id)s)")


async def find(database: Database, keys: KeyRing, tenant_id: TenantId) -> SmarthostSetting | None:
    """Raises ContentDamaged, StoreUnavailable."""
    async with database.read(tenant_id) as connection:
        row = await _FIND.first(connection, tenant_id=tenant_id)
    if row is None:
        return None
    password = None
    if row.sealed_password is not None and row.key_id is not None:
        opened = (await keys.of(tenant_id)).open(
            row.key_id, PASSWORD_NAME, 0, True, PASSWORD_CODEC, row.sealed_password
        )
        password = opened.decode()
    return SmarthostSetting(row.host, row.port, row.security, row.username, password)


async def save(database: Database, keys: KeyRing, tenant_id: TenantId, setting: SmarthostSetting) -> None:
    """In place of the one there was."""
    key_id, sealed = None, None
    if setting.password is not None:
        tenant_keys = await keys.of(tenant_id)
        key_id = tenant_keys.current
        sealed = tenant_keys.seal(PASSWORD_NAME, 0, True, PASSWORD_CODEC, setting.password.encode())
    async with database.read(tenant_id) as connection:
        await _SET.execute(
            connection,
            tenant_id=tenant_id,
            host=setting.host,
            port=setting.port,
            security=setting.security,
            username=setting.username,
            key_id=key_id,
            sealed=sealed,
        )


async def remove(database: Database, tenant_id: TenantId) -> bool:
    """Whether there was one."""
    async with database.read(tenant_id) as connection:
        return await _REMOVE.execute(connection, tenant_id=tenant_id) > 0
