"""The words of an account, in which pieces of words are found: so `udget` leads to budget, which the index knows.

Made by upkeep from what is indexed, some dozen messages at a time; what came since is read instead. Only words of
scripts that have words are in it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from mailserver.mime.message_words import LONG_MARK, PEOPLE_MARK, SUBJECT_MARK
from mailserver.mime.searchable import is_unspaced
from storage import text_vocabulary
from storage.store import MailStore
from tenants.types import AccountId, Principal, TenantId

STEP_ROWS = 64
"""So many rows of new words are worth another row of the vocabulary; fewer are read by each search."""
_AT_ONCE_ROWS = 512
"""Of a backlog: most of their words are the same."""
MOST_ROWS = 32
"""More rows than this become one."""
_ANEW_ROWS = 1_000
ANEW_PURGED = 1_000
"""After so many messages were deleted it is made anew, for it keeps their words until then."""
MOST_WORDS = 400
"""A piece that stands in more words is looked for by reading."""
_REMEMBERED_OCTETS = 32 * 1024 * 1024
_MARKS = SUBJECT_MARK + PEOPLE_MARK


@dataclass(frozen=True, slots=True)
class _Known:
    """`text`: words with single spaces between and around; the messages up to `until`, by rows up to `number`."""

    until: int
    number: int
    text: str


class Vocabularies:
    """Those of one process, the least recently used forgotten."""

    def __init__(self, store: MailStore) -> None:
        self._store = store
        self._known: OrderedDict[AccountId, _Known] = OrderedDict()
        self._octets = 0

    async def words_with(self, who: Principal, piece: str, *, at_end: bool, until: int) -> list[str] | None:
        """Words that hold a piece, but do not begin with it; with `at_end`, that end in it. None: too many.

        Those of the messages up to the id `until`, which the account's vocabulary has reached. Raises StoreUnavailable.
        """
        known = self._known.get(who.account_id)
        if known is None or known.until < until:
            known = await self._read(who, known, until)
        self._known.move_to_end(who.account_id)
        return _words_with(known.text, piece, at_end=at_end)

    async def _read(self, who: Principal, known: _Known | None, until: int) -> _Known:
        async with self._store.database.read(who.tenant_id) as connection:
            rows = await text_vocabulary.read(
                connection, who.tenant_id, who.account_id, after=known.number if known else 0
            )
        if known is not None and rows and rows[0].first_number > known.number:  # one took the place of all it knew
            self._octets -= len(self._known.pop(who.account_id).text)
            known = None
        texts = [known.text.strip() if known else "", *(row.words for row in rows)]
        number = rows[-1].number if rows else known.number if known else 0
        read = _Known(until, number, f" {' '.join(filter(None, texts))} ")
        self._octets += len(read.text) - (len(known.text) if known else 0)
        self._known[who.account_id] = read
        while self._octets > _REMEMBERED_OCTETS and len(self._known) > 1:
            _, forgotten = self._known.popitem(last=False)
            self._octets -= len(forgotten.text)
        return read


def _words_with(text: str, piece: str, *, at_end: bool) -> list[str] | None:
    looked = piece + " " if at_end else piece
    found: dict[str, None] = {}
    at = text.find(looked)
    while at >= 0:
        end = text.index(" ", at)
        if text[at - 1] != " ":
            found[text[text.rindex(" ", 0, at) + 1 : end]] = None
            if len(found) > MOST_WORDS:
                return None
        at = text.find(looked, end)
    return list(found)


async def extend_vocabulary(
    store: MailStore,
    tenant_id: TenantId,
    account_id: AccountId,
    *,
    step_rows: int = STEP_ROWS,
    most_rows: int = MOST_ROWS,
    anew_purged: int = ANEW_PURGED,
) -> None:
    """Add what was indexed since, where it is enough. Two at once do no harm. Raises StoreUnavailable."""
    whose = (tenant_id, account_id)
    async with store.database.read(tenant_id) as connection:
        now = await text_vocabulary.progress(connection, *whose)
    if now is None:
        return
    if now.purged >= anew_purged:
        await _make_anew(store, *whose, now.until)
        return
    until, rows = now.until, now.rows
    while True:
        async with store.database.read(tenant_id) as connection:
            last, texts = await text_vocabulary.texts(connection, *whose, after=until, limit=_AT_ONCE_ROWS)
        if len(texts) < step_rows:
            break
        words = await asyncio.to_thread(_words_in, texts)
        async with store.database.transaction(tenant_id) as connection:
            if not await text_vocabulary.put(connection, *whose, until, last, sorted(words)):
                return
        until, rows = last, rows + 1
        if rows > most_rows:
            await _join(store, *whose, until)
            rows = 1


async def _join(store: MailStore, tenant_id: TenantId, account_id: AccountId, until: int) -> None:
    """One row with each word once."""
    async with store.database.read(tenant_id) as connection:
        rows = await text_vocabulary.read(connection, tenant_id, account_id, after=0)
    words = await asyncio.to_thread(lambda: sorted({word for row in rows for word in row.words.split(" ")}))
    async with store.database.transaction(tenant_id) as connection:
        await text_vocabulary.put(connection, tenant_id, account_id, until, until, words, replaces=True)


async def _make_anew(store: MailStore, tenant_id: TenantId, account_id: AccountId, start: int) -> None:
    words: set[str] = set()
    until = 0
    while True:
        async with store.database.read(tenant_id) as connection:
            last, texts = await text_vocabulary.texts(connection, tenant_id, account_id, after=until, limit=_ANEW_ROWS)
        if not texts:
            break
        words |= await asyncio.to_thread(_words_in, texts)
        until = last
    async with store.database.transaction(tenant_id) as connection:
        await text_vocabulary.put(
            connection, tenant_id, account_id, start, until, sorted(words), replaces=True, begins_anew=True
        )


def _words_in(texts: Iterable[str]) -> set[str]:
    words: set[str] = set()
    for text in texts:
        words.update(text.split())
    marked = {word.lstrip(_MARKS) for word in words}
    return {word for word in marked if word and word != LONG_MARK and not is_unspaced(word)}
