"""Searching a mailbox: cheap keys first, each asked only about the messages that are still in question.

Flags and uids are answered from the session's view, dates and sizes from columns, header keys from header octets,
BODY and TEXT by scanning the octets of text parts. Results are exact for the moment they are read.
"""

import asyncio
import re
from array import array
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, timedelta
from typing import assert_never

from mailserver.mime.description import COLUMN_CHARACTERS
from mailserver.mime.header import decode_header, display, parse_date
from mailserver.mime.packing import unpack
from mailserver.mime.part import Part
from mailserver.mime.text import part_text
from mailserver.observability.logs import get_logger
from mailserver.services.messages import fetch_rows, open_content
from mailserver.services.search_keys import (
    AllOf,
    AmongUids,
    AnyOf,
    BodyContains,
    ChangedSince,
    DateComparison,
    Everything,
    HasFlag,
    HasKeyword,
    HeaderContains,
    LargerThan,
    NoneOf,
    ReceivedOn,
    SearchProgram,
    SentOn,
    SmallerThan,
    TextContains,
)
from storage import content, search_rows
from storage.content import WholeMessage
from storage.errors import ContentDamaged, MessageGone
from storage.rows import Columns
from storage.search_rows import SearchFacts
from storage.store import MailStore
from storage.types import MailboxId, MessageId, Uid
from tenants.types import Principal

log = get_logger()

_FACTS_CHUNK = 5000
_BODIES_CHUNK = 32
_IN_A_THREAD_OCTETS = 128 * 1024
_TIME_OF_DAY = re.compile(r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?!\d)", re.ASCII)
_TEXT_PART_LIMIT_OCTETS = 8 * 1024 * 1024  # of one part; what stands beyond is not searched


@dataclass(frozen=True, slots=True)
class Searched:
    """The mailbox as the session sees it: ascending uids, flag bits beside them, keywords of those that have any."""

    mailbox_id: MailboxId
    uids: "array[int]"
    flags: "array[int]"
    keywords: Mapping[int, frozenset[str]]


async def search(store: MailStore, who: Principal, searched: Searched, program: SearchProgram) -> list[Uid]:
    """Uids that match, ascending. Messages that are gone match nothing that must be read."""
    found = await _Search(store, who, searched).matching(program, set(searched.uids))
    return [Uid(uid) for uid in sorted(found)]


def _cost(program: SearchProgram) -> int:
    match program:
        case Everything() | AmongUids() | HasFlag() | HasKeyword():
            return 0
        case ReceivedOn() | LargerThan() | SmallerThan() | ChangedSince():
            return 1
        case SentOn():
            return 2
        case HeaderContains():
            return 3
        case BodyContains() | TextContains():
            return 4
        case AllOf(keys) | AnyOf(keys):
            return max((_cost(key) for key in keys), default=0)
        case NoneOf(key):
            return _cost(key)


@dataclass(slots=True)
class _Search:
    store: MailStore
    who: Principal
    searched: Searched
    facts: dict[int, SearchFacts] = field(default_factory=dict)

    async def matching(self, program: SearchProgram, among: set[int]) -> set[int]:
        """Those of `among` that match."""
        if not among:
            return set()
        match program:
            case Everything():
                return among
            case AllOf(keys):
                for key in sorted(keys, key=_cost):
                    among = await self.matching(key, among)
                return among
            case AnyOf(keys):
                found: set[int] = set()
                for key in sorted(keys, key=_cost):
                    found |= await self.matching(key, among - found)
                return found
            case NoneOf(key):
                return among - await self.matching(key, among)
            case AmongUids(uids):
                return among & uids
            case HasFlag(flag):
                bit = int(flag)
                view = self.searched
                return {uid for uid, bits in zip(view.uids, view.flags, strict=True) if bits & bit and uid in among}
            case HasKeyword(keyword):
                wanted = keyword.lower()
                return {
                    uid
                    for uid, words in self.searched.keywords.items()
                    if uid in among and any(word.lower() == wanted for word in words)
                }
            case LargerThan(octets):
                return await self._by_facts(among, lambda row: row.octets > octets)
            case SmallerThan(octets):
                return await self._by_facts(among, lambda row: row.octets < octets)
            case ChangedSince(modseq):
                return await self._by_facts(among, lambda row: row.modseq >= modseq)
            case ReceivedOn(comparison, day):
                return await self._by_facts(
                    among, lambda row: _compare(comparison, row.received_at.astimezone(UTC).date(), day)
                )
            case SentOn(comparison, day):
                return await self._by_sent_date(among, comparison, day)
            case HeaderContains(name, text):
                return await self._by_header(among, name, text)
            case BodyContains(text):
                return await self._by_body(among, text.casefold())
            case TextContains(text):
                in_header = await self._by_any_header(among, text.casefold())
                return in_header | await self._by_body(among - in_header, text.casefold())
            case _:
                assert_never(program)

    async def _by_facts(self, among: set[int], matches: Callable[[SearchFacts], bool]) -> set[int]:
        await self._load_facts(among)
        return {uid for uid in among if (row := self.facts.get(uid)) is not None and matches(row)}

    async def _load_facts(self, among: set[int]) -> None:
        missing = sorted(among - self.facts.keys())
        for uids in _chunks(missing, _FACTS_CHUNK):
            async with self.store.database.read(self.who.tenant_id) as connection:
                rows = await search_rows.facts(
                    connection, self.who.tenant_id, self.who.account_id, self.searched.mailbox_id, uids
                )
            self.facts.update((row.uid, row) for row in rows)

    async def _by_sent_date(self, among: set[int], comparison: DateComparison, day: date) -> set[int]:
        """sent_at is kept in UTC; only near the day in question does the field's own zone decide."""
        await self._load_facts(among)
        found: set[int] = set()
        near: set[int] = set()
        for uid in among:
            row = self.facts.get(uid)
            if row is None or row.sent_at is None:
                continue
            in_utc = row.sent_at.astimezone(UTC).date()
            if abs(in_utc - day) <= timedelta(days=1):
                near.add(uid)
            elif _compare(comparison, in_utc, day):
                found.add(uid)
        async for uid, header in self._headers(near):
            for value in field_values(header, "date"):
                written = _day_as_written(value)
                if written is not None and _compare(comparison, written, day):
                    found.add(uid)
                break
        return found

    async def _by_header(self, among: set[int], name: str, text: str) -> set[int]:
        wanted = text.casefold()
        if name == "subject" and wanted:
            return await self._by_subject(among, wanted)
        return await self._by_header_octets(among, name, wanted)

    async def _by_header_octets(self, among: set[int], name: str, wanted: str) -> set[int]:
        found: set[int] = set()
        async for uid, header in self._headers(among):
            values = field_values(header, name)
            if any(not wanted or wanted in value.casefold() for value in values):
                found.add(uid)
        return found

    async def _by_subject(self, among: set[int], wanted: str) -> set[int]:
        found: set[int] = set()
        cut: set[int] = set()
        for uids in _chunks(sorted(among), _FACTS_CHUNK):
            async with self.store.database.read(self.who.tenant_id) as connection:
                rows = await search_rows.subjects(
                    connection, self.who.tenant_id, self.who.account_id, self.searched.mailbox_id, uids
                )
            found.update(row.uid for row in rows if wanted in row.subject.casefold())
            cut.update(row.uid for row in rows if len(row.subject) >= COLUMN_CHARACTERS)
        return found | await self._by_header_octets(cut - found, "subject", wanted)

    async def _by_any_header(self, among: set[int], wanted: str) -> set[int]:
        found: set[int] = set()
        async for uid, header in self._headers(among):
            if wanted in display(decode_header(header)).casefold():
                found.add(uid)
        return found

    async def _headers(self, among: set[int]) -> AsyncIterator[tuple[Uid, bytes]]:
        uids = [Uid(uid) for uid in sorted(among)]
        chunks = fetch_rows(self.store, self.who, self.searched.mailbox_id, uids, Columns.HEADER)
        async for rows in chunks:
            for row in rows:
                if len(row.header) == row.header_octets:
                    yield row.uid, row.header
                    continue
                try:  # longer than its column holds
                    opened = await open_content(self.store, self.who, row.message_id)
                    yield row.uid, await opened.read(0, row.header_octets)
                except MessageGone:
                    continue

    async def _by_body(self, among: set[int], wanted: str) -> set[int]:
        found: set[int] = set()
        keys = await self.store.keys.of(self.who.tenant_id)
        for uids in _chunks(sorted(among), _BODIES_CHUNK):
            async with self.store.database.read(self.who.tenant_id) as connection:
                whole, others = await content.read_many(
                    connection, keys, self.who.account_id, self.searched.mailbox_id, uids
                )
            if sum(len(message.octets) for message in whole) > _IN_A_THREAD_OCTETS:
                found |= await asyncio.to_thread(_containing, whole, wanted)
            else:
                found |= _containing(whole, wanted)
            for uid, message_id in others:
                if await self._opened_body_contains(uid, message_id, wanted):
                    found.add(uid)
            await asyncio.sleep(0)
        return found

    async def _opened_body_contains(self, uid: Uid, message_id: MessageId, wanted: str) -> bool:
        """A damaged message matches nothing; it must not keep anybody from finding the others."""
        try:
            return await self._body_read_in_parts_contains(uid, message_id, wanted)
        except MessageGone:
            return False
        except ContentDamaged as damage:
            log.error("a message cannot be searched", message=message_id, reason=damage.what)
            return False

    async def _body_read_in_parts_contains(self, uid: Uid, message_id: MessageId, wanted: str) -> bool:
        """Part by part, so that attachments of many megabytes are not even read."""
        opened = await open_content(self.store, self.who, message_id)
        chunks = fetch_rows(self.store, self.who, self.searched.mailbox_id, [uid], Columns.STRUCTURE)
        async for rows in chunks:
            for row in rows:
                for part in unpack(row.structure).walk():
                    if part.header_offset and _part_header_contains(
                        await opened.read(part.header_offset, part.header_octets), part, wanted
                    ):
                        return True
                    if part.type == "text" and not part.children:
                        octets = await opened.read(part.body_offset, min(part.body_octets, _TEXT_PART_LIMIT_OCTETS))
                        if wanted in await asyncio.to_thread(_leaf_text, octets, part):
                            return True
        return False


def _containing(messages: Sequence[WholeMessage], wanted: str) -> set[int]:
    return {message.uid for message in messages if _body_contains(message.octets, unpack(message.structure), wanted)}


def _body_contains(octets: bytes, root: Part, wanted: str) -> bool:
    """Text parts, and the headers of parts (they name the attachments)."""
    for part in root.walk():
        header = octets[part.header_offset : part.header_offset + part.header_octets]
        if part.header_offset and _part_header_contains(header, part, wanted):
            return True
        if part.type == "text" and not part.children and wanted in part_text(octets, part).casefold():
            return True
    return False


def _part_header_contains(header: bytes, part: Part, wanted: str) -> bool:
    """As it is written, and the file name as people read it (RFC 2231 may have hidden it)."""
    return wanted in display(decode_header(header)).casefold() or wanted in (part.filename or "").casefold()


def _leaf_text(octets: bytes, part: Part) -> str:
    alone = Part(
        type=part.type,
        subtype=part.subtype,
        parameters=part.parameters,
        encoding=part.encoding,
        body_octets=len(octets),
    )
    return part_text(octets, alone).casefold()


def field_values(header: bytes, name: str) -> list[str]:
    """The decoded values of every field with this (lower-case) name, in their order."""
    values: list[str] = []
    current: bytearray | None = None
    for line in header.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if current is not None:
                current += line
            continue
        if current is not None:
            values.append(display(decode_header(bytes(current).replace(b"\r", b""))).strip())
        before, colon, after = line.partition(b":")
        is_wanted = bool(colon) and before.strip().lower() == name.encode()
        current = bytearray(after) if is_wanted else None
    if current is not None:
        values.append(display(decode_header(bytes(current).replace(b"\r", b""))).strip())
    return values


def _day_as_written(value: str) -> date | None:
    """The day that stands in a Date field, whatever zone, or comment about the zone, follows the time of day."""
    time_of_day = _TIME_OF_DAY.search(value)
    moment = parse_date(value[: time_of_day.end()]) if time_of_day is not None else None
    if moment is None:  # the year comes last, as asctime writes it: there the zone is not looked at
        moment = parse_date(value)
    return moment.date() if moment is not None else None


def _compare(comparison: DateComparison, found: date, day: date) -> bool:
    match comparison:
        case DateComparison.BEFORE:
            return found < day
        case DateComparison.ON:
            return found == day
        case DateComparison.SINCE:
            return found >= day


def _chunks(uids: Sequence[int], size: int) -> Iterable[list[Uid]]:
    for start in range(0, len(uids), size):
        yield [Uid(uid) for uid in uids[start : start + size]]
