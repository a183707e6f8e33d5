"""Messages become words in the index: of an account, in the order in which they came, some dozens in a transaction.

Whoever comes first does it: upkeep within seconds of a delivery, or a search that finds more new mail than it reads
itself. Both at once do no harm, the second writes nothing. A message that is damaged is noted and passed over for
good; one that is out of reach, since S3 is away, is noted and tried again.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mailserver.mime.fields import parse_fields
from mailserver.mime.message_words import (
    PART_OCTETS,
    MessageWords,
    forms_of_part_header,
    is_read,
    parts_of,
    people_of,
    readable_text,
    rows_of,
    subject_of,
    without_repeats,
    words_of_message,
)
from mailserver.mime.packing import unpack
from mailserver.mime.part import Part
from mailserver.mime.searchable import form_of
from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from storage import content, message_text
from storage.content import LongMessage, SealedMessage
from storage.errors import ColdTierUnavailable, ContentDamaged, MessageGone
from storage.keys import TenantKeys
from storage.message_text import DAMAGED, IN_BIN, OUT_OF_REACH, TextRow
from storage.store import MailStore
from storage.types import MessageId, Modseq
from tenants.types import AccountId, TenantId

INDEXED = counter("index_messages", "Messages that were read for the index, by what came of it.", "outcome")
INDEX_ROWS = counter("index_rows", "Rows that were written to the index.")

BATCH_MESSAGES = 64
_LONG_AT_ONCE = 2
_MESSAGE_OCTETS = 8 * 1024 * 1024
"""Of the texts of one long message, as they are in it; what stands beyond is not indexed."""

log = get_logger()


@dataclass(frozen=True, slots=True)
class Indexed:
    """`messages` were read; `is_complete`: the account is indexed as far as it stood at the beginning."""

    messages: int
    is_complete: bool


async def index_account(
    store: MailStore,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    most_messages: int | None = None,
    notes_nothing: bool = True,
) -> Indexed:
    """Index what is new, as much as asked for. It can be stopped anywhere, and goes on where it stopped.

    `notes_nothing`: when the account moved without new messages, that is written down too. Raises StoreUnavailable,
    KeyUnusable.
    """
    done = 0
    async with store.database.read(tenant_id) as connection:
        stands = await message_text.standing(connection, tenant_id, account_id)
    if stands is None:
        return Indexed(0, True)
    aim = stands.account
    while stands.indexed < aim:
        limit = BATCH_MESSAGES if most_messages is None else min(BATCH_MESSAGES, most_messages - done)
        if limit <= 0:
            return Indexed(done, False)
        async with store.database.read(tenant_id) as connection:
            found = await message_text.unindexed(connection, tenant_id, account_id, stands, limit)
        if not found and not notes_nothing:
            break
        up_to = Modseq(found[-1].modseq) if len(found) >= limit else aim
        rows: list[TextRow] = []
        for start in range(0, len(found), BATCH_MESSAGES):
            some = found[start : start + BATCH_MESSAGES]
            rows += await texts_of(store, tenant_id, account_id, [MessageId(each.message_id) for each in some])
        async with store.database.transaction(tenant_id) as connection:
            INDEX_ROWS.labels().inc(await message_text.put(connection, tenant_id, account_id, rows, up_to))
        done += len(found)
        stands = replace(stands, indexed=up_to)
    return Indexed(done, True)


async def try_again(store: MailStore, tenant_id: TenantId, account_id: AccountId, problem: int) -> int:
    """Read what was out of reach, or in the bin; returns how many messages were read now.

    Raises StoreUnavailable, KeyUnusable.
    """
    done, after = 0, 0
    while True:
        async with store.database.read(tenant_id) as connection:
            ids = await message_text.with_problem(
                connection, tenant_id, account_id, problem, after=after, limit=BATCH_MESSAGES
            )
        if not ids:
            return done
        after = ids[-1]
        rows = [row for row in await texts_of(store, tenant_id, account_id, ids) if row.problem != problem]
        if rows:
            async with store.database.transaction(tenant_id) as connection:
                await message_text.put(connection, tenant_id, account_id, rows, None)
        done += len({row.message_id for row in rows})


async def texts_of(
    store: MailStore, tenant_id: TenantId, account_id: AccountId, ids: Sequence[MessageId]
) -> list[TextRow]:
    """What the index keeps of messages; nothing of those that are gone."""
    if not ids:
        return []
    keys = await store.keys.of(tenant_id)
    sealed = await content.read_by_ids(store.database, store.blobs, tenant_id, account_id, ids)
    rows, others = await asyncio.to_thread(_rows_of_small, keys, sealed)
    for start in range(0, len(others), _LONG_AT_ONCE):
        some = others[start : start + _LONG_AT_ONCE]
        for found in await asyncio.gather(*(_rows_of_long(store, tenant_id, account_id, each) for each in some)):
            rows += found
    return rows


def _rows_of_small(keys: TenantKeys, sealed: Sequence[SealedMessage]) -> tuple[list[TextRow], list[LongMessage]]:
    whole, others = content.open_many(keys, sealed)
    rows: list[TextRow] = []
    for message in whole:
        rows += _rows(MessageId(message.uid), words_of_message(message.octets, unpack(message.structure)))
    INDEXED.labels("read").inc(len(whole))
    return rows, others


def _rows(message_id: MessageId, words: MessageWords) -> list[TextRow]:
    return [TextRow(message_id, part, text) for part, text in enumerate(rows_of(words))]


async def _rows_of_long(
    store: MailStore, tenant_id: TenantId, account_id: AccountId, message: LongMessage
) -> list[TextRow]:
    try:
        words = await words_of_long(store, tenant_id, account_id, message)
    except MessageGone:  # for good, or in the bin, from where it may come back
        INDEXED.labels("gone").inc()
        return [TextRow(message.message_id, 0, "", IN_BIN)]
    except ColdTierUnavailable:
        INDEXED.labels("out of reach").inc()
        return [TextRow(message.message_id, 0, "", OUT_OF_REACH)]
    except ContentDamaged as damage:
        INDEXED.labels("damaged").inc()
        log.error("a message cannot be indexed", message=message.message_id, reason=damage.what)
        return [TextRow(message.message_id, 0, "", DAMAGED)]
    INDEXED.labels("read in parts").inc()
    return _rows(message.message_id, words)


async def words_of_long(
    store: MailStore, tenant_id: TenantId, account_id: AccountId, message: LongMessage
) -> MessageWords:
    """Part by part, so that attachments of many megabytes are not even read. Raises what `Content.read` does."""
    keys = await store.keys.of(tenant_id)
    async with store.database.read(tenant_id) as connection:
        opened = await content.open_content(
            connection, store.database, store.blobs, keys, tenant_id, account_id, message.message_id
        )
    root = unpack(message.structure)
    fields = parse_fields(await opened.read(0, root.header_octets))
    forms: list[str] = []
    left = _MESSAGE_OCTETS
    for part, is_inner in parts_of(root):
        if part is not root:
            header = await opened.read(part.header_offset, part.header_octets) if is_inner else b""
            forms += forms_of_part_header(part, header)
        if is_read(part) and left > 0:
            octets = await opened.read(part.body_offset, min(part.body_octets, PART_OCTETS, left))
            left -= len(octets)
            forms.append(await asyncio.to_thread(_form_of_leaf, octets, part))
    return MessageWords(subject_of(fields), people_of(fields), tuple(without_repeats(forms)))


def _form_of_leaf(octets: bytes, part: Part) -> str:
    return form_of(readable_text(octets, part.with_body(0, len(octets))))
