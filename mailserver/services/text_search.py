"""Messages by the words they hold, from the index: for SEARCH TEXT and BODY over IMAP, and for JMAP.

What is found is exact by the forms of texts (`mailserver.mime.searchable`): words in their order, from the beginning of
a word on; within runs of Chinese, Japanese or Korean anywhere. One word, or two characters of a run, the index answers
alone; for more it names the rows in which all of them stand, and the phrase is looked for in those. Over IMAP a text
may also begin within a word (RFC 3501 §6.4.4: a substring): the account's vocabulary says which words those are.

Results are never behind: mail that is not in the index yet is read, up to a bound; beyond it is indexed first.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.mime.message_words import LONG_MARK, PEOPLE_MARK, SUBJECT_MARK
from mailserver.mime.searchable import Needle, is_unspaced, needle_of, needles_of
from mailserver.services.indexing import index_account, texts_of
from mailserver.services.vocabularies import Vocabularies
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
    asked = _Asked(index_key(who.tenant_id, who.account_id), _MARKS[where])
    async with store.database.read(who.tenant_id) as connection:
        found = await asked.with_all(connection, who.tenant_id, who.account_id, needles)
    for message_id, rows in _by_message(await texts_of(store, who.tenant_id, who.account_id, fresh.message_ids)):
        if all(any(asked.is_in_row(needle, row.words) for row in rows) for needle in needles):
            found.add(message_id)
    return found


@dataclass(frozen=True, slots=True)
class FoundInMailbox:
    """Uids that the index answers for; and those it does not know yet, which are to be read."""

    uids: set[int]
    unread: set[int]


async def find_in(
    store: MailStore,
    vocabularies: Vocabularies,
    who: Principal,
    mailbox_id: MailboxId,
    text: str,
    *,
    in_header: bool,
) -> FoundInMailbox | None:
    """Where a text stands in the messages of a mailbox, as SEARCH TEXT (`in_header`) or BODY asks.

    None: there is no word in it, so only reading helps. Raises StoreUnavailable, KeyUnusable.
    """
    needle = needle_of(text)
    if needle is None:
        return None
    tenant_id, account_id = who.tenant_id, who.account_id
    fresh = await _up_to_date(store, tenant_id, account_id)
    marks = _MARKS[Where.TEXT if in_header else Where.BODY]
    within = await _within(vocabularies, who, needle, fresh.vocabulary)
    asked = _Asked(index_key(tenant_id, account_id), marks, within or ())
    held = [
        message_id
        for message_id, rows in _by_message(await texts_of(store, tenant_id, account_id, fresh.message_ids))
        if any(asked.is_within_row(needle, row.words) for row in rows)
    ]
    unread: set[int] = set()
    needs_reading = within is None or (fresh.has_tail and not is_unspaced(needle.words[0]))
    read = None
    if needs_reading:
        after = 0 if within is None else fresh.vocabulary
        read = message_text.Reading(after, asked.patterns_within(needle), asked.pattern_within(needle))
    words, phrases = asked.query(needle), asked.phrases_within(needle)
    async with store.database.read(tenant_id) as connection:
        uids = await message_text.find_in(connection, tenant_id, account_id, mailbox_id, words, phrases, read)
        if fresh.message_ids:
            uids.update(await message_text.uids_of(connection, tenant_id, account_id, mailbox_id, held))
            unread.update(await message_text.uids_of(connection, tenant_id, account_id, mailbox_id, fresh.message_ids))
    return FoundInMailbox(uids, unread - uids)


async def _within(vocabularies: Vocabularies, who: Principal, needle: Needle, until: int) -> list[str] | None:
    """Words that the first word of a needle is a piece of, or the end, when others follow. None: too many."""
    first = needle.words[0]
    if is_unspaced(first) or not until:
        return []
    return await vocabularies.words_with(who, first, at_end=len(needle.words) > 1, until=until)


@dataclass(frozen=True, slots=True)
class _Fresh:
    """What the index does not know, few enough to be read. `has_tail`: it knows more than the vocabulary."""

    message_ids: list[MessageId]
    vocabulary: int
    has_tail: bool


async def _up_to_date(store: MailStore, tenant_id: TenantId, account_id: AccountId) -> _Fresh:
    """What is not in the index yet; if it is too much, it is indexed now."""
    while True:
        async with store.database.read(tenant_id) as connection:
            stands = await message_text.standing(connection, tenant_id, account_id)
            if stands is None:
                return _Fresh([], 0, has_tail=False)
            fresh = await _unindexed(connection, tenant_id, account_id, stands)
            if len(fresh) <= READ_MESSAGES:
                if stands.has_problems:
                    fresh += await message_text.with_problem(
                        connection, tenant_id, account_id, OUT_OF_REACH, after=0, limit=_OUT_OF_REACH_READ
                    )
                return _Fresh(fresh, stands.vocabulary, stands.has_tail)
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
    """What is asked of the index. `marks`: how words of the texts in question begin.

    `within`: words of the account that go on with the first word of the needle, which is asked for in them too.
    """

    key: str
    marks: Sequence[str]
    within: Sequence[str] = ()

    def query(self, needle: Needle) -> str:
        """A tsquery: all words of the needle in one of the texts. Words hold neither quotes nor backslashes."""
        return " | ".join(f"({self._all(needle, mark)})" for mark in self.marks)

    def _all(self, needle: Needle, mark: str) -> str:
        words = [f"'{self.key}{mark}{word}'" for word in needle.words]
        if needle.is_open:
            words[-1] += ":*"
        if self.within:
            words[0] = " | ".join([words[0], *(f"'{self.key}{mark}{word}'" for word in self.within)])
            words[0] = f"({words[0]})"
        return " & ".join(dict.fromkeys(words))

    def phrases(self, needle: Needle) -> list[str] | None:
        """What one of has to stand in the words; None: the index knows for certain."""
        return None if len(needle.words) == 1 else list(self._patterns(needle))

    def phrases_within(self, needle: Needle) -> list[str] | None:
        """The same where the first word may be the end of one."""
        return None if len(needle.words) == 1 else self.patterns_within(needle)

    def _patterns(self, needle: Needle) -> Iterable[str]:
        end = "" if needle.is_open else " "
        for mark in self.marks:
            yield " " + " ".join(mark + word for word in needle.words) + end

    def patterns_within(self, needle: Needle) -> list[str]:
        if is_unspaced(needle.words[0]):
            return list(self._patterns(needle))
        first, *others = needle.words
        if not others:
            return [first]
        end = "" if needle.is_open else " "
        return [" ".join([first, *(mark + word for word in others)]) + end for mark in self.marks]

    def pattern_within(self, needle: Needle) -> str | None:
        """A regular expression for one word, which alone may stand in texts of any kind. None: it is not needed."""
        if len(needle.words) > 1 or is_unspaced(needle.words[0]):
            return None
        kinds = [f"{mark}[^ ]*" if mark else f"([^ {SUBJECT_MARK}{PEOPLE_MARK}][^ ]*)?" for mark in self.marks]
        return f" ({'|'.join(kinds)}){needle.words[0]}"

    def is_in_row(self, needle: Needle, words: str) -> bool:
        return any(pattern in f" {words} " for pattern in self._patterns(needle))

    def is_within_row(self, needle: Needle, words: str) -> bool:
        if (pattern := self.pattern_within(needle)) is not None:
            return re.search(pattern, f" {words} ") is not None
        return any(pattern in f" {words} " for pattern in self.patterns_within(needle))

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
