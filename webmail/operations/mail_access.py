"""The mail store for a command that works on one account's mail, with everything a role would have that matters there:
cold content is read from S3, and clients hear at once of what came."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from redis.asyncio import Redis

from mailserver.hints import HintSender
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.blobs.tiered import TieredBlobs
from storage.database import Database
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.store import MailStore
from tenants import selectors
from tenants.addresses import parse_address
from tenants.models import Account
from tenants.types import AccountId, Principal, TenantId

_LAST_HINTS_S = 0.1


@contextlib.asynccontextmanager
async def mail_store(
    database: Database, keys: KeyRing, objects_config: ObjectsConfig | None, redis: Redis | None
) -> AsyncIterator[MailStore]:
    """Closes `redis` at its end."""
    async with contextlib.AsyncExitStack() as ending:
        objects = parts = None
        if objects_config is not None:
            objects = ObjectStore(objects_config)
            ending.push_async_callback(objects.close)
            parts = PartStore(database, objects, waiting_octets=objects_config.waiting_octets)
            ending.push_async_callback(parts.close)
        blobs = TieredBlobs(HotBlobs(), objects)
        if redis is None:
            yield MailStore(database, keys, blobs, lambda *_: None, parts=parts)
            return
        ending.push_async_callback(redis.aclose)
        hints = HintSender(redis)
        hints.start()
        ending.push_async_callback(hints.close)
        yield MailStore(database, keys, blobs, hints.publish, parts=parts)
        await asyncio.sleep(_LAST_HINTS_S)  # for the last hint to leave; what is lost is found by polling


def principal_of(account: Account, address: str) -> Principal:
    """The person, to work on their mail in their name."""
    texts = selectors.address_texts(account)
    return Principal(
        TenantId(account.tenant_id),
        AccountId(account.pk),
        parse_address(texts[0] if texts else address),
        account.display_name,
        account.language,
        account.time_zone,
        account.quota_octets,
        account.is_administrator,
    )
