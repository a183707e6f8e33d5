"""Messages by the words they hold, from the index: for SEARCH TEXT and BODY over IMAP, and for JMAP.

What is found is exact by the forms of texts (`mailserver.mime.searchable`): words in their order, from the beginning of
a word on; within runs of Chinese, Japanese or Korean anywhere. One word, or two characters of a run, the index answers
alone; for more it names the rows in which all of them stand, and the phrase is looked for in those.

Results are never behind: mail that is not in the index yet is read, up to a bound; beyond it is indexed first.
"""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.mime.message_words import LONG_MARK, PEOPLE_MARK, SUBJECT_MARK
from mailserver.mime.searchable import Needle, needle_of, needles_of
from mailserver.services.indexing import index_account, texts_of
from storage import message_text
from storage.message_text import OUT_OF_REACH, Standing, TextRow, index_key
from storage.query import Connection
from storage.store import MailStore
from storage.types import MailboxId, MessageId
from tenants.types import AccountId, Principal, TenantId

READ_MESSAGES = 100
"""So many new messages are read by who searches; more are indexed first."""
_OUT_OF_REACH_READ = 100


class Where(Enum):
    """Which texts of a message are looked through."""

    TEXT = "text"  # all that the index knows
    BODY = "body"
    SUBJECT = "subject"
    PEOPLE = "people"  # From, Sender, Reply-To, To, Cc, Bcc


_MARKS: dict[Where, tuple[str, ...]] = {
    Where.TEXT: ("", SUBJECT_MARK, PEOPLE_MARK),
    Where.BODY: ("",),
    Where.SUBJECT: (SUBJECT_MARK,),
    Where.PEOPLE: (PEOPLE_MARK,),
}


class AccountTexts:
    """Texts in all messages of whoever asks: the `TextIndex` of `email_texts`."""

    def __init__(self, store: MailStore) -> None:
        self._store = store

    async def __call__(self, who: Principal, text: str, *, in_header: bool) -> set[MessageId] | None:
        return await find(self._store, who, Where.TEXT if in_header else Where.BODY, text)


async def find(store: MailStore, who: Principal, where: Where, text: str) -> set[MessageId] | None:
    """Messages that hold all words and all quoted phrases of a text (RFC 8621 §4.4.1), wherever they stand.

    Those in the bin are among them: whoever asks knows which are there. None: there is no word in the text, so only
    reading helps. Raises StoreUnavailable, KeyUnusable.
    """
    needles = needles_of(text)
    if not needles:
        return None
    fresh = await _up_to_date(store, who.tenant_id, who.account_id)
    asked = _Asked(store, index_key(who.tenant_id, who.account_id), _MARKS[where])
    async with store.database.read(who.tenant_id) as connection:
        found = await asked.with_all(connection, who.tenant_id, who.account_id, needles)
    for message_id, rows in _by_message(await texts_of(store, who.tenant_id, who.account_id, fresh)):
        if all(any(asked.is_in_row(needle, row.words) for row in rows) for needle in needles):
            found.add(message_id)
    return found


@dataclass(frozen=True, slots=True)
class FoundInMailbox:
    """Uids that the index answers for; and those it does not know yet, which are to be read."""

    uids: set[int]
    unread: set[int]


async def find_in(
    store: MailStore, who: Principal, mailbox_id: MailboxId, text: str, *, in_header: bool
) -> FoundInMailbox | None:
    """Where a text stands in the messages of a mailbox, as SEARCH TEXT (`in_header`) or BODY asks.

    None: there is no word in it, so only reading helps. Raises StoreUnavailable, KeyUnusable.
    """
    needle = needle_of(text)
    if needle is None:
        return None
    tenant_id, account_id = who.tenant_id, who.account_id
    fresh = await _up_to_date(store, tenant_id, account_id)
    asked = _Asked(store, index_key(tenant_id, account_id), _MARKS[Where.TEXT if in_header else Where.BODY])
    held = [
        message_id
        for message_id, rows in _by_message(await texts_of(store, tenant_id, account_id, fresh))
        if any(asked.is_in_row(needle, row.words) for row in rows)
    ]
    async with store.database.read(tenant_id) as connection:
        words, phrases = asked.query(needle), asked.phrases(needle)
        uids = set(await message_text.find_in(connection, tenant_id, account_id, mailbox_id, words, phrases))
        unread: set[int] = set()
        if fresh:
            uids.update(await message_text.uids_of(connection, tenant_id, account_id, mailbox_id, held))
            unread.update(await message_text.uids_of(connection, tenant_id, account_id, mailbox_id, fresh))
    return FoundInMailbox(uids, unread - uids)


async def _up_to_date(store: MailStore, tenant_id: TenantId, account_id: AccountId) -> list[MessageId]:
    """Messages that are not in the index, few enough to be read; if they are too many, they are indexed now."""
    while True:
        async with store.database.read(tenant_id) as connection:
            stands = await message_text.standing(connection, tenant_id, account_id)
            if stands is None:
                return []
            fresh = await _unindexed(connection, tenant_id, account_id, stands)
            if len(fresh) <= READ_MESSAGES:
                if not stands.has_problems:
                    return fresh
                away = await message_text.with_problem(
                    connection, tenant_id, account_id, OUT_OF_REACH, after=0, limit=_OUT_OF_REACH_READ
                )
                return fresh + away
        await index_account(store, tenant_id, account_id)
        await asyncio.sleep(0)


async def _unindexed(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, stands: Standing
) -> list[MessageId]:
    if not stands.is_behind:
        return []
    found = await message_text.unindexed(connection, tenant_id, account_id, stands, READ_MESSAGES + 1)
    return [MessageId(each.message_id) for each in found]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is asked of the index. `marks`: how words of the texts in question begin."""

    store: MailStore
    key: str
    marks: Sequence[str]

    def query(self, needle: Needle) -> str:
        """A tsquery: all words of the needle in one of the texts. Words hold neither quotes nor backslashes."""
        return " | ".join(f"({self._all(needle, mark)})" for mark in self.marks)

    def _all(self, needle: Needle, mark: str) -> str:
        words = [f"'{self.key}{mark}{word}'" for word in needle.words]
        if needle.is_open:
            words[-1] += ":*"
        return " & ".join(dict.fromkeys(words))

    def phrases(self, needle: Needle) -> list[str] | None:
        """Patterns for LIKE, of which one has to match; None: the index knows for certain. No word holds % or _."""
        if len(needle.words) == 1:
            return None
        return [f"%{pattern}%" for pattern in self._patterns(needle)]

    def _patterns(self, needle: Needle) -> Iterable[str]:
        end = "" if needle.is_open else " "
        for mark in self.marks:
            yield " " + " ".join(mark + word for word in needle.words) + end

    def is_in_row(self, needle: Needle, words: str) -> bool:
        return any(pattern in f" {words} " for pattern in self._patterns(needle))

    async def with_all(
        self, connection: Connection, tenant_id: TenantId, account_id: AccountId, needles: Sequence[Needle]
    ) -> set[MessageId]:
        everything = " & ".join(f"({self.query(needle)})" for needle in needles)
        phrases = [patterns for needle in needles if (patterns := self.phrases(needle)) is not None]

        async def ids(words: str, patterns: list[str] | None) -> set[int]:
            return set(await message_text.find(connection, tenant_id, account_id, words, patterns))

        found = await ids(everything, phrases[0] if phrases else None)
        for patterns in phrases[1:]:
            if found:
                found &= await ids(everything, patterns)
        if len(needles) > 1:  # of long messages one row may hold the one and another row the other
            long = f"'{self.key}{LONG_MARK}'"
            in_each = [await ids(f"{long} & ({self.query(needle)})", self.phrases(needle)) for needle in needles]
            found |= set.intersection(*in_each)
        return {MessageId(each) for each in found}


def _by_message(rows: Collection[TextRow]) -> list[tuple[MessageId, list[TextRow]]]:
    by_message: dict[MessageId, list[TextRow]] = {}
    for row in rows:
        by_message.setdefault(row.message_id, []).append(row)
    return list(by_message.items())
