"""Blobs, opened by whoever may: a message, an upload, or a part of either (RFC 8620 §6, RFC 8621 §4.1.4).

What is not there, is not the person's, or is no blob at all cannot be told apart.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from mailserver.mime.part import Part
from mailserver.mime.sections import part_at
from mailserver.mime.structure import scan, unpack
from mailserver.mime.transfer_encoding import UnknownEncoding, decoding
from mailserver.services.messages import open_content
from storage import uploads
from storage.content import Content
from storage.errors import MessageGone
from storage.store import MailStore
from storage.types import UploadId
from storage.uploads import Upload, UploadGone
from tenants.types import Principal
from webmail.jmap.ids import BlobRef, MessageBlob, PartPath, UploadBlob, parse_blob_id

PIECE_OCTETS = 1024 * 1024
LONG_DECODINGS_AT_ONCE = 2
"""Long parts that must be decoded whole, in memory; others wait."""
_LONG_OCTETS = 1024 * 1024
_AS_THEY_ARE = frozenset({"7bit", "8bit", "binary"})

Read = Callable[[int, int], Awaitable[bytes]]
"""From an offset so many octets, fewer at the end. Raises UploadGone, ContentDamaged, ColdTierUnavailable,
StoreUnavailable."""

_long_decodings = asyncio.Semaphore(LONG_DECODINGS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Blob:
    """`read` gives its octets in ranges. `held` are those in memory as long as it is open: it was decoded whole."""

    octets: int
    read: Read
    held: int = 0

    async def whole(self) -> bytes:
        return await self.read(0, self.octets)


async def open_blob(store: MailStore, who: Principal, blob_id: str) -> Blob | None:
    """None: there is no such blob. Raises ContentDamaged, ColdTierUnavailable, StoreUnavailable."""
    wanted = parse_blob_id(blob_id)
    return None if wanted is None else await open_ref(store, who, wanted)


async def open_ref(store: MailStore, who: Principal, wanted: BlobRef) -> Blob | None:
    """The same of an id that was read already."""
    try:
        match wanted:
            case MessageBlob(message, part):
                content = await open_content(store, who, message)
                content.note_reading()
                whole = Blob(content.octets, content.read)
                return whole if part is None else await _part_of_message(content, part)
            case UploadBlob(upload, part):
                return await _open_upload(store, who, upload, part)
    except (MessageGone, UploadGone):
        return None


async def is_there(store: MailStore, who: Principal, wanted: BlobRef) -> bool:
    """Without undoing its encoding, where nothing but that part would be looked at. Raises as `open_blob`."""
    match wanted:
        case MessageBlob(message, tuple(path)):
            try:
                content = await open_content(store, who, message)
            except MessageGone:
                return False
            part, rest = _on_the_way(unpack(content.structure), path)
            if not rest:
                return part is not None
    return await open_ref(store, who, wanted) is not None


async def _part_of_message(content: Content, path: PartPath) -> Blob | None:
    part, rest = _on_the_way(unpack(content.structure), path)
    if part is None:
        return None
    if rest:
        return await _part_within(await _decoded(content.read, part), rest)
    kept = content.kept_decoded(part.body_offset, part.body_octets) if part.encoding == "base64" else None
    if kept is None:
        return await _decoded(content.read, part)

    async def read(offset: int, length: int) -> bytes:
        return await content.read_decoded(kept, offset, length)

    return Blob(kept.length, read)


async def _open_upload(store: MailStore, who: Principal, upload_id: UploadId, path: PartPath | None) -> Blob | None:
    keys = await store.keys.of(who.tenant_id)
    found = (await uploads.find(store.database, keys, who.account_id, [upload_id])).get(upload_id)
    if found is None:
        return None
    upload: Upload = found

    async def read(offset: int, length: int) -> bytes:
        return await uploads.read(store.database, keys, upload, offset, length)

    if path is None:
        return Blob(upload.octets, read)
    return await _part_within(Blob(upload.octets, read), path)


def _on_the_way(root: Part, path: PartPath) -> tuple[Part | None, PartPath]:
    """The part that a path names; or one before it whose content must be scanned by itself, and what is left then: a
    message that is encoded, against RFC 2046 §5.2.1, or attached as some other type, as Email/parse opens them too."""
    for cut in range(1, len(path)):
        part = part_at(root, path[:cut])
        if part is None:
            return None, ()
        if part.type != "multipart" and (part.encoding not in _AS_THEY_ARE or not part.children):
            return part, path[cut:]
    return part_at(root, path), ()


async def _part_within(blob: Blob, path: PartPath) -> Blob | None:
    """A part of what is a message by itself."""
    async with _long_decodings:
        octets = await blob.whole()
        part, rest = _on_the_way(await asyncio.to_thread(scan, octets), path)
        if part is None:
            return None

        async def read_scanned(offset: int, length: int) -> bytes:
            return octets[offset : offset + length]

        found = await _decoded_now(read_scanned, part)
        found = replace(found, held=max(found.held, len(octets)))
    return await _part_within(found, rest) if rest else found


async def _decoded(read: Read, part: Part) -> Blob:
    if part.encoding in _AS_THEY_ARE or part.body_octets <= _LONG_OCTETS:
        return await _decoded_now(read, part)
    async with _long_decodings:
        return await _decoded_now(read, part)


async def _decoded_now(read: Read, part: Part) -> Blob:
    """A part's body without its Content-Transfer-Encoding; as it is where nobody knows how to undo that."""
    start, end = part.body_offset, part.body_offset + part.body_octets

    async def read_body(offset: int, length: int) -> bytes:
        return await read(start + offset, max(0, min(length, part.body_octets - offset)))

    try:
        decoder = decoding(part.encoding, is_text=False)
    except UnknownEncoding:
        return Blob(part.body_octets, read_body)
    if part.encoding in _AS_THEY_ARE:
        return Blob(part.body_octets, read_body)
    pieces = [decoder.feed(await read(at, min(PIECE_OCTETS, end - at))) for at in range(start, end, PIECE_OCTETS)]
    octets = b"".join((*pieces, decoder.end()))

    async def read_octets(offset: int, length: int) -> bytes:
        return octets[offset : offset + length]

    return Blob(len(octets), read_octets, held=len(octets))
