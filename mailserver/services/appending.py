"""APPEND, MULTIAPPEND and REPLACE: messages that a client brings (RFC 3501 §6.3.11, RFC 3502, RFC 8508)."""

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.services.ingest import ingest
from mailserver.services.mailboxes import canonical_name, find_selectable, is_storable
from storage import appending
from storage.appending import Appended, AppendRequest
from storage.errors import MailboxNotFound, StorageError
from storage.placing import PreparedMessage
from storage.placing import prepare as packed
from storage.store import MailStore
from storage.types import Flags, MailboxId, Modseq, Placed, Uid
from tenants.types import AccountId, Principal, TenantId


async def prepare(store: MailStore, who: Principal, octets: bytes | mmap, received_at: datetime) -> PreparedMessage:
    """A message described, packed and sealed; its large parts are in S3, if there is one. What is held of `octets`
    afterwards is large parts of a mapped file.

    Raises ColdTierUnavailable when S3 is away and as much waits for it as may, StoreUnavailable.
    """
    return await packed(await store.keys.of(who.tenant_id), await ingest(octets, received_at), store.parts)


async def append_all(
    store: MailStore,
    who: Principal,
    mailbox_name: str,
    messages: Sequence[tuple[PreparedMessage, Flags]],
    *,
    replaced: tuple[MailboxId, Uid] | None = None,
) -> Appended:
    """Add messages to a mailbox, all of them or none; durable when it returns. APPENDs of a tenant that come together
    share a transaction (`storage.group_commit`); those of large messages take long, and hold up their account alone.

    With `replaced`, that message goes in the same transaction, and counts no more where quota is judged; nor is the
    tenant's pool asked.

    Raises MailboxNotFound (the door adds TRYCREATE), MailboxNotSelectable, OverQuota, TooManyKeywords, MessageGone,
    ColdTierUnavailable, StoreUnavailable.
    """
    name = canonical_name(mailbox_name)
    if not is_storable(name):
        raise MailboxNotFound(name)
    request = AppendRequest(who.account_id, name, messages, who.quota_octets, replaced)
    if replaced is None:
        octets = sum(message.facts.octets for message, _ in messages)
        if (full := await store.pools.let_in(store.database, who.tenant_id, octets)) is not None:
            raise full
    else:
        keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)
        request = dataclasses.replace(request, keeping=keeping)
    if not appending.are_small(request):
        await find_selectable(store, who, name)  # makes the first folders of an account that has none yet
    keys = await store.keys.of(who.tenant_id)

    async def append_simple(requests: Sequence[AppendRequest]) -> list[Appended | StorageError]:
        results = await appending.append_apart(store.database, store.blobs.hot, keys, requests)
        _announce(store, who.tenant_id, requests, results)
        return results

    async def append_large(requests: Sequence[AppendRequest]) -> list[Appended | StorageError]:
        results = [await appending.append(store.database, store.blobs.hot, keys, each) for each in requests]
        _announce(store, who.tenant_id, requests, results)
        return results

    if appending.is_simple(request):
        result = await store.joins.appends.do(who.tenant_id, who.account_id, request, append_simple)
    else:
        result = await store.joins.appends_large.do((who.tenant_id, who.account_id), request, append_large)
    if isinstance(result, StorageError):
        raise result
    return result


def _announce(
    store: MailStore,
    tenant_id: TenantId,
    requests: Sequence[AppendRequest],
    results: Sequence[Appended | StorageError],
) -> None:
    """Once for each account, however much it got."""
    highest: dict[AccountId, Modseq] = {}
    for request, result in zip(requests, results, strict=True):
        if isinstance(result, Appended):
            highest[request.account_id] = max(result.modseq, highest.get(request.account_id, result.modseq))
    for account_id, modseq in highest.items():
        store.announce(tenant_id, account_id, modseq)


async def append(
    store: MailStore,
    who: Principal,
    mailbox_name: str,
    octets: bytes | mmap,
    *,
    flags: Flags,
    received_at: datetime,
) -> Placed:
    """Add one message to a mailbox. Raises as `append_all`."""
    message = await prepare(store, who, octets, received_at)
    appended = await append_all(store, who, mailbox_name, [(message, flags)])
    return Placed(
        who.account_id,
        appended.mailbox_id,
        appended.message_ids[0],
        appended.uids[0],
        appended.uidvalidity,
        appended.modseq,
    )
