"""Messages in a mailbox, as a person works with them: open, read, flag, copy, move, expunge."""

import asyncio
import contextlib
from array import array
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date

from mailserver.services.appending import append as append  # one message; several at once are asked for there
from mailserver.services.mailboxes import find_selectable
from storage import content as stored_content
from storage import contents as stored_contents
from storage import copies, flags, rows
from storage import mailboxes as stored_mailboxes
from storage.bodies import MessageWithOctets, read_messages
from storage.content import Content
from storage.errors import MailboxNotFound
from storage.flags import CHUNK_MESSAGES, FlagRequest, StoredFlags
from storage.query import Connection
from storage.read_notes import FEW_MESSAGES
from storage.rows import Columns, FetchRow
from storage.store import MailStore
from storage.types import (
    BlobDigest,
    FlagChange,
    Mailbox,
    MailboxId,
    MessageId,
    Modseq,
    Uid,
    UidValidity,
)
from tenants.types import Principal

FETCH_CHUNK_MESSAGES = 500
BODIES_CHUNK_MESSAGES = 100
HEADER_CHUNK_MESSAGES = 250  # those with long headers come one by one


@dataclass(frozen=True, slots=True)
class Contents:
    r"""A mailbox as a session opens it, all at one moment.

    `uids` ascend ("I"), `flags` holds SystemFlag bits beside them ("B"), `keywords` only the uids that have any; others
    may hold them too. `modseq` is the mailbox's highest, `account_modseq` the cursor for `changes_since`, read on
    `day`. Messages from `recent_from` on are \\Recent to this session.
    """

    mailbox: Mailbox
    uids: "array[int]"
    flags: "array[int]"
    keywords: dict[int, frozenset[str]]
    modseq: Modseq
    account_modseq: Modseq
    recent_from: Uid
    day: date
    epoch: int


@dataclass(frozen=True, slots=True)
class Expunged:
    uids: Sequence[Uid]
    modseq: Modseq | None


@dataclass(frozen=True, slots=True)
class Copied:
    """`source_uids[i]` is now `target_uids[i]` in the mailbox of `uidvalidity` (RFC 4315 §3)."""

    uidvalidity: UidValidity
    source_uids: Sequence[Uid]
    target_uids: Sequence[Uid]


async def load_contents(store: MailStore, who: Principal, mailbox_id: MailboxId) -> Contents:
    r"""Everything that EXAMINE shows, by the mailbox's id; `opening` does it by name. Raises MailboxNotFound."""
    async with store.database.read(who.tenant_id) as connection:
        loaded = await stored_contents.load(connection, who.tenant_id, who.account_id, mailbox_id)
    return contents_of(loaded, loaded.mailbox.first_recent_uid)


def contents_of(loaded: stored_contents.Contents, recent_from: Uid) -> Contents:
    return Contents(
        loaded.mailbox,
        loaded.uids,
        loaded.flags,
        loaded.keywords,
        loaded.mailbox.modseq,
        loaded.account_modseq,
        recent_from,
        loaded.day,
        loaded.epoch,
    )


async def claim_recent(store: MailStore, who: Principal, mailbox_id: MailboxId) -> Uid | None:
    r"""Messages that came while the mailbox was open are \Recent to the first session that claims them."""
    async with store.database.read(who.tenant_id) as connection:
        return await stored_mailboxes.claim_recent(connection, who.tenant_id, mailbox_id)


async def fetch_rows(
    store: MailStore, who: Principal, mailbox_id: MailboxId, uids: Sequence[Uid], columns: Columns
) -> AsyncIterator[list[FetchRow]]:
    """Chunks of rows by ascending uid; messages that are gone are absent.

    While the caller works on one chunk the next one is read already. No connection is held while it takes its time.
    Messages with long headers or many parts come one by one, or hundreds of them would fill the memory.
    """
    step = HEADER_CHUNK_MESSAGES if Columns.HEADER in columns else FETCH_CHUNK_MESSAGES

    async def read(start: int) -> list[FetchRow]:
        async with store.database.read(who.tenant_id) as connection:
            return await rows.fetch(
                connection, who.tenant_id, who.account_id, mailbox_id, uids[start : start + step], columns, cuts=True
            )

    async def whole(found: list[FetchRow]) -> AsyncIterator[list[FetchRow]]:
        start = 0
        for place, row in enumerate(found):
            if row.is_cut:
                yield found[start:place]
                async with store.database.read(who.tenant_id) as connection:
                    long = await rows.fetch(connection, who.tenant_id, who.account_id, mailbox_id, [row.uid], columns)
                yield long
                start = place + 1
        yield found[start:]

    if len(uids) <= step:
        if uids:
            async for some in whole(await read(0)):
                yield some
        return
    loop = asyncio.get_running_loop()
    ahead = loop.create_task(read(0))
    try:
        for following in range(step, len(uids), step):
            found = await ahead
            ahead = loop.create_task(read(following))
            async for some in whole(found):
                yield some
        async for some in whole(await ahead):
            yield some
    finally:
        ahead.cancel()


async def fetch_messages(
    store: MailStore, who: Principal, mailbox_id: MailboxId, uids: Sequence[Uid], columns: Columns
) -> AsyncIterator[list[MessageWithOctets]]:
    """Messages with their octets by ascending uid, a statement for many; those that are gone are absent.

    While the caller works on some, the next ones are read already. No connection is held while it takes its time.
    """
    keys = await store.keys.of(who.tenant_id)

    async def read(start: int) -> tuple[list[MessageWithOctets], int]:
        """Some messages, and where among the uids to go on."""
        asked = uids[start : start + BODIES_CHUNK_MESSAGES]
        found = await read_messages(
            store.database,
            store.blobs,
            keys,
            who.account_id,
            mailbox_id,
            asked,
            with_wire_forms=Columns.WIRE in columns,
        )
        if len(uids) <= FEW_MESSAGES:
            store.blobs.notes.note(who.tenant_id, [BlobDigest(each.digest) for each in found if each.digest])
        return found, start + (bisect_right(asked, found[-1].row.uid) if found else len(asked))

    ahead: asyncio.Task[tuple[list[MessageWithOctets], int]] | None = None
    try:
        found, following = await read(0)
        while following < len(uids):
            ahead = asyncio.get_running_loop().create_task(read(following))
            yield found
            found, following = await ahead
        yield found
    finally:
        if ahead is not None:
            ahead.cancel()


async def open_content(store: MailStore, who: Principal, message_id: MessageId) -> Content:
    """A message's octets, to be read in ranges. Raises MessageGone."""
    keys = await store.keys.of(who.tenant_id)
    async with store.database.read(who.tenant_id) as connection:
        return await stored_content.open_content(
            connection, store.database, store.blobs, keys, who.tenant_id, who.account_id, message_id
        )


async def change_flags(
    store: MailStore,
    who: Principal,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    change: FlagChange,
    *,
    unchanged_since: Modseq | None = None,
) -> list[StoredFlags]:
    """STORE (RFC 3501 §6.4.6, RFC 7162 §3.1.3), in chunks that each have a modseq. Raises TooManyKeywords.

    STOREs of one account that come while one is under way share the next transaction.
    """
    account = (who.tenant_id, who.account_id)

    async def change_all(requests: Sequence[FlagRequest]) -> list[list[StoredFlags]]:
        async def attempt() -> list[list[StoredFlags]]:
            async with store.database.read(who.tenant_id) as connection:
                return await flags.change_flags(connection, who.tenant_id, who.account_id, requests)

        results = await store.database.retried(attempt)
        changed = [each.modseq for stored in results for each in stored if each.is_changed]
        if changed:
            store.announce(who.tenant_id, who.account_id, max(changed))
        return results

    if len(uids) <= CHUNK_MESSAGES:
        return await store.joins.flags.do(account, FlagRequest(mailbox_id, uids, change, unchanged_since), change_all)
    stored: list[StoredFlags] = []
    for start in range(0, len(uids), CHUNK_MESSAGES):
        request = FlagRequest(mailbox_id, uids[start : start + CHUNK_MESSAGES], change, unchanged_since)
        stored += await store.joins.flags.do(account, request, change_all)
    return stored


async def expunge(store: MailStore, who: Principal, mailbox_id: MailboxId, uids: Sequence[Uid] | None) -> Expunged:
    r"""Remove messages with \Deleted: all of them, or those among `uids` (UID EXPUNGE, RFC 4315 §2.1).

    What stands nowhere else can be brought back for a while (`recovering`).
    """
    keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)
    removed: list[Uid] = []
    last: Modseq | None = None
    chunks: list[Sequence[Uid] | None] = (
        [None] if uids is None else [uids[i : i + CHUNK_MESSAGES] for i in range(0, len(uids), CHUNK_MESSAGES)]
    )
    for chunk in chunks:
        while True:
            async with store.database.read(who.tenant_id) as connection:
                gone, modseq = await flags.expunge(
                    connection, who.tenant_id, who.account_id, mailbox_id, chunk, keeping=keeping
                )
            if modseq is None:
                break
            removed += gone
            last = modseq
            store.announce(who.tenant_id, who.account_id, modseq)
            if len(gone) < CHUNK_MESSAGES:
                break
    return Expunged(removed, last)


async def copy(store: MailStore, who: Principal, source: MailboxId, uids: Sequence[Uid], target_name: str) -> Copied:
    """Copy messages, sharing their blobs, with fresh uids in the target (RFC 3501 §6.4.7). All or nothing.

    Raises MailboxNotFound (the door adds TRYCREATE), MailboxNotSelectable, OverQuota.
    """
    target = await find_selectable(store, who, target_name)
    is_pool_full = await store.pools.let_in(store.database, who.tenant_id, 0) is not None
    quota_octets = 0 if is_pool_full else who.quota_octets  # asked only of messages that count again

    async def copy_all() -> tuple[list[copies.CopiedMessage], Modseq | None]:
        async with _naming(target), store.database.transaction(who.tenant_id) as connection:
            return await _copy_chunks(connection, who, source, uids, target.id, quota_octets)

    copied, modseq = await store.database.retried(copy_all)
    if modseq is not None:
        store.announce(who.tenant_id, who.account_id, modseq)
    return _copied(target.uidvalidity, copied)


@contextlib.asynccontextmanager
async def _naming(target: Mailbox) -> AsyncIterator[None]:
    """Storage knows the target by its id; who reads the refusal, by its name."""
    try:
        yield
    except MailboxNotFound:
        raise MailboxNotFound(target.name) from None


async def _copy_chunks(
    connection: Connection,
    who: Principal,
    source: MailboxId,
    uids: Sequence[Uid],
    target: MailboxId,
    quota_octets: int | None,
) -> tuple[list[copies.CopiedMessage], Modseq | None]:
    copied: list[copies.CopiedMessage] = []
    last: Modseq | None = None
    for start in range(0, len(uids), CHUNK_MESSAGES):
        chunk, modseq = await copies.copy(
            connection,
            who.tenant_id,
            who.account_id,
            source,
            uids[start : start + CHUNK_MESSAGES],
            target,
            is_move=False,
            quota_octets=quota_octets,
        )
        copied += chunk
        last = modseq or last
    return copied, last


async def move(store: MailStore, who: Principal, source: MailboxId, uids: Sequence[Uid], target_name: str) -> Copied:
    """Move messages (RFC 6851): each is in exactly one of the two mailboxes at any time; chunks move one after another.

    Raises MailboxNotFound, MailboxNotSelectable.
    """
    target = await find_selectable(store, who, target_name)
    moved: list[copies.CopiedMessage] = []
    for start in range(0, len(uids), CHUNK_MESSAGES):
        chunk = uids[start : start + CHUNK_MESSAGES]

        async def move_chunk(
            chunk: Sequence[Uid] = chunk,
        ) -> tuple[list[copies.CopiedMessage], Modseq | None]:
            async with _naming(target), store.database.read(who.tenant_id) as connection:
                return await copies.copy(
                    connection,
                    who.tenant_id,
                    who.account_id,
                    source,
                    chunk,
                    target.id,
                    is_move=True,
                    quota_octets=None,
                )

        result, modseq = await store.database.retried(move_chunk)
        moved += result
        if modseq is not None:
            store.announce(who.tenant_id, who.account_id, modseq)
    return _copied(target.uidvalidity, moved)


def _copied(uidvalidity: UidValidity, messages: Sequence[copies.CopiedMessage]) -> Copied:
    return Copied(
        uidvalidity,
        [Uid(message.source_uid) for message in messages],
        [Uid(message.target_uid) for message in messages],
    )
