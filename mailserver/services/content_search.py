"""SEARCH keys for which messages must be read: header fields of any name, BODY, TEXT (RFC 3501 §6.4.4).

Text parts are searched, reports such as message/delivery-status, and the headers of parts, which name the attachments;
what is not text is not. Each chunk of messages is one statement and, when it is long, one piece of work for a thread,
so that others have their turn between.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.folding import fold
from mailserver.mime.header import decode_header, display, parse_date
from mailserver.mime.message_words import is_read
from mailserver.mime.packing import unpack
from mailserver.mime.part import Part
from mailserver.mime.text import part_text
from mailserver.observability.logs import get_logger
from mailserver.services.messages import fetch_rows, open_content
from mailserver.tasks import end_task
from storage import content
from storage.content import LongMessage, SealedMessage
from storage.errors import ContentDamaged, MessageGone
from storage.keys import TenantKeys
from storage.rows import Columns
from storage.store import MailStore
from storage.types import MailboxId, Uid
from tenants.types import Principal

log = get_logger()

_BODIES_CHUNK = 64
_LONG_AT_ONCE = 4
_TEXT_PART_LIMIT_OCTETS = 8 * 1024 * 1024  # of one part; what stands beyond is not searched
_TIME_OF_DAY = re.compile(r"\d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?!\d)", re.ASCII)


@dataclass(frozen=True, slots=True)
class LookedFor:
    """A folded text, looked for in bodies, and with `in_header` in headers too."""

    text: str
    in_header: bool

    def is_in(self, octets: bytes, root: Part) -> bool:
        """Is it in the message of these octets?"""
        if self.in_header and self.is_in_header(octets[: root.header_octets]):
            return True
        for part in root.walk():
            if part.header_offset and self.is_in_part_header(
                octets[part.header_offset : part.header_offset + part.header_octets], part
            ):
                return True
            if is_read(part) and self.text in fold(part_text(octets, part)):
                return True
        return False

    def is_in_header(self, header: bytes) -> bool:
        """In ASCII without encoded words, which is most, a text without spaces is found as it is, or not at all."""
        if header.isascii() and b"=?" not in header:
            if not self.text.isascii():
                return False
            if " " not in self.text:
                return self.text.encode("ascii") in header.lower()
        return self.text in fold(display(decode_header(header)))

    def is_in_part_header(self, header: bytes, part: Part) -> bool:
        """As it is written, or in the file name as people read it (RFC 2231 may have hidden it)."""
        return self.is_in_header(header) or self.text in fold(part.filename or "")


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
        """Those whose body, or with `in_header` whose header or body, holds the text.

        While a thread looks through one chunk the next is read already.
        """
        looked = LookedFor(fold(text), in_header)
        found: set[int] = set()
        if not uids:
            return found
        keys = await self.store.keys.of(self.who.tenant_id)
        ahead = asyncio.create_task(self._sealed(uids[:_BODIES_CHUNK]))
        try:
            for following in range(_BODIES_CHUNK, len(uids) + _BODIES_CHUNK, _BODIES_CHUNK):
                async with self.turns:
                    sealed = await ahead
                    if following < len(uids):
                        ahead = asyncio.create_task(self._sealed(uids[following : following + _BODIES_CHUNK]))
                    some, others = await asyncio.to_thread(_opened_and_searched, keys, sealed, looked)
                    found |= some
                    for start in range(0, len(others), _LONG_AT_ONCE):
                        long = others[start : start + _LONG_AT_ONCE]
                        hits = await asyncio.gather(*[self._opened_contains(message, looked) for message in long])
                        found.update(message.uid for message, is_hit in zip(long, hits, strict=True) if is_hit)
        finally:
            await end_task(ahead)
        return found

    async def _sealed(self, uids: Sequence[int]) -> list[SealedMessage]:
        return await content.read_many(
            self.store.database,
            self.store.blobs,
            self.who.tenant_id,
            self.who.account_id,
            self.mailbox_id,
            [Uid(uid) for uid in uids],
        )

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

    async def _opened_contains(self, message: LongMessage, looked: LookedFor) -> bool:
        """A damaged message matches nothing; it must not keep anybody from finding the others."""
        try:
            return await self._read_in_parts_contains(message, looked)
        except MessageGone:
            return False
        except ContentDamaged as damage:
            log.error("a message cannot be searched", message=message.message_id, reason=damage.what)
            return False

    async def _read_in_parts_contains(self, message: LongMessage, looked: LookedFor) -> bool:
        """Part by part, so that attachments of many megabytes are not even read."""
        opened = await open_content(self.store, self.who, message.message_id)
        if looked.in_header and looked.is_in_header(await opened.read(0, opened.header_octets)):
            return True
        for part in unpack(message.structure).walk():
            if part.header_offset:
                header = await opened.read(part.header_offset, part.header_octets)
                if looked.is_in_part_header(header, part):
                    return True
            if is_read(part):
                octets = await opened.read(part.body_offset, min(part.body_octets, _TEXT_PART_LIMIT_OCTETS))
                if looked.text in await asyncio.to_thread(_leaf_text, octets, part):
                    return True
        return False


def _opened_and_searched(
    keys: TenantKeys, sealed: Sequence[SealedMessage], looked: LookedFor
) -> tuple[set[int], list[LongMessage]]:
    whole, others = content.open_many(keys, sealed)
    return {message.uid for message in whole if looked.is_in(message.octets, unpack(message.structure))}, others


def _leaf_text(octets: bytes, part: Part) -> str:
    return fold(part_text(octets, part.with_body(0, len(octets))))


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
