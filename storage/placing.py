"""Placing messages: from octets ready to keep to rows that every client sees, in one transaction.

The single copy of a small message, which is most mail, is one call of place_v2 in autocommit: one round trip. Several
copies, or messages with several blobs, go as one pipeline: blobs by digest, then accounts in the order of their ids.

Where there is an object store, large parts have found their homes before (`storage.parts`), and are claimed here.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from storage.blobs.codec import CHUNK_OCTETS
from storage.blobs.hot import HotBlobs, SealedBlob, seal_small
from storage.blobs.segments import pack_segments
from storage.database import Database
from storage.errors import MailboxNotFound, OverQuota, StorageError, StoreUnavailable
from storage.flags import keywords_column
from storage.header_column import pack_header
from storage.keys import TenantKeys
from storage.parts.claims import Claims
from storage.parts.homes import PART_OCTETS, LargeParts, PartLost, PartStore
from storage.provisioning import provision_account
from storage.query import Connection, Query, run_together
from storage.types import (
    BlobDigest,
    BlobOctets,
    Destination,
    InboundId,
    MailboxId,
    MessageFacts,
    MessageId,
    Modseq,
    NewMessage,
    Placed,
    Uid,
    UidValidity,
)
from storage.wire_columns import pack_wire
from tenants.types import AccountId, TenantId

SEALED_INLINE_OCTETS = CHUNK_OCTETS
ATTEMPTS = 5
"""How often copies are placed anew because an account had no state yet, or a part lost its home."""
_IN_A_THREAD_OCTETS = 256 * 1024


@dataclass(frozen=True, slots=True)
class PreparedMessage:
    """A message packed and sealed for one tenant; what `place` writes for each copy of it.

    `long_blobs` are sealed while they are written; `parts` rest in objects, or will.
    """

    facts: MessageFacts
    header: bytes
    envelope: bytes
    bodystructure: bytes
    segments: bytes
    references: list[int]
    digests: list[BlobDigest]
    sealed: list[SealedBlob]
    long_blobs: dict[BlobDigest, BlobOctets]
    parts: LargeParts | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """One copy to place. `inbound_id` makes a replay of mail that was accepted for later harmless."""

    message: PreparedMessage
    destination: Destination
    inbound_id: InboundId | None = None


class AlreadyPlaced(StorageError):
    """This inbound message has been placed for the account before."""


class _NotProvisioned(StorageError):
    """Accounts without state or first mailboxes: nothing was placed for anyone."""

    def __init__(self, accounts: Collection[AccountId]) -> None:
        super().__init__("accounts are not provisioned")
        self.accounts = accounts


@dataclass(frozen=True, slots=True)
class _Outcome:
    outcome: str
    mailbox_id: int | None
    message_id: int | None
    uid: int | None
    uidvalidity: int | None
    modseq: int | None
    used_octets: int | None


_PLACE = Query(
    """
    SELECT outcome, mailbox_id, message_id, uid, uidvalidity, modseq, used_octets FROM place_v2(
        %(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(flags)s::smallint, %(keywords)s::text[], %(quota_octets)s,
        %(inbound_id)s, %(digest)s, %(blob_octets)s, %(key_id)s, %(codec)s::smallint, %(sealed)s, %(digests)s,
        %(octets)s, %(received_at)s, %(sent_at)s, %(header_octets)s, %(wire_version)s::smallint,
        %(differs)s, %(attached)s, %(subject)s, %(base_subject)s, %(sender)s, %(recipients)s, %(preview)s,
        %(references)s::bigint[], %(header)s, %(segments)s, %(structure)s, %(envelope)s, %(bodystructure)s)
    """,
    row=_Outcome,
)


async def prepare(keys: TenantKeys, message: NewMessage, part_store: PartStore | None = None) -> PreparedMessage:
    """Pack and seal; long content goes to a thread. With an object store, large parts are in it afterwards.

    Raises ColdTierUnavailable when S3 is away and no more may wait for it, StoreUnavailable.
    """
    if sum(len(blob) for blob in message.blobs) > _IN_A_THREAD_OCTETS:
        prepared = await asyncio.to_thread(_prepare, keys, message, part_store)
    else:
        prepared = _prepare(keys, message, part_store)
    if prepared.parts is not None:
        await prepared.parts.find_homes()
    return prepared


def _prepare(keys: TenantKeys, message: NewMessage, part_store: PartStore | None) -> PreparedMessage:
    digests: list[BlobDigest] = []
    sealed: dict[BlobDigest, SealedBlob] = {}
    long_blobs: dict[BlobDigest, BlobOctets] = {}
    parts: dict[BlobDigest, BlobOctets] = {}
    for index, blob in enumerate(message.blobs):
        if part_store is not None and index >= message.parts_from and len(blob) > PART_OCTETS:
            digest = keys.long_digest(blob)
            parts[digest] = blob
        elif len(blob) <= SEALED_INLINE_OCTETS:
            small = seal_small(keys, bytes(blob[:]))
            digest = small.digest
            sealed[digest] = small
        else:
            digest = keys.long_digest(blob)
            long_blobs[digest] = blob
        digests.append(digest)
    envelope, bodystructure = pack_wire(message.facts.envelope, message.facts.bodystructure)
    return PreparedMessage(
        facts=message.facts,
        header=pack_header(message.facts.header),
        envelope=envelope,
        bodystructure=bodystructure,
        segments=pack_segments(message.segments),
        references=[keys.reference(reference) for reference in message.facts.references],
        digests=digests,
        sealed=[sealed[digest] for digest in sorted(sealed)],
        long_blobs=long_blobs,
        parts=LargeParts(part_store, keys, parts) if part_store is not None and parts else None,
    )


async def place(
    database: Database, blobs: HotBlobs, keys: TenantKeys, tenant_id: TenantId, orders: Sequence[Order]
) -> list[Placed | StorageError]:
    """Place copies for accounts of one tenant, all in one transaction; the results are in the order of `orders`.

    A refusal (OverQuota, MailboxNotFound, AlreadyPlaced) concerns its copy alone. Raises StoreUnavailable: then
    nothing was placed, or, when the connection broke during the commit, nobody knows; the sender tries again. And
    ColdTierUnavailable, when a part lost its home and finds no other.
    """
    in_lock_order = sorted(range(len(orders)), key=lambda i: orders[i].destination.account_id)
    copies = [orders[index] for index in in_lock_order]
    lost: Collection[BlobDigest] = ()
    for _attempt in range(ATTEMPTS):
        await find_homes([order.message for order in orders], lost)
        lost = ()
        try:
            outcomes = await database.retried(partial(_place_once, database, blobs, keys, copies))
        except _NotProvisioned as missing:
            for account_id in missing.accounts:
                await provision_account(database, tenant_id, account_id)
            continue
        except PartLost as loss:
            lost = loss.digests
            continue
        placed = dict(zip(in_lock_order, map(_result, copies, outcomes), strict=True))
        return [placed[index] for index in range(len(orders))]
    raise StoreUnavailable("the account's state cannot be made, or parts of the message are lost again and again")


async def find_homes(messages: Sequence[PreparedMessage], lost: Collection[BlobDigest] = ()) -> None:
    """For large parts that have none, and for those that lost theirs. Raises ColdTierUnavailable, StoreUnavailable."""
    for parts in {id(message.parts): message.parts for message in messages}.values():  # copies share them
        if parts is not None:
            parts.lose(lost)
            await parts.find_homes()


async def place_apart(
    database: Database, blobs: HotBlobs, keys: TenantKeys, orders: Sequence[Order]
) -> list[Placed | StorageError]:
    """Place messages that have nothing to do with each other but their tenant, in one round trip and one transaction.

    They are small (`is_small`). A refusal concerns its copy alone. Raises StoreUnavailable as `place`, and what made
    Postgres refuse one of them: then none was placed, and each is to be placed by itself.
    """
    if len(orders) == 1:
        return await place(database, blobs, keys, keys.tenant_id, orders)
    outcomes = await database.retried(partial(_place_apart_once, database, blobs, keys, orders))
    results: list[Placed | StorageError] = []
    for order, outcome in zip(orders, outcomes, strict=True):
        if outcome.outcome == "no account":
            results += await place(database, blobs, keys, keys.tenant_id, [order])
        else:
            results.append(_result(order, outcome))
    return results


def is_small(message: PreparedMessage) -> bool:
    """Whether all its octets go in one statement each, which is most mail."""
    return not message.long_blobs and message.parts is None


async def _place_apart_once(
    database: Database, blobs: HotBlobs, keys: TenantKeys, orders: Sequence[Order]
) -> list[_Outcome]:
    in_lock_order = sorted(range(len(orders)), key=lambda i: orders[i].destination.account_id)
    small = {blob.digest: blob for order in orders for blob in order.message.sealed}
    statements: list[tuple[Query[Any], dict[str, object]]] = [
        blobs.putting(keys, small[each]) for each in sorted(small)
    ]
    statements += [(_PLACE, _values(keys, orders[index], is_blob_inline=False)) for index in in_lock_order]
    async with database.read(keys.tenant_id) as connection:
        rows = await run_together(connection, statements)
    placed = dict(zip(in_lock_order, rows[len(small) :], strict=True))
    return [placed[index][0] for index in range(len(orders))]


async def _place_once(database: Database, blobs: HotBlobs, keys: TenantKeys, orders: Sequence[Order]) -> list[_Outcome]:
    """All of them in one transaction. Raises _NotProvisioned, StoreUnavailable; then none."""
    first = orders[0]
    if len(orders) == 1 and len(first.message.sealed) <= 1 and is_small(first.message):
        async with database.read(keys.tenant_id) as connection:
            return _checked(orders, [await _PLACE.one(connection, **_values(keys, first, is_blob_inline=True))])
    async with database.transaction(keys.tenant_id) as connection:
        await put_blobs(connection, blobs, keys, [order.message for order in orders])
        return await _place_all(connection, keys, orders)


async def _place_all(connection: Connection, keys: TenantKeys, orders: Sequence[Order]) -> list[_Outcome]:
    async with connection.pipeline():
        cursors = [await _PLACE.send(connection, **_values(keys, order, is_blob_inline=False)) for order in orders]
    outcomes = []
    for cursor in cursors:
        row = await cursor.fetchone()
        assert row is not None
        outcomes.append(row)
    return _checked(orders, outcomes)


async def place_in(connection: Connection, keys: TenantKeys, orders: Sequence[Order]) -> list[Placed | StorageError]:
    """Place copies in a transaction that is under way; the results are in the order of `orders`, refusals among them.

    Their blobs are put (`put_blobs`), before any account was locked. The accounts are in ascending order, and
    provisioned.
    """
    outcomes = await _place_all(connection, keys, orders)
    return [_result(order, outcome) for order, outcome in zip(orders, outcomes, strict=True)]


def _checked(orders: Sequence[Order], outcomes: list[_Outcome]) -> list[_Outcome]:
    """Raises for what concerns the whole transaction, while it can still be rolled back."""
    named = [(order.destination.account_id, outcome.outcome) for order, outcome in zip(orders, outcomes, strict=True)]
    if missing := {account_id for account_id, outcome in named if outcome == "no account"}:
        raise _NotProvisioned(sorted(missing))
    return outcomes


async def put_blobs(
    connection: Connection, blobs: HotBlobs, keys: TenantKeys, messages: Sequence[PreparedMessage]
) -> None:
    """Every blob once, in the order of digests, so that two transactions never wait for each other; then objects.

    Raises PartLost."""
    small = {blob.digest: blob for message in messages for blob in message.sealed}
    long_blobs = {digest: blob for message in messages for digest, blob in message.long_blobs.items()}
    claims = Claims(blobs, keys, [message.parts for message in messages if message.parts is not None])
    for digest in sorted({*small, *long_blobs, *claims.digests}):
        if digest in small:
            await blobs.put_sealed(connection, keys, small[digest])
        elif digest in long_blobs:
            await blobs.put_long(connection, keys, digest, long_blobs[digest])
        if digest in claims.digests:
            await claims.claim(connection, digest)
    await claims.settle(connection)


def _values(keys: TenantKeys, order: Order, *, is_blob_inline: bool) -> dict[str, object]:
    message, facts, to = order.message, order.message.facts, order.destination
    blob = message.sealed[0] if is_blob_inline and message.sealed else None
    return {
        "tenant_id": keys.tenant_id,
        "account_id": to.account_id,
        "mailbox_id": to.mailbox_id,
        "flags": int(to.flags.system),
        "keywords": keywords_column(to.flags.keywords),
        "quota_octets": to.quota_octets,
        "inbound_id": order.inbound_id,
        "digest": blob.digest if blob else None,
        "blob_octets": blob.octets if blob else None,
        "key_id": blob.key_id if blob else None,
        "codec": blob.codec if blob else None,
        "sealed": blob.sealed if blob else None,
        "digests": message.digests,
        "octets": facts.octets,
        "received_at": facts.received_at,
        "sent_at": facts.sent_at,
        "header_octets": facts.header_octets,
        "wire_version": facts.wire_version,
        "differs": facts.differs_in_utf8,
        "attached": facts.has_attachment,
        "subject": facts.subject,
        "base_subject": facts.base_subject,
        "sender": facts.sender,
        "recipients": facts.recipients,
        "preview": facts.preview,
        "references": message.references,
        "header": message.header,
        "segments": message.segments,
        "structure": facts.structure,
        "envelope": message.envelope,
        "bodystructure": message.bodystructure,
    }


def _result(order: Order, row: _Outcome) -> Placed | StorageError:
    if row.outcome == "placed":
        assert row.mailbox_id and row.message_id and row.uid
        assert row.uidvalidity and row.modseq
        return Placed(
            order.destination.account_id,
            MailboxId(row.mailbox_id),
            MessageId(row.message_id),
            Uid(row.uid),
            UidValidity(row.uidvalidity),
            Modseq(row.modseq),
        )
    if row.outcome == "over quota":
        return OverQuota(row.used_octets or 0, order.destination.quota_octets or 0)
    if row.outcome == "already":
        return AlreadyPlaced("this message was placed before")
    if row.outcome == "no mailbox":
        return MailboxNotFound(str(order.destination.mailbox_id or "INBOX"))
    raise AssertionError(row.outcome)
