"""The words of an account, in which pieces of words are found: so `udget` leads to budget, which the index knows.

Made by upkeep from what is indexed, some hundred messages at a time; what came since is read instead. Only words of
scripts that have words are in it.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from mailserver.mime.message_words import LONG_MARK, PEOPLE_MARK, SUBJECT_MARK
from mailserver.mime.searchable import is_unspaced
from storage import text_vocabulary
from storage.store import MailStore
from tenants.types import AccountId, Principal, TenantId

STEP_ROWS = 512
"""So many rows of new words are worth another row of the vocabulary."""
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
    anew_purged: int = ANEW_PURGED,
) -> int:
    """Add what was indexed since, if it is enough; returns how many words. Raises StoreUnavailable."""
    async with store.database.read(tenant_id) as connection:
        now = await text_vocabulary.progress(connection, tenant_id, account_id)
    if now is None:
        return 0
    begins_anew = now.purged >= anew_purged
    start = until = 0 if begins_anew else now.until
    fresh: set[str] = set()
    known: set[str] | None = None
    while True:
        async with store.database.read(tenant_id) as connection:
            last, texts = await text_vocabulary.texts(connection, tenant_id, account_id, after=until, limit=step_rows)
            if not last or (len(texts) < step_rows and until == start and not begins_anew):
                break
            if known is None:
                rows = [] if start == 0 else await text_vocabulary.read(connection, tenant_id, account_id, after=0)
                known = {word for row in rows for word in row.words.split(" ")}
        fresh |= _words_in(texts) - known
        until = last
    if until == start and not begins_anew:
        return 0
    async with store.database.transaction(tenant_id) as connection:
        is_put = await text_vocabulary.put(connection, tenant_id, account_id, start, until, sorted(fresh))
    return len(fresh) if is_put else 0


def _words_in(texts: Iterable[str]) -> set[str]:
    words: set[str] = set()
    for text in texts:
        words.update(text.split())
    marked = {word.lstrip(_MARKS) for word in words}
    return {word for word in marked if word and word != LONG_MARK and not is_unspaced(word)}
