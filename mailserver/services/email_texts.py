"""What Emails say, where that is not in memory: found and compared mailbox by mailbox, through what IMAP searches with.

An Email is asked about in one of its mailboxes. The whole text of messages is found by an index where there is one
(`TextIndex`); without it, messages are read.
"""

import asyncio
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Protocol, assert_never

from mailserver.mime.envelope_people import people_of_fields, sort_display
from mailserver.mime.fields import parse_fields
from mailserver.services import position_mask as masks
from mailserver.services.account_view import AccountView, MailboxContents
from mailserver.services.email_filters import FieldHolds, HeaderHolds, Looked, TextHolds, bits_of, tokens_of
from mailserver.services.email_sorting import Collation, SortBy, text_key
from mailserver.services.position_mask import Mask
from mailserver.services.search import Searched
from mailserver.services.search_keys import (
    AllOf,
    AmongPositions,
    BodyContains,
    EnvelopeContains,
    HeaderContains,
    SearchProgram,
    TextContains,
)
from mailserver.services.searching import Searches
from mailserver.services.sorting import SortBy as PageSortBy
from storage import emails
from storage.emails import EmailColumns, EmailRow
from storage.store import MailStore
from storage.types import MailboxId, MessageId
from tenants.types import Principal

_TEXTS_AT_ONCE = 1_000
_OF_PAGES = {SortBy.FROM: PageSortBy.DISPLAY_FROM, SortBy.TO: PageSortBy.DISPLAY_TO, SortBy.SUBJECT: PageSortBy.SUBJECT}


class TextIndex(Protocol):
    """What finds a text in all messages of an account, as they are now; None: it cannot say, and they must be read."""

    async def __call__(self, who: Principal, text: str, *, in_header: bool) -> set[MessageId] | None: ...


@dataclass(frozen=True, slots=True)
class EmailTexts:
    """Of one account, as one view shows it. `Finder` of `email_filters`. Everything raises SearchTooLong."""

    store: MailStore
    searches: Searches
    who: Principal
    view: AccountView
    index: TextIndex | None = None

    async def matching(self, looked: Looked, among: Mask) -> Mask:
        if isinstance(looked, TextHolds) and self.index is not None:
            found = await self.index(self.who, looked.text, in_header=looked.in_header)
            if found is not None:
                slots = [slot for each in found if (slot := self.view.slot_of(each)) is not None]
                return among & masks.of_positions(slots, self.view.count)
        program = _program_of(looked)
        matched: list[int] = []
        for mailbox, contents, positions in self._where(among):
            asked: SearchProgram = program
            if len(positions) < len(contents.slots):
                asked = AllOf((AmongPositions(_spans(positions)), program))
            found_at = await self.searches.search(self.who, _searched(mailbox, contents), asked)
            matched += [contents.slots[position] for position in found_at]
        return masks.of_positions(matched, self.view.count)

    async def keys(self, slots: Sequence[int], by: SortBy, collation: Collation) -> Mapping[int, bytes]:
        """What these are compared by."""
        keys: dict[int, bytes] = dict.fromkeys(slots, b"")
        if collation is Collation.UNICODE_CASEMAP:
            for mailbox, contents, positions in self._where(masks.of_positions(slots, self.view.count)):
                searched = _searched(mailbox, contents)
                texts = await self.searches.texts_to_sort_by(self.who, searched, positions, _OF_PAGES[by])
                keys.update((contents.slots[position], texts[position]) for position in positions)
            return keys
        for start in range(0, len(slots), _TEXTS_AT_ONCE):
            some = {self.view.id_at(slot): slot for slot in slots[start : start + _TEXTS_AT_ONCE]}
            written = await self._written(list(some), by)
            keys.update((some[each], text_key(text, collation)) for each, text in written.items())
        return keys

    async def _written(self, messages: Sequence[MessageId], by: SortBy) -> dict[MessageId, str]:
        """What is compared, as people read it."""
        who = self.who
        async with self.store.database.read(who.tenant_id) as connection:
            if by is SortBy.SUBJECT:
                return await emails.base_subjects(connection, who.tenant_id, who.account_id, messages)
            rows = await emails.read_columns(connection, who.tenant_id, who.account_id, messages, EmailColumns.HEADER)
        return await asyncio.to_thread(_people, rows.values(), by)

    def _where(self, among: Mask) -> Iterator[tuple[MailboxId, MailboxContents, Sequence[int]]]:
        """The mailboxes in which these stand, each slot in one of them, with their positions there, ascending."""
        remaining = among
        for mailbox, contents in self.view.boxes.items():
            if not remaining:
                return
            all_here = masks.of_positions(contents.slots, self.view.count)
            here = remaining & all_here
            if not here:
                continue
            remaining &= ~here
            positions: Sequence[int] = range(len(contents.slots))
            if here != all_here:
                bits = bits_of(self.view, here)
                positions = list(compress(positions, map(bits.__getitem__, contents.slots)))
            yield mailbox, contents, positions


def _people(rows: Iterable[EmailRow], by: SortBy) -> dict[MessageId, str]:
    """The name, or else the address, of the first in the field."""
    people = {row.message_id: people_of_fields(parse_fields(row.header)) for row in rows}
    return {each: sort_display(found.senders if by is SortBy.FROM else found.to) for each, found in people.items()}


def _searched(mailbox: MailboxId, contents: MailboxContents) -> Searched:
    return Searched(mailbox, contents.uids, array("B", bytes(len(contents.uids))), {})


def _program_of(looked: Looked) -> SearchProgram:
    match looked:
        case FieldHolds(field, text):
            return EnvelopeContains(field, text)
        case HeaderHolds(name, text):
            return HeaderContains(name, text)
        case TextHolds(text, in_header):
            of_text = TextContains if in_header else BodyContains
            return AllOf(tuple(of_text(token) for token in tokens_of(text)))
        case _:
            assert_never(looked)


def _spans(positions: Sequence[int]) -> tuple[range, ...]:
    spans: list[range] = []
    for position in positions:
        if spans and spans[-1].stop == position:
            spans[-1] = range(spans[-1].start, position + 1)
        else:
            spans.append(range(position, position + 1))
    return tuple(spans)
