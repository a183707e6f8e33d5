"""APPEND: messages for a mailbox that is known by its name, all of them or none.

Messages of at most one small blob, which is most mail, are one call of append_v1 in autocommit: one round trip, however
many they are; and requests of that kind share a round trip and its transaction: blobs by digest, then append_v1 for
each in the order of accounts. Longer ones go as a transaction: blobs by digest, then the messages, one after another.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from storage import mailboxes
from storage.blobs.hot import HotBlobs
from storage.database import Database
from storage.errors import MailboxNotFound, MailboxNotSelectable, MessageGone, OverQuota, StorageError, StoreUnavailable
from storage.flags import joined_keywords
from storage.keys import TenantKeys
from storage.parts.homes import PartLost
from storage.placing import ATTEMPTS, Order, PreparedMessage, find_homes, is_small, place_in, put_blobs
from storage.provisioning import provision_account
from storage.query import Connection, Query, run_together
from storage.types import BlobDigest, Destination, Flags, MailboxId, MessageId, Modseq, Placed, Uid, UidValidity
from tenants.policies import Keeping
from tenants.types import AccountId


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """`replaced`: a message, by mailbox and uid, that goes when these come; `keeping`: what becomes of it."""

    account_id: AccountId
    mailbox: str
    messages: Sequence[tuple[PreparedMessage, Flags]]
    quota_octets: int | None
    replaced: tuple[MailboxId, Uid] | None = None
    keeping: Keeping = field(default_factory=Keeping)


@dataclass(frozen=True, slots=True)
class Appended:
    """Uids and ids are in the order of the messages. `modseq` is the last that was taken."""

    mailbox_id: MailboxId
    uidvalidity: UidValidity
    uids: Sequence[Uid]
    message_ids: Sequence[MessageId]
    modseq: Modseq


class _NotProvisioned(StorageError):
    """The account has no state yet."""


@dataclass(frozen=True, slots=True)
class _Outcome:
    outcome: str
    mailbox_id: int | None
    uidvalidity: int | None
    first_uid: int | None
    message_ids: list[int] | None
    modseq: int | None
    used_octets: int | None


@dataclass(frozen=True, slots=True)
class _Modseq:
    modseq: int


_APPEND = Query(
    """
    SELECT outcome, mailbox_id, uidvalidity, first_uid, message_ids, modseq, used_octets FROM append_v1(
        %(tenant_id)s, %(account_id)s, %(name)s, %(quota_octets)s, %(bits)s, %(words)s, %(blob_digests)s,
        %(blob_lengths)s, %(key_ids)s, %(codecs)s, %(sealed_blobs)s, %(lengths)s, %(received)s, %(sent)s,
        %(header_lengths)s, %(wire_versions)s, %(differing)s, %(attached)s, %(subjects)s, %(base_subjects)s,
        %(senders)s, %(recipient_lists)s, %(previews)s, %(references)s, %(reference_counts)s, %(headers)s,
        %(segment_lists)s, %(structures)s, %(envelopes)s, %(bodystructures)s)
    """,
    row=_Outcome,
)
_REMOVE = Query(
    "SELECT modseq FROM remove_v2(%(tenant_id)s, %(account_id)s, %(mailbox_id)s, %(uid)s, %(keeps)s, %(is_held)s)",
    row=_Modseq,
)


async def append(
    database: Database, blobs: HotBlobs, keys: TenantKeys, request: AppendRequest
) -> Appended | StorageError:
    """A request, done whole or refused; durable when it returns. Quota is judged for its messages together, and what is
    replaced no longer counts.

    Refusals are OverQuota, MailboxNotFound, MailboxNotSelectable, TooManyKeywords, MessageGone (what is to be
    replaced), ColdTierUnavailable (a part lost its home and finds no other). Raises StoreUnavailable.
    """
    lost: Collection[BlobDigest] = ()
    for _attempt in range(ATTEMPTS):
        try:
            await find_homes([message for message, _ in request.messages], lost)
            lost = ()
            return await database.retried(partial(_append_once, database, blobs, keys, request))
        except _NotProvisioned:
            await provision_account(database, keys.tenant_id, request.account_id)
        except PartLost as loss:
            lost = loss.digests
        except StoreUnavailable:
            raise
        except StorageError as refusal:
            return refusal
    raise StoreUnavailable("the account's state cannot be made, or parts of a message are lost again and again")


async def append_apart(
    database: Database, blobs: HotBlobs, keys: TenantKeys, requests: Sequence[AppendRequest]
) -> list[Appended | StorageError]:
    """Requests that have nothing to do with each other but their tenant, in one round trip and one transaction.

    They are simple (`is_simple`). A refusal concerns its request alone. Raises StoreUnavailable as `append`, and what
    made Postgres refuse one of them: then none was done, and each is to be done by itself.
    """
    if len(requests) == 1:
        return [await append(database, blobs, keys, requests[0])]
    results: dict[int, Appended | StorageError] = {}
    values: dict[int, dict[str, object]] = {}
    for index in sorted(range(len(requests)), key=lambda index: requests[index].account_id):
        try:
            values[index] = {**_values(keys, requests[index]), "sealed_blobs": None}
        except StorageError as refusal:
            results[index] = refusal
    small = {
        blob.digest: blob for index in values for message, _ in requests[index].messages for blob in message.sealed
    }
    statements: list[tuple[Query[Any], dict[str, object]]] = [
        blobs.putting(keys, small[digest]) for digest in sorted(small)
    ]
    statements += [(_APPEND, each) for each in values.values()]
    rows = await database.retried(partial(_run_together, database, keys, statements))
    for index, (row,) in zip(values, rows[len(small) :], strict=True):
        try:
            results[index] = _appended(requests[index], row)
        except _NotProvisioned:
            results[index] = await append(database, blobs, keys, requests[index])
        except StorageError as refusal:
            results[index] = refusal
    return [results[index] for index in range(len(requests))]


def is_simple(request: AppendRequest) -> bool:
    """Is one statement enough?"""
    return request.replaced is None and are_small(request)


def are_small(request: AppendRequest) -> bool:
    """Are its messages? For others the mailbox must be there, or the account be provisioned."""
    return all(len(message.digests) <= 1 and is_small(message) for message, _ in request.messages)


async def _append_once(database: Database, blobs: HotBlobs, keys: TenantKeys, request: AppendRequest) -> Appended:
    if is_simple(request):
        async with database.read(keys.tenant_id) as connection:
            return await _append_simple(connection, keys, request)
    async with database.transaction(keys.tenant_id) as connection:
        return await _append_in(connection, blobs, keys, request)


async def _run_together(
    database: Database, keys: TenantKeys, statements: Sequence[tuple[Query[Any], dict[str, object]]]
) -> list[list[Any]]:
    async with database.read(keys.tenant_id) as connection:
        return await run_together(connection, statements)


async def _append_in(connection: Connection, blobs: HotBlobs, keys: TenantKeys, request: AppendRequest) -> Appended:
    """In a transaction that what is raised here rolls back. Blobs come first: who removes has locked the account."""
    await put_blobs(connection, blobs, keys, [message for message, _ in request.messages])
    if request.replaced is not None:
        mailbox_id, uid = request.replaced
        removed = await _REMOVE.first(
            connection,
            tenant_id=keys.tenant_id,
            account_id=request.account_id,
            mailbox_id=mailbox_id,
            uid=uid,
            keeps=request.keeping.keeps,
            is_held=request.keeping.is_held,
        )
        if removed is None:
            raise MessageGone(uid)
    if are_small(request):
        return _appended(request, await _APPEND.one(connection, **{**_values(keys, request), "sealed_blobs": None}))
    mailbox = await mailboxes.find(connection, keys.tenant_id, request.account_id, request.mailbox)
    if mailbox is None:
        raise MailboxNotFound(request.mailbox)
    if not mailbox.is_selectable:
        raise MailboxNotSelectable(request.mailbox)
    orders = [
        Order(message, Destination(request.account_id, mailbox.id, flags, request.quota_octets))
        for message, flags in request.messages
    ]
    results = await place_in(connection, keys, orders)
    for result in results:
        if isinstance(result, StorageError):
            raise result
    placed = [result for result in results if isinstance(result, Placed)]
    return Appended(
        mailbox.id,
        mailbox.uidvalidity,
        [each.uid for each in placed],
        [each.message_id for each in placed],
        placed[-1].modseq,
    )


async def _append_simple(connection: Connection, keys: TenantKeys, request: AppendRequest) -> Appended:
    return _appended(request, await _APPEND.one(connection, **_values(keys, request)))


def _appended(request: AppendRequest, row: _Outcome) -> Appended:
    if row.outcome == "placed":
        assert row.mailbox_id and row.uidvalidity and row.first_uid and row.message_ids and row.modseq
        return Appended(
            MailboxId(row.mailbox_id),
            UidValidity(row.uidvalidity),
            [Uid(row.first_uid + number) for number in range(len(request.messages))],
            [MessageId(message_id) for message_id in row.message_ids],
            Modseq(row.modseq),
        )
    match row.outcome:
        case "over quota":
            raise OverQuota(row.used_octets or 0, request.quota_octets or 0)
        case "no mailbox":
            raise MailboxNotFound(request.mailbox)
        case "not selectable":
            raise MailboxNotSelectable(request.mailbox)
        case "no account":
            raise _NotProvisioned("the account is not provisioned")
        case _:
            raise AssertionError(row.outcome)


def _values(keys: TenantKeys, request: AppendRequest) -> dict[str, object]:
    messages = [message for message, _ in request.messages]
    facts = [message.facts for message in messages]
    blobs = [message.sealed[0] if message.sealed else None for message in messages]
    return {
        "tenant_id": keys.tenant_id,
        "account_id": request.account_id,
        "name": request.mailbox,
        "quota_octets": request.quota_octets,
        "bits": [flags.system for _, flags in request.messages],
        "words": [joined_keywords(flags.keywords) for _, flags in request.messages],
        "blob_digests": [blob.digest if blob else None for blob in blobs],
        "blob_lengths": [blob.octets if blob else None for blob in blobs],
        "key_ids": [blob.key_id if blob else None for blob in blobs],
        "codecs": [blob.codec if blob else None for blob in blobs],
        "sealed_blobs": [blob.sealed if blob else None for blob in blobs],
        "lengths": [each.octets for each in facts],
        "received": [each.received_at for each in facts],
        "sent": [each.sent_at for each in facts],
        "header_lengths": [each.header_octets for each in facts],
        "wire_versions": [each.wire_version for each in facts],
        "differing": [each.differs_in_utf8 for each in facts],
        "attached": [each.has_attachment for each in facts],
        "subjects": [each.subject for each in facts],
        "base_subjects": [each.base_subject for each in facts],
        "senders": [each.sender for each in facts],
        "recipient_lists": [each.recipients for each in facts],
        "previews": [each.preview for each in facts],
        "references": [reference for message in messages for reference in message.references],
        "reference_counts": [len(message.references) for message in messages],
        "headers": [message.header for message in messages],
        "segment_lists": [message.segments for message in messages],
        "structures": [each.structure for each in facts],
        "envelopes": [message.envelope for message in messages],
        "bodystructures": [message.bodystructure for message in messages],
    }
