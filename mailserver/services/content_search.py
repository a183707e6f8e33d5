"""SEARCH keys for which messages must be read: header fields of any name, BODY, TEXT (RFC 3501 §6.4.4).

Text parts are searched, and the headers of parts, which name the attachments; what is not text is not. Each chunk of
messages is one statement and, when it is long, one piece of work for a thread, so that others have their turn between.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.folding import fold
from mailserver.mime.header import decode_header, display, parse_date
from mailserver.mime.packing import unpack
from mailserver.mime.part import Part
from mailserver.mime.text import part_text
from mailserver.observability.logs import get_logger
from mailserver.services.messages import fetch_rows, open_content
from storage import content
from storage.content import WholeMessage
from storage.errors import ContentDamaged, MessageGone
from storage.rows import Columns
from storage.store import MailStore
from storage.types import MailboxId, MessageId, Uid
from tenants.types import Principal

log = get_logger()

_BODIES_CHUNK = 64
_IN_A_THREAD_OCTETS = 64 * 1024
_TEXT_PART_LIMIT_OCTETS = 8 * 1024 * 1024  # of one part; what stands beyond is not searched
_TIME_OF_DAY = re.compile(r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the messages of one mailbox. `turns` bounds how many searches of a process read bodies at once."""

    store: MailStore
    who: Principal
    mailbox_id: MailboxId
    turns: asyncio.Semaphore

    async def with_field(self, uids: Sequence[int], name: str, text: str) -> set[int]:
        """Those with a field of this (lower-case) name that holds the text; an empty text asks only for the field."""
        wanted = fold(text)
        pattern = field_pattern(name)
        found: set[int] = set()
        async for headers in self._headers(uids):
            found.update(
                uid
                for uid, header in headers
                if any(not wanted or wanted in fold(value) for value in field_values(header, pattern))
            )
        return found

    async def with_fields(self, uids: Sequence[int], matches: Callable[[Fields], bool]) -> set[int]:
        """Those whose known fields are as asked."""
        found: set[int] = set()
        async for headers in self._headers(uids):
            found.update(uid for uid, header in headers if matches(parse_fields(header)))
        return found

    async def days_written(self, uids: Sequence[int]) -> dict[int, date]:
        """The day that stands in each Date field, in whatever zone it is written."""
        found: dict[int, date] = {}
        async for headers in self._headers(uids):
            for uid, header in headers:
                day = _day_as_written(next(field_values(header, _DATE), ""))
                if day is not None:
                    found[uid] = day
        return found

    async def containing(self, uids: Sequence[int], text: str, *, in_header: bool) -> set[int]:
        """Those whose body, or with `in_header` whose header or body, holds the text."""
        wanted = fold(text)
        found: set[int] = set()
        keys = await self.store.keys.of(self.who.tenant_id)
        for start in range(0, len(uids), _BODIES_CHUNK):
            chunk = [Uid(uid) for uid in uids[start : start + _BODIES_CHUNK]]
            async with self.turns:
                async with self.store.database.read(self.who.tenant_id) as connection:
                    whole, others = await content.read_many(
                        connection, keys, self.who.account_id, self.mailbox_id, chunk
                    )
                if sum(len(message.octets) for message in whole) > _IN_A_THREAD_OCTETS:
                    found |= await asyncio.to_thread(_containing, whole, wanted, in_header=in_header)
                else:
                    found |= _containing(whole, wanted, in_header=in_header)
                for uid, message_id in others:
                    if await self._opened_contains(uid, message_id, wanted, in_header=in_header):
                        found.add(uid)
            await asyncio.sleep(0)
        return found

    async def _headers(self, uids: Sequence[int]) -> AsyncIterator[list[tuple[int, bytes]]]:
        chunks = fetch_rows(self.store, self.who, self.mailbox_id, [Uid(uid) for uid in uids], Columns.HEADER)
        async for rows in chunks:
            headers: list[tuple[int, bytes]] = []
            for row in rows:
                if len(row.header) == row.header_octets:
                    headers.append((row.uid, row.header))
                    continue
                try:  # longer than its column holds
                    opened = await open_content(self.store, self.who, row.message_id)
                    headers.append((row.uid, await opened.read(0, row.header_octets)))
                except MessageGone:
                    continue
            yield headers

    async def _opened_contains(self, uid: Uid, message_id: MessageId, wanted: str, *, in_header: bool) -> bool:
        """A damaged message matches nothing; it must not keep anybody from finding the others."""
        try:
            return await self._read_in_parts_contains(uid, message_id, wanted, in_header=in_header)
        except MessageGone:
            return False
        except ContentDamaged as damage:
            log.error("a message cannot be searched", message=message_id, reason=damage.what)
            return False

    async def _read_in_parts_contains(self, uid: Uid, message_id: MessageId, wanted: str, *, in_header: bool) -> bool:
        """Part by part, so that attachments of many megabytes are not even read."""
        opened = await open_content(self.store, self.who, message_id)
        if in_header and _header_contains(await opened.read(0, opened.header_octets), wanted):
            return True
        chunks = fetch_rows(self.store, self.who, self.mailbox_id, [uid], Columns.STRUCTURE)
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


def _containing(messages: Sequence[WholeMessage], wanted: str, *, in_header: bool) -> set[int]:
    return {
        message.uid
        for message in messages
        if _contains(message.octets, unpack(message.structure), wanted, in_header=in_header)
    }


def _contains(octets: bytes, root: Part, wanted: str, *, in_header: bool) -> bool:
    if in_header and _header_contains(octets[: root.header_octets], wanted):
        return True
    for part in root.walk():
        header = octets[part.header_offset : part.header_offset + part.header_octets]
        if part.header_offset and _part_header_contains(header, part, wanted):
            return True
        if part.type == "text" and not part.children and wanted in fold(part_text(octets, part)):
            return True
    return False


def _header_contains(header: bytes, wanted: str) -> bool:
    return wanted in fold(display(decode_header(header)))


def _part_header_contains(header: bytes, part: Part, wanted: str) -> bool:
    """As it is written, and the file name as people read it (RFC 2231 may have hidden it)."""
    return _header_contains(header, wanted) or wanted in fold(part.filename or "")


def _leaf_text(octets: bytes, part: Part) -> str:
    alone = Part(
        type=part.type,
        subtype=part.subtype,
        parameters=part.parameters,
        encoding=part.encoding,
        body_octets=len(octets),
    )
    return fold(part_text(octets, alone))


def field_pattern(name: str) -> re.Pattern[bytes]:
    """Matches a field of this name, whatever its case, with the lines that go on with it."""
    return re.compile(
        rb"^" + re.escape(name.encode("ascii")) + rb"[ \t]*:([^\n]*(?:\n[ \t][^\n]*)*)", re.IGNORECASE | re.MULTILINE
    )


_DATE = field_pattern("date")


def field_values(header: bytes, pattern: re.Pattern[bytes]) -> Iterator[str]:
    """The decoded values of every field that the pattern matches, in their order."""
    for match in pattern.finditer(header):
        yield decode_header(match[1].replace(b"\r", b"").replace(b"\n", b"")).strip()


def _day_as_written(value: str) -> date | None:
    """The day that stands in a Date field, whatever zone, or comment about the zone, follows the time of day."""
    time_of_day = _TIME_OF_DAY.search(value)
    moment = parse_date(value[: time_of_day.end()]) if time_of_day is not None else None
    if moment is None:  # the year comes last, as asctime writes it: there the zone is not looked at
        moment = parse_date(value)
    return moment.date() if moment is not None else None
