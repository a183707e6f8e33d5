"""Searching a mailbox: cheap keys first, each asked only about the messages that are still in question.

Flags and sets are answered from the session's view; dates, sizes, subjects and addresses from pages of what never
changes (`search_pages`); other header fields by reading (`content_search`); BODY and TEXT by the index of words
(`text_search`), what is too new for it by reading. Results are exact for the view that is searched.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import assert_never

from mailserver.mime.envelope_people import people_of_fields, written
from mailserver.mime.fields import Fields
from mailserver.mime.folding import fold
from mailserver.mime.header import display
from mailserver.services import position_mask as masks
from mailserver.services.content_search import Reader
from mailserver.services.position_mask import Mask
from mailserver.services.search_columns import entries_cut, entries_with, needle_of
from mailserver.services.search_facts import MICROSECONDS, above, around, below, compare, equal, on, seconds
from mailserver.services.search_keys import (
    AllOf,
    AmongPositions,
    AnyOf,
    BodyContains,
    ChangedSince,
    DateComparison,
    EnvelopeContains,
    EnvelopeField,
    Everything,
    HasFlag,
    HasKeyword,
    HeaderContains,
    InThread,
    IsMessage,
    LargerThan,
    NoneOf,
    ReceivedFrom,
    ReceivedOn,
    ReceivedUntil,
    SavedOn,
    SearchProgram,
    SentOn,
    SmallerThan,
    TextContains,
)
from mailserver.services.search_page import Page, stretches
from mailserver.services.search_pages import SearchPages
from mailserver.services.text_search import find_in
from mailserver.services.vocabularies import Vocabularies
from storage import search_pages as stored
from storage.search_pages import Column, PackedFacts, Run
from storage.store import MailStore
from storage.types import MailboxId, MessageId
from tenants.types import Principal

_KEYS_AT_A_TIME = 4
_LOOKS_COST = 8  # times that of a look at one message


@dataclass(frozen=True, slots=True)
class Searched:
    """The mailbox as the session sees it: ascending uids, flag bits beside them, keywords of those that have any.

    Nobody may change the arrays while they are searched.
    """

    mailbox_id: MailboxId
    uids: "array[int]"
    flags: "array[int]"
    keywords: Mapping[int, frozenset[str]]


def cost(program: SearchProgram) -> int:
    """0: the view knows. 1, 2: mostly pages do. 3, 4: headers, or bodies, have to be read."""
    match program:
        case Everything() | AmongPositions() | HasFlag() | HasKeyword():
            return 0
        case ReceivedOn() | SavedOn() | ReceivedUntil() | ReceivedFrom() | LargerThan() | SmallerThan():
            return 1
        case ChangedSince() | IsMessage() | InThread():
            return 1
        case SentOn() | EnvelopeContains():
            return 2
        case HeaderContains():
            return 3
        case BodyContains() | TextContains():
            return 4
        case AllOf(keys) | AnyOf(keys):
            return max((cost(key) for key in keys), default=0)
        case NoneOf(key):
            return cost(key)


@dataclass(slots=True)
class Evaluation:
    """One search. A set of messages is a mask over the positions of the view."""

    store: MailStore
    pages: SearchPages
    who: Principal
    searched: Searched
    reader: Reader
    vocabularies: Vocabularies
    _flag_masks: dict[int, Mask] = field(default_factory=dict)
    _bearers: dict[frozenset[str], list[int]] | None = None
    _asked: int = 0
    _modseqs: dict[int, int] | None = None

    async def positions(self, program: SearchProgram) -> list[int]:
        """Positions that match, ascending."""
        everything = masks.everything(len(self.searched.uids))
        return masks.positions_of(await self.matching(program, everything))

    async def matching(self, program: SearchProgram, among: Mask) -> Mask:
        """Those of `among` that match.

        What is remembered is not waited for, so between keys others get their turn, and the time limit its chance.
        """
        if not among:
            return 0
        self._asked += 1
        if self._asked % _KEYS_AT_A_TIME == 0:
            await asyncio.sleep(0)
        match program:
            case Everything():
                return among
            case AllOf(keys):
                for key in sorted(keys, key=cost):
                    among = await self.matching(key, among)
                return among
            case AnyOf(keys):
                found: Mask = 0
                for key in sorted(keys, key=cost):
                    found |= await self.matching(key, among & ~found)
                return found
            case NoneOf(key):
                return among & ~await self.matching(key, among)
            case AmongPositions(spans):
                return among & masks.of_spans(spans, len(self.searched.uids))
            case HasFlag(flag):
                return among & self._with_flag(int(flag))
            case HasKeyword(keyword):
                return among & self._with_keyword(keyword)
            case LargerThan(octets):
                return await self._by_facts(among, lambda facts: above(facts.octets, octets))
            case SmallerThan(octets):
                return await self._by_facts(among, lambda facts: below(facts.octets, octets))
            case ReceivedOn(comparison, day):
                return await self._by_facts(among, lambda facts: on(facts.received, comparison, day))
            case SavedOn(comparison, day):
                return await self._by_facts(among, lambda facts: on(facts.saved, comparison, day))
            case ReceivedUntil(moment):
                end = (seconds(moment) + 1) * MICROSECONDS
                return await self._by_facts(among, lambda facts: below(facts.received, end))
            case ReceivedFrom(moment):
                begin = seconds(moment) * MICROSECONDS - 1
                return await self._by_facts(among, lambda facts: above(facts.received, begin))
            case IsMessage(message_id):
                return among & self._of_uids(await self._uids_of_message(message_id))
            case InThread(thread_id):
                return await self._by_facts(among, lambda facts: equal(facts.thread_ids, thread_id))
            case ChangedSince(modseq):
                modseqs = await self.modseqs()
                uids = self.searched.uids
                return among & self._of_uids([uid for uid in uids if modseqs.get(uid, 0) >= modseq])
            case SentOn(comparison, day):
                return await self._by_sent_date(among, comparison, day)
            case EnvelopeContains(envelope_field, text):
                return await self._by_envelope(among, envelope_field, text)
            case HeaderContains(name, text):
                return self._of_uids(await self.reader.with_field(self._uids(among), name, text))
            case BodyContains(text):
                return await self._containing(among, text, in_header=False)
            case TextContains(text):
                return await self._containing(among, text, in_header=True)
            case _:
                assert_never(program)

    async def _containing(self, among: Mask, text: str, *, in_header: bool) -> Mask:
        """By the index; what is too new for it is read, and everything when there is no word in the text."""
        found = await find_in(
            self.store, self.vocabularies, self.who, self.searched.mailbox_id, text, in_header=in_header
        )
        if found is None:
            return self._of_uids(await self.reader.containing(self._uids(among), text, in_header=in_header))
        sure = among & self._of_uids(found.uids)
        unread = among & ~sure & self._of_uids(found.unread)
        if not unread:
            return sure
        return sure | self._of_uids(await self.reader.containing(self._uids(unread), text, in_header=in_header))

    async def modseqs(self) -> dict[int, int]:
        """The modseq of each message that is still there, by uid."""
        if self._modseqs is None:
            uids, who = self.searched.uids, self.who
            run = Run(who.tenant_id, who.account_id, self.searched.mailbox_id, uids[0], uids[-1])
            async with self.store.database.read(who.tenant_id) as connection:
                found, modseqs = await stored.modseqs(connection, run)
            self._modseqs = dict(zip(found, modseqs, strict=True))
        return self._modseqs

    async def pages_of(self, among: Mask, *columns: Column) -> list[Page]:
        """Pages of the messages in question, with these columns."""
        uids = self.searched.uids
        wanted = [each for each in stretches(uids) if masks.has_any(among, each.begin, each.end)]
        return await self.pages.of(self.who, self.searched.mailbox_id, uids, wanted, columns)

    async def _uids_of_message(self, message_id: MessageId) -> list[int]:
        who = self.who
        async with self.store.database.read(who.tenant_id) as connection:
            found = await stored.uids_of_email(
                connection, who.tenant_id, who.account_id, self.searched.mailbox_id, message_id
            )
        return list(found)

    async def pages_at(self, positions: Sequence[int], *columns: Column) -> list[Page]:
        return await self.pages_of(masks.of_positions(positions, len(self.searched.uids)), *columns)

    def _with_flag(self, bit: int) -> Mask:
        mask = self._flag_masks.get(bit)
        if mask is None:
            mask = self._flag_masks[bit] = masks.of_bit(self.searched.flags, bit)
        return mask

    def _with_keyword(self, keyword: str) -> Mask:
        wanted = keyword.lower()
        if self._bearers is None:
            self._bearers = {}
            for uid, words in self.searched.keywords.items():
                self._bearers.setdefault(words, []).append(uid)
        uids: list[int] = []
        for words, bearers in self._bearers.items():
            if any(word.lower() == wanted for word in words):
                uids += bearers
        return self._of_uids(uids)

    def _uids(self, mask: Mask) -> list[int]:
        uids = self.searched.uids
        return [uids[position] for position in masks.positions_of(mask)]

    def _of_uids(self, uids: Sequence[int] | set[int]) -> Mask:
        """Few are looked up one by one, many by looking at every message of the view."""
        if not uids:
            return 0
        view = self.searched.uids
        if len(uids) * _LOOKS_COST < len(view):
            places = [place for uid in uids if (place := bisect_left(view, uid)) < len(view) and view[place] == uid]
            return masks.of_positions(places, len(view))
        wanted = set(uids)
        return masks.of_digits(bytes([0x31 if uid in wanted else 0x30 for uid in view]))

    async def _by_facts(self, among: Mask, matches: Callable[[PackedFacts], list[int]]) -> Mask:
        pages = await self.pages_of(among)
        return among & self._of_entries((page, matches(page.facts)) for page in pages)

    def _of_entries(self, found: Iterable[tuple[Page, list[int]]]) -> Mask:
        """The mask of entries of pages."""
        uids = self.searched.uids
        digits = bytearray(b"0") * len(uids)
        for page, entries in found:
            if not entries:
                continue
            places = positions_in(uids, page.facts.uids)
            for entry in entries:
                place = places[entry]
                if place >= 0:
                    digits[place] = 0x31
        return masks.of_digits(digits)

    async def _by_sent_date(self, among: Mask, comparison: DateComparison, day: date) -> Mask:
        """Kept in UTC; only near the day in question does the field's own zone decide."""
        pages = await self.pages_of(among)
        begin, end = around(day)
        near = among & self._of_entries(
            (page, [entry for entry, moment in enumerate(page.facts.sent) if begin <= moment < end]) for page in pages
        )
        far = among & ~near & self._of_entries((page, on(page.facts.sent, comparison, day)) for page in pages)
        if not near:
            return far
        days = await self.reader.days_written(self._uids(near))
        return far | self._of_uids([uid for uid, written_day in days.items() if compare(comparison, written_day, day)])

    async def _by_envelope(self, among: Mask, envelope_field: EnvelopeField, text: str) -> Mask:
        is_subject = envelope_field is EnvelopeField.SUBJECT
        pages = await self.pages_of(among, Column.SUBJECTS if is_subject else Column.ADDRESSES)
        needle = needle_of(text)
        columns = [(page, _text_column(page, envelope_field)) for page in pages]
        found = among & self._of_entries((page, entries_with(column, needle)) for page, column in columns)
        cut = among & ~found & self._of_entries((page, entries_cut(column)) for page, column in columns)
        if not cut:
            return found
        wanted = fold(text)

        def matches(fields: Fields) -> bool:
            return wanted in fold(_envelope_text(fields, envelope_field))

        return found | self._of_uids(await self.reader.with_fields(self._uids(cut), matches))


def _text_column(page: Page, envelope_field: EnvelopeField) -> bytes:
    if envelope_field is EnvelopeField.SUBJECT:
        return page.subjects or b""
    assert page.addresses is not None
    match envelope_field:
        case EnvelopeField.FROM:
            return page.addresses.senders
        case EnvelopeField.TO:
            return page.addresses.to
        case EnvelopeField.CC:
            return page.addresses.cc
        case EnvelopeField.BCC:
            return page.addresses.bcc


def _envelope_text(fields: Fields, envelope_field: EnvelopeField) -> str:
    match envelope_field:
        case EnvelopeField.SUBJECT:
            return display(fields.get("subject", ""))
        case EnvelopeField.FROM:
            return written(people_of_fields(fields).senders)
        case EnvelopeField.TO:
            return written(people_of_fields(fields).to)
        case EnvelopeField.CC:
            return written(people_of_fields(fields).cc)
        case EnvelopeField.BCC:
            return written(people_of_fields(fields).bcc)


def positions_in(uids: "array[int]", held: "array[int]") -> Sequence[int]:
    """Where the (ascending) uids of a page stand in a view; -1: nowhere. Mostly they stand there in one piece."""
    begin = bisect_left(uids, held[0])
    end = bisect_right(uids, held[-1], begin)
    if end - begin == len(held) and uids[begin:end] == held:
        return range(begin, end)
    place_of = dict(zip(uids[begin:end], range(begin, end), strict=True))
    return [place_of.get(uid, -1) for uid in held]
