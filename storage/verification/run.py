"""A verification from its beginning, or from where another stopped, to its end."""

from collections.abc import AsyncIterator, Callable

from storage.errors import KeyUnusable
from storage.keys import TenantKeys
from storage.verification.counts import verify_counts
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground, Part, fresh_keys
from storage.verification.hot_content import verify_hot
from storage.verification.messages import verify_messages
from storage.verification.object_content import verify_objects
from storage.verification.objects import verify_object_rows
from storage.verification.progress import Position
from storage.verification.references import accounts_of, verify_references
from storage.verification.tenancy import tenants_with_mail, verify_strangers
from tenants.types import TenantId

_ORDER = tuple(Part)
_HOT, _COLD = "hot", "cold"

Moved = Callable[[Position], None]


async def verify_everything(ground: Ground, *, begin: Position | None, moved: Moved) -> None:
    """All tenants, from where `begin` says. `moved` is told often; findings go to the report.

    Raises StoreUnavailable.
    """
    done = begin.tenant_id if begin else 0
    if begin is not None and begin.part:
        await verify_tenant(ground, begin.tenant_id, begin=begin, moved=moved)
    elif begin is not None:
        done = begin.tenant_id - 1
    async for tenant_id in tenants_with_mail(ground.database, done):
        await verify_tenant(ground, tenant_id, begin=None, moved=moved)
    if ground.choice.slice.is_whole and Part.OBJECTS in ground.choice.parts:
        await verify_strangers(ground)


async def verify_tenant(ground: Ground, tenant_id: TenantId, *, begin: Position | None, moved: Moved) -> None:
    moved(begin or Position(tenant_id))
    try:
        await _verify_parts(ground, await fresh_keys(ground, tenant_id), begin=begin, moved=moved)
    except KeyUnusable as problem:
        ground.report.add(Finding(Kind.KEYS_UNUSABLE, tenant_id, {"reason": str(problem)}))
        return
    finally:
        ground.replaced.pop(tenant_id, None)
    ground.report.tally.tenants += 1


async def _verify_parts(ground: Ground, keys: TenantKeys, *, begin: Position | None, moved: Moved) -> None:
    tenant_id = keys.tenant_id
    first = _ORDER.index(Part(begin.part)) if begin and begin.part else 0
    for number, part in enumerate(_ORDER):
        if part not in ground.choice.parts or number < first:
            continue
        after = begin.after if begin and number == first else ""
        moved(Position(tenant_id, part, after))
        async for reached in _work(ground, keys, part, after):
            moved(Position(tenant_id, part, reached))


def _work(ground: Ground, keys: TenantKeys, part: Part, after: str) -> AsyncIterator[str]:
    match part:
        case Part.COUNTS:
            return _counts(ground, keys, after)
        case Part.REFERENCES:
            return _references(ground, keys)
        case Part.MESSAGES:
            return _messages(ground, keys, after)
        case Part.CONTENT:
            return _content(ground, keys, after)
        case Part.OBJECTS:
            return _objects(ground, keys)


async def _counts(ground: Ground, keys: TenantKeys, after: str) -> AsyncIterator[str]:
    async for account_id in accounts_of(ground, keys.tenant_id, int(after or 0)):
        if ground.choice.slice.holds_account(account_id):
            await verify_counts(ground, keys, account_id)
            yield str(account_id)


async def _references(ground: Ground, keys: TenantKeys) -> AsyncIterator[str]:
    await verify_references(ground, keys)
    yield ""


async def _messages(ground: Ground, keys: TenantKeys, after: str) -> AsyncIterator[str]:
    """`after` is an account and a message of it."""
    first, _, message = after.partition(".")
    async for account_id in accounts_of(ground, keys.tenant_id, int(first or 1) - 1):
        if ground.choice.slice.holds_account(account_id):
            reached = int(message or 0) if str(account_id) == first else 0
            async for last in verify_messages(ground, keys, account_id, reached):
                yield f"{account_id}.{last}"


async def _content(ground: Ground, keys: TenantKeys, after: str) -> AsyncIterator[str]:
    """`after` is a digest of hot content, or an object."""
    tier, _, last = after.partition(".")
    if tier != _COLD:
        for first, before in ground.choice.slice.digests():
            begin = max(first, bytes.fromhex(last)) if tier == _HOT else first
            async for digest in verify_hot(ground, keys, begin, before):
                yield f"{_HOT}.{digest.hex()}"
    for first_id, before_id in ground.choice.slice.object_ids():
        begin_id = max(first_id, int(last, 16)) if tier == _COLD else first_id
        async for object_id in verify_objects(ground, keys, begin_id, before_id):
            yield f"{_COLD}.{object_id:x}"


async def _objects(ground: Ground, keys: TenantKeys) -> AsyncIterator[str]:
    for first, before in ground.choice.slice.object_ids():
        await verify_object_rows(ground, keys, first, before)
        yield ""
