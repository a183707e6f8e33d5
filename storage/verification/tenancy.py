"""Whose mail there is, and objects of nobody."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from storage.database import Database
from storage.errors import ColdTierUnavailable
from storage.query import Query
from storage.verification.bucket import Bucket, Stored
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class _Next:
    tenant_id: int | None


_NEXT = Query(
    """
    SELECT least(
        (SELECT a.tenant_id FROM account_state a WHERE a.tenant_id > %(after)s ORDER BY a.tenant_id LIMIT 1),
        (SELECT b.tenant_id FROM blob b WHERE b.tenant_id > %(after)s ORDER BY b.tenant_id LIMIT 1),
        (SELECT o.tenant_id FROM object o WHERE o.tenant_id > %(after)s ORDER BY o.tenant_id LIMIT 1)) AS tenant_id
    """,
    row=_Next,
    role="waypost_system",
)


async def tenants_with_mail(database: Database, after: int = 0) -> AsyncIterator[TenantId]:
    """By id, those above `after`."""
    while True:
        async with database.system() as connection:
            found = (await _NEXT.one(connection, after=after)).tenant_id
        if found is None:
            return
        yield TenantId(found)
        after = found


async def verify_strangers(ground: Ground) -> None:
    """Objects under the names of tenants that have nothing here. Those of tenants are looked at with their rows."""
    if ground.bucket is None:
        return
    known = {str(tenant) async for tenant in tenants_with_mail(ground.database)}
    try:
        async for stored in _of_others(ground.bucket, known):
            if stored.modified_at < datetime.now(UTC) - timedelta(seconds=ground.choice.grace_s):
                values = {"name": stored.name, "octets": stored.octets}
                ground.report.add(Finding(Kind.OBJECT_ORPHANED, TenantId(0), values))
    except ColdTierUnavailable as away:
        values = {"what": "the list of the bucket", "reason": away.reason}
        ground.report.add(Finding(Kind.CONTENT_UNREACHABLE, TenantId(0), values))


async def _of_others(bucket: Bucket, known: Collection[str]) -> AsyncIterator[Stored]:
    """All whose names do not begin with one of these; their own are leapt over."""
    after = ""
    while True:
        page = await anext(bucket.list("", after), None)
        if not page:
            return
        for stored in page:
            owner, slash, _ = stored.name.partition("/")
            if slash and owner in known:
                after = f"{owner}0"  # "0" comes after "/"
                break
            if slash and owner.isdigit():
                yield stored
            after = stored.name
